-- carts first, as TRUNCATE takes its locks: two orders would be a deadlock.
INSERT INTO carts (opened) VALUES (clock_timestamp());
INSERT INTO cart_items (cart, sku, quantity) SELECT currval('carts_id_seq'), 'SKU ' || i, i FROM generate_series(1, 3) i;
DELETE FROM carts
 WHERE id = (SELECT id FROM carts WHERE id % 4 = @session::int ORDER BY md5(id::text || @pick::float8) LIMIT 1)
