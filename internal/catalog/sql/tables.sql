-- Every relation of the users that holds or shows rows. pg_class.reltuples is -1 where it is not known (14).
SELECT c.oid, n.nspname, c.relname, c.relkind::text,
       greatest(c.reltuples, 0)::bigint, c.relhasrules
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND c.relpersistence <> 't'
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname NOT LIKE 'pgibex\_%'
   AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname
