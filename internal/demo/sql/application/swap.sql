-- Two rows exchange what is unique.
UPDATE seats SET place = -place
 WHERE id IN (4 * (1 + @pick::float8 * 97)::int + @session::int, 4 * (2 + @pick::float8 * 97)::int + @session::int);
UPDATE seats s SET place = -o.place
  FROM seats o
 WHERE s.place < 0 AND o.place < 0 AND s.id <> o.id AND s.id % 4 = @session::int AND o.id % 4 = @session::int
