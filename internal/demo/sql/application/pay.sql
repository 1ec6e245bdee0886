WITH o AS (
    UPDATE orders SET status = 'paid', invoice = nextval('invoices')
     WHERE id = (SELECT id FROM orders
                  WHERE status = 'new' AND customer % 4 = @session::int AND id >= (SELECT last_value * @pick::float8 FROM orders_id_seq)::bigint
                  ORDER BY id LIMIT 1)
    RETURNING id
)
INSERT INTO payments_card ("order", amount, paid, card)
SELECT id, 100 * @pick::float8, clock_timestamp(), 'X' || id FROM o
