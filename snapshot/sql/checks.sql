-- The CHECK constraints of the target's table $1 that may reject rows which the source has: kind, name, the table that defines it (an
-- inherited one is its ancestor's), whether something else than the row itself decides (a function that is not built in and immutable,
-- the user, the time, a cast by way of text, which goes by settings), how to drop it and how to add it unchecked.
WITH RECURSIVE self_and_above (oid) AS (
    SELECT $1::text::pg_catalog.regclass::oid
  UNION
    SELECT i.inhparent FROM self_and_above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.oid
)
SELECT 'check' AS kind, c.conname, t.sql,
       c.conbin::text ~ '\{(SQLVALUEFUNCTION|COERCEVIAIO) ' OR EXISTS (
           SELECT 1 FROM pg_catalog.regexp_matches(c.conbin::text, ':(?:funcid|opfuncid) (\d+)', 'g') m
             JOIN pg_catalog.pg_proc p ON p.oid = m[1]::oid
            WHERE p.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
                    WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid AND e.deptype = 'e')
               OR p.provolatile <> 'i') AS beyond_row,
       'ALTER TABLE ' || t.sql || ' DROP CONSTRAINT ' || pg_catalog.quote_ident(c.conname) AS drop_sql,
       pg_catalog.array_remove(ARRAY[
           'ALTER TABLE ' || t.sql || ' ADD CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' ' || pg_catalog.pg_get_constraintdef(c.oid)
               || CASE WHEN c.convalidated THEN ' NOT VALID' ELSE '' END,
           'COMMENT ON CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' ON ' || t.sql || ' IS '
               || pg_catalog.quote_literal(pg_catalog.obj_description(c.oid, 'pg_constraint'))
       ], NULL) AS statements,
       'ALTER TABLE ' || t.sql || ' VALIDATE CONSTRAINT ' || pg_catalog.quote_ident(c.conname) AS validate_sql
  FROM self_and_above a
  JOIN pg_catalog.pg_constraint c ON c.conrelid = a.oid AND c.contype = 'c' AND c.coninhcount = 0
  JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
  CROSS JOIN LATERAL (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname) AS sql) t
 WHERE c.conrelid = $1::text::pg_catalog.regclass OR NOT c.connoinherit
 ORDER BY c.conname
