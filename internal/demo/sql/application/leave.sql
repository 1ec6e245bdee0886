-- Takes along the customer's orders, their items and payments.
DELETE FROM customers
 WHERE id = (SELECT id FROM customers
              WHERE id % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM customers_id_seq)::int
              ORDER BY id LIMIT 1)
