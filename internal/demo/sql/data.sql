-- Some 330,000 rows. What the application's session n works on is what belongs to customers with id % 4 = n,
-- to shelves with shelf % 4 = n and so on; so an order's products come from the shelves of its customer's session.
INSERT INTO customers (email, name, tags, balance, last_ip, joined)
SELECT 'customer' || i || '@example.org', 'Customer ' || i,
       CASE WHEN i % 3 > 0 THEN ARRAY['tag ' || i % 7, NULL, '"quoted", {braced}'] END,
       round((random() * 1000)::numeric, 2),
       '10.0.0.0'::inet + i, timestamptz '2009-01-01' + random() * interval '1000 days'
  FROM generate_series(1, 30000) i;

INSERT INTO categories (parent, name)
SELECT CASE WHEN i > 20 THEN (i - 1) % 20 + 1 END, 'Category ' || i FROM generate_series(1, 200) i;

INSERT INTO products (sku, shelf, category, name, price, weight, attributes, picture)
SELECT 'SKU-' || to_char(i, 'FM00000'), i % 100, i % 100 + 100, 'Product ' || i, round((random() * 100)::numeric, 2),
       CASE i % 1000 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' ELSE random() / 3 END,
       ('{"colour":  "' || (ARRAY['red', 'blå', 'grün'])[i % 3 + 1] || '", "size": ' || i % 50 || '}')::json,
       decode(md5(i::text), 'hex')
  FROM generate_series(0, 4999) i;

INSERT INTO stock (warehouse, sku, quantity)
SELECT w, sku, 1000 FROM products, generate_series(1, 2) w;

INSERT INTO orders (customer, status, invoice, note, placed)
SELECT i % 30000 + 1, (ARRAY['new', 'paid', 'shipped', 'returned'])[i % 4 + 1]::order_status,
       CASE WHEN i % 4 > 0 THEN nextval('invoices') END,
       CASE i % 50 WHEN 0 THEN E'a tab\t, a newline\n, a backslash \\ and \\N' WHEN 1 THEN '' END,
       timestamptz '2012-01-01' + i * interval '5 minutes' + random() * interval '4 minutes'
  FROM generate_series(1, 50000) i;

INSERT INTO "Order Items" ("Order", line, sku, "Quantity", price)
SELECT o.id, line, 'SKU-' || to_char((o.customer % 4 + 4 * ((o.id * 7 + line * 13) % 1250)), 'FM00000'), line, 9.99 * line
  FROM orders o, generate_series(1, 3) line;

INSERT INTO payments ("order", amount, paid)
SELECT id, 10, placed FROM orders WHERE status = 'returned' AND id % 10 = 3;
INSERT INTO payments_card ("order", amount, paid, card)
SELECT id, 29.97, placed, 'X' || id FROM orders WHERE status IN ('paid', 'shipped');
INSERT INTO payments_transfer ("order", amount, paid, iban, cleared)
SELECT id, 29.97, placed, 'DE' || id, CASE WHEN id % 5 > 0 THEN placed::date END FROM orders WHERE status = 'returned';

INSERT INTO clicks (visitor, path, seconds, clicked)
SELECT i / 20, '/page/' || i % 5, (i % 5)::float8 / 3, timestamptz '2013-01-01' + i / 20 * interval '1 minute'
  FROM generate_series(0, 39999) i;

INSERT INTO seats SELECT i, i FROM generate_series(1, 400) i;
INSERT INTO carts (opened) SELECT now() FROM generate_series(1, 500);
INSERT INTO cart_items SELECT id, 'SKU-' || to_char(n, 'FM00000'), n FROM carts, generate_series(1, 3) n;

INSERT INTO "we""ird"
SELECT i % 4 || '/' || i || (ARRAY['', ' ''single''', ' "double"', E' \\back\\', ' 🐐'])[i % 5 + 1],
       (ARRAY[NULL, '', '\N', '\.', E'\r\n'])[i % 5 + 1]
  FROM generate_series(1, 2000) i;
