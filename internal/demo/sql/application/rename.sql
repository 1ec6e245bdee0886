-- Changes a key, and by ON UPDATE CASCADE a part of the keys in stock.
UPDATE products SET sku = left(sku, 9) || '-' || nextval('invoices')
 WHERE sku = (SELECT sku FROM products
               WHERE shelf % 4 = @session::int AND sku >= ('SKU-' || to_char(@pick::float8 * 4900, 'FM00000'))
               ORDER BY sku LIMIT 1)
