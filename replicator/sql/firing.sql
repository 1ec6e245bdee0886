-- What code of other roles runs, with our rights, when rows are written to the tables $1 of the target, although our sessions fire neither ordinary
-- triggers nor foreign keys: in words, by table. Code of superusers and of ours is left out.
WITH RECURSIVE written AS (
    SELECT c.oid, n.nspname::text AS schema_name, c.relname::text AS table_name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY ($1::oid[])
), types AS ( -- domains over domains, and arrays of them
    SELECT a.attrelid AS relid, a.atttypid AS oid FROM pg_catalog.pg_attribute a JOIN written w ON w.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
     UNION
    SELECT s.relid, u.oid FROM types s JOIN pg_catalog.pg_type t ON t.oid = s.oid
     CROSS JOIN LATERAL (SELECT t.typbasetype AS oid WHERE t.typbasetype <> 0 UNION ALL SELECT t.typelem WHERE t.typelem <> 0) u
), code AS (
    SELECT t.tgrelid AS relid, 'trigger ' || pg_catalog.quote_ident(t.tgname) || CASE t.tgenabled WHEN 'A' THEN ' (ENABLE ALWAYS)' ELSE ' (ENABLE REPLICA)' END AS what, t.tgfoid AS proc
      FROM pg_catalog.pg_trigger t JOIN written w ON w.oid = t.tgrelid WHERE t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal
     UNION ALL
    SELECT k.conrelid, 'check ' || pg_catalog.quote_ident(k.conname), d.refobjid
      FROM pg_catalog.pg_constraint k JOIN written w ON w.oid = k.conrelid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
     WHERE k.contype = 'c'
     UNION ALL
    SELECT s.relid, 'domain ' || k.contypid::pg_catalog.regtype, d.refobjid
      FROM types s JOIN pg_catalog.pg_constraint k ON k.contypid = s.oid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
     UNION ALL
    SELECT i.indrelid, 'index ' || pg_catalog.quote_ident(x.relname), d.refobjid
      FROM pg_catalog.pg_index i JOIN written w ON w.oid = i.indrelid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = x.oid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
     UNION ALL -- a generated column depends on them itself
    SELECT a.attrelid, 'column ' || pg_catalog.quote_ident(a.attname), d.refobjid
      FROM pg_catalog.pg_attribute a JOIN written w ON w.oid = a.attrelid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
     WHERE a.attnum > 0
     UNION ALL
    SELECT f.adrelid, 'column ' || pg_catalog.quote_ident(a.attname), d.refobjid
      FROM pg_catalog.pg_attrdef f JOIN written w ON w.oid = f.adrelid JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
)
SELECT w.schema_name, w.table_name,
       pg_catalog.string_agg(DISTINCT c.what || ': function ' || p.oid::pg_catalog.regprocedure || ' of ' || pg_catalog.quote_ident(o.rolname), '; ')
  FROM code c JOIN written w ON w.oid = c.relid JOIN pg_catalog.pg_proc p ON p.oid = c.proc JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
 WHERE NOT o.rolsuper AND o.rolname <> current_user
 GROUP BY 1, 2 ORDER BY 1, 2
