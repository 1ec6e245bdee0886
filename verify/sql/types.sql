-- The types of the columns of the tables $1 (their row types are types like any other), and what those are made of.
WITH RECURSIVE consists (oid, part) AS (
    SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typtype = 'd'
  UNION ALL
    SELECT oid, typelem FROM pg_catalog.pg_type WHERE typelem <> 0 AND typlen = -1
  UNION ALL
    SELECT rngtypid, rngsubtype FROM pg_catalog.pg_range
  UNION ALL
    SELECT c.reltype, a.atttypid
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
     WHERE c.reltype <> 0 AND a.attnum > 0 AND NOT a.attisdropped
), used (oid) AS (
    SELECT reltype FROM pg_catalog.pg_class WHERE oid = ANY ($1)
  UNION
    SELECT c.part FROM used u JOIN consists c ON c.oid = u.oid
)
SELECT t.oid, t.typrelid, pg_catalog.format_type(t.oid, -1), t.typtype::text, t.typbasetype,
       CASE t.typlen WHEN -1 THEN t.typelem ELSE 0 END,
       coalesce(r.rngsubtype, 0),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
  FROM used u
  JOIN pg_catalog.pg_type t ON t.oid = u.oid
  LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
