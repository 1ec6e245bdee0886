-- The types $1, and what each is directly made of. Expressions behind /*...*/ marks stand for what 9.2 does not have.
SELECT t.oid, n.nspname, CASE n.nspname WHEN 'pg_catalog' THEN pg_catalog.format_type(t.oid, NULL) ELSE t.typname END,
       pg_catalog.format_type(t.oid, -1), t.typtype::text,
       t.typbasetype, t.typtypmod,
       t.typnotnull OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid),
       CASE t.oid WHEN e.typarray THEN e.oid ELSE 0 END,
       coalesce(r.rngsubtype, 0), /*loose rngcollation*/''::text,
       ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.atttypmod FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT /*loose attcollation*/''::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
  LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
 WHERE t.oid = ANY ($1)
