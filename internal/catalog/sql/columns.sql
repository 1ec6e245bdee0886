-- Columns of ordinary tables, with domains resolved to what they are made of. The expressions behind
-- /*...*/ marks stand for attributes that 9.2 does not have; later versions get the attribute.
WITH RECURSIVE domain (oid, base, typmod) AS (
    SELECT oid, typbasetype, typtypmod FROM pg_catalog.pg_type WHERE typtype = 'd'
  UNION ALL
    SELECT d.oid, t.typbasetype, t.typtypmod
      FROM domain d JOIN pg_catalog.pg_type t ON t.oid = d.base
     WHERE t.typtype = 'd'
)
SELECT a.attrelid, a.attnum, a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       pg_catalog.format_type(b.oid, coalesce(d.typmod, a.atttypmod)),
       pg_catalog.format_type(b.oid, -1),
       b.oid >= 16384 OR b.typtype = 'c', -- FirstNormalObjectId
       EXISTS (SELECT 1 FROM pg_catalog.pg_cast x
           WHERE x.castsource = 'pg_catalog.text'::pg_catalog.regtype AND x.casttarget = b.oid AND x.castfunc <> 0),
       (b.typtype = 'e' OR b.typcategory = 'S') AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_cast x
           WHERE x.castsource = b.oid AND x.casttarget = 'pg_catalog.text'::pg_catalog.regtype AND x.castfunc <> 0),
       a.attnotnull,
       a.atthasdef,
       /*identity*/'',
       /*generated*/'',
       a.atttypid, a.atttypmod, /*loose attcollation*/''::text
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT d.* FROM domain d JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype <> 'd') d ON d.oid = a.atttypid
  JOIN pg_catalog.pg_type b ON b.oid = coalesce(d.base, a.atttypid)
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p')
   AND c.relpersistence <> 't'
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname NOT LIKE 'pgibex\_%'
   AND n.nspname <> 'information_schema'
 ORDER BY a.attrelid, a.attnum
