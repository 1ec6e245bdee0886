-- Some thousand rows at once.
UPDATE "Order Items" i SET price = i.price * 0.99
  FROM orders o
 WHERE o.id = i."Order" AND o.customer % 4 = @session::int
   AND o.id BETWEEN (@pick::float8 * 40000)::bigint AND (@pick::float8 * 40000)::bigint + 4000
