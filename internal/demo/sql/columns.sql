-- The shop's tables with their columns in order, floats marked: their text is not their value in 9.2.
SELECT c.relname, a.attname, a.atttypid IN ('float4'::regtype, 'float8'::regtype)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'r' AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public')
 ORDER BY c.relname, a.attnum
