UPDATE clicks SET seconds = seconds + 0.1 WHERE visitor = 4 * (@pick::float8 * 490)::int + @session::int;
DELETE FROM clicks WHERE visitor = 4 * (@pick::float8 * 490 + 1)::int + @session::int
