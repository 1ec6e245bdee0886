UPDATE customers
   SET balance = balance + 1.10, last_ip = inet '192.168.0.1' + (@pick::float8 * 60000)::int,
       tags = array_append(tags[1:3], NULLIF('tag ' || (@pick::float8 * 9)::int, 'tag 5'))
 WHERE id = (SELECT id FROM customers
              WHERE id % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM customers_id_seq)::int
              ORDER BY id LIMIT 1)
