INSERT INTO products (sku, shelf, category, name, price, weight, attributes, picture)
SELECT 'NEW-' || @session::int || '-' || nextval('invoices'), @session::int, NULL, 'New', 1.00, @pick::float8 / 3,
       '{"new" : true,"list":[1,  2]}', decode(md5((@pick::float8)::text), 'hex');
DELETE FROM products
 WHERE sku = (SELECT sku FROM products
               WHERE shelf = @session::int AND sku LIKE 'NEW-%' ORDER BY md5(sku || @pick::float8) LIMIT 1)
