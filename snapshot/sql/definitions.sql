-- How to build again what is dropped for the copy of the table $1: kind, name, the table it belongs to, how to drop it,
-- and statements (those of null parts fall away). Foreign keys of other tables that refer to it are among them: a primary key
-- can not be dropped under them. They are dropped first and built last, the primary key the reverse.
SELECT 'index' AS kind, x.relname AS name, t.sql AS table_sql,
       CASE WHEN c.oid IS NULL THEN 'DROP INDEX ' || x.oid::pg_catalog.regclass
            ELSE 'ALTER TABLE ONLY ' || t.sql || ' DROP CONSTRAINT ' || pg_catalog.quote_ident(c.conname) END AS drop_sql,
       pg_catalog.array_remove(ARRAY[
           'SET LOCAL default_tablespace = ' || pg_catalog.quote_ident(s.spcname),
           CASE WHEN i.indisexclusion
                THEN 'ALTER TABLE ONLY ' || t.sql || ' ADD CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' ' || pg_catalog.pg_get_constraintdef(c.oid)
                ELSE pg_catalog.pg_get_indexdef(x.oid) END,
           CASE WHEN c.contype IN ('p', 'u') AND NOT i.indisexclusion
                THEN 'ALTER TABLE ONLY ' || t.sql || ' ADD CONSTRAINT ' || pg_catalog.quote_ident(c.conname)
                     || CASE c.contype WHEN 'p' THEN ' PRIMARY KEY' ELSE ' UNIQUE' END || ' USING INDEX ' || pg_catalog.quote_ident(x.relname)
                     || CASE WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN c.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END END,
           CASE WHEN i.indisclustered THEN 'ALTER TABLE ONLY ' || t.sql || ' CLUSTER ON ' || pg_catalog.quote_ident(x.relname) END,
           CASE WHEN i.indisreplident THEN 'ALTER TABLE ONLY ' || t.sql || ' REPLICA IDENTITY USING INDEX ' || pg_catalog.quote_ident(x.relname) END,
           'COMMENT ON INDEX ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(x.relname) || ' IS '
               || pg_catalog.quote_literal(pg_catalog.obj_description(x.oid, 'pg_class')),
           'COMMENT ON CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' ON ' || t.sql || ' IS '
               || pg_catalog.quote_literal(pg_catalog.obj_description(c.oid, 'pg_constraint'))
       ], NULL) AS statements,
       CASE WHEN i.indisprimary THEN 0 WHEN i.indisunique THEN 1 ELSE 2 END AS ordinal
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_class r ON r.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
  CROSS JOIN LATERAL (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname) AS sql) t
  LEFT JOIN pg_catalog.pg_constraint c ON c.conindid = x.oid AND c.conrelid = r.oid AND c.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = x.reltablespace
 WHERE i.indrelid = $1::text::pg_catalog.regclass AND i.indisvalid
UNION ALL
SELECT 'foreign key', c.conname, t.sql,
       'ALTER TABLE ONLY ' || t.sql || ' DROP CONSTRAINT ' || pg_catalog.quote_ident(c.conname),
       pg_catalog.array_remove(ARRAY[
           'ALTER TABLE ONLY ' || t.sql || ' ADD CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' ' || pg_catalog.pg_get_constraintdef(c.oid)
               || CASE WHEN c.convalidated THEN ' NOT VALID' ELSE '' END,
           'COMMENT ON CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' ON ' || t.sql || ' IS '
               || pg_catalog.quote_literal(pg_catalog.obj_description(c.oid, 'pg_constraint')),
           CASE WHEN c.convalidated THEN 'ALTER TABLE ONLY ' || t.sql || ' VALIDATE CONSTRAINT ' || pg_catalog.quote_ident(c.conname) END
       ], NULL), 3
  FROM pg_catalog.pg_constraint c
  JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
  CROSS JOIN LATERAL (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname) AS sql) t
 WHERE c.contype = 'f' AND (c.conrelid = $1::text::pg_catalog.regclass OR c.confrelid = $1::text::pg_catalog.regclass)
 ORDER BY ordinal DESC, name
