UPDATE orders SET status = 'shipped', note = E'shipped\tby\\truck'
 WHERE id = (SELECT id FROM orders
              WHERE status = 'paid' AND customer % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM orders_id_seq)::bigint
              ORDER BY id LIMIT 1);
UPDATE stock SET quantity = quantity - 1
 WHERE warehouse = 1
   AND sku IN (SELECT sku FROM products
                WHERE shelf % 4 = @session::int AND sku >= ('SKU-' || to_char(@pick::float8 * 4900, 'FM00000'))
                ORDER BY sku LIMIT 3)
