-- What may not occur twice in a table: its unique indexes and exclusion constraints, as they are defined but for their names.
-- Versions write storage parameters in different ways.
SELECT i.indrelid, pg_catalog.regexp_replace(coalesce('EXCLUDE' || pg_catalog.substring(pg_catalog.pg_get_constraintdef(x.oid), ' USING .*'),
                                                      pg_catalog.substring(pg_catalog.pg_get_indexdef(i.indexrelid), ' USING .*')), E' WITH \\(\\w+=[^)]*\\)', '')
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_constraint x ON x.conindid = i.indexrelid AND x.contype = 'x'
 WHERE (i.indisunique OR i.indisexclusion)
   AND c.relkind IN ('r', 'p')
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname NOT LIKE 'pgibex\_%'
   AND n.nspname <> 'information_schema'
