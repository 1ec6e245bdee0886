INSERT INTO clicks (visitor, path, seconds, clicked)
SELECT 4 * (@pick::float8 * 500)::int + @session::int, '/page/' || i / 2, @pick::float8 / 3, now() FROM generate_series(2, 4) i
