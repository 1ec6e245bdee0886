UPDATE customers SET balance = balance - 1
 WHERE id = (SELECT id FROM customers
              WHERE id % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM customers_id_seq)::int
              ORDER BY id LIMIT 1);
SAVEPOINT doubt;
DELETE FROM orders
 WHERE id = (SELECT id FROM orders
              WHERE customer % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM orders_id_seq)::bigint
              ORDER BY id LIMIT 1);
INSERT INTO clicks VALUES (@session::int, '/never', @pick::float8, clock_timestamp());
ROLLBACK TO SAVEPOINT doubt;
INSERT INTO payments ("order", amount, paid)
SELECT id, 1, clock_timestamp() FROM orders
 WHERE customer % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM orders_id_seq)::bigint
 ORDER BY id LIMIT 1
