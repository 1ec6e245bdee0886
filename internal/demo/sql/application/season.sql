INSERT INTO categories (parent, name)
SELECT id, 'Season ' || @session::int FROM categories WHERE id <= 20 AND id % 4 = @session::int ORDER BY md5(name || @pick::float8) LIMIT 1;
INSERT INTO categories (parent, name) SELECT currval('categories_id_seq'), 'Part of season';
DELETE FROM categories WHERE name = 'Season ' || @session::int AND id < currval('categories_id_seq') - 100
