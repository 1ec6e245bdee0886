-- The functions, neither built in nor an extension's, that the CHECKs of the domains call which the columns of the table $1 consist of.
WITH RECURSIVE used (oid) AS (
    SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
  UNION
    SELECT p.part FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid
      CROSS JOIN LATERAL (
          SELECT t.typbasetype AS part WHERE t.typtype = 'd'
        UNION ALL
          SELECT t.typelem WHERE t.typelem <> 0
        UNION ALL
          SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p
)
SELECT DISTINCT 'CHECK ' || pg_catalog.quote_ident(c.conname) || ' of domain ' || pg_catalog.format_type(u.oid, NULL) || ' calls ' || p.oid::pg_catalog.regprocedure
  FROM used u
  JOIN pg_catalog.pg_constraint c ON c.contypid = u.oid
 CROSS JOIN LATERAL pg_catalog.regexp_matches(c.conbin::text, ':(?:funcid|opfuncid) (\d+)', 'g') m
  JOIN pg_catalog.pg_proc p ON p.oid = m[1]::oid
 WHERE p.oid >= 16384 AND NOT EXISTS (
       SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid AND e.deptype = 'e')
 ORDER BY 1
