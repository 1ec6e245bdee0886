WITH o AS (
    INSERT INTO orders (customer, status, placed)
    SELECT id, 'new', clock_timestamp() FROM customers
     WHERE id % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM customers_id_seq)::int
     ORDER BY id LIMIT 1
    RETURNING id
)
INSERT INTO "Order Items" ("Order", line, sku, "Quantity", price)
SELECT o.id, row_number() OVER (), p.sku, 1, p.price
  FROM o, (SELECT sku, price FROM products
            WHERE shelf % 4 = @session::int AND sku >= ('SKU-' || to_char(@pick::float8 * 4900, 'FM00000'))
            ORDER BY sku LIMIT 3) p
