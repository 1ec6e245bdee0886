-- Sequences, with the column that owns each, if one does, the tables whose defaults draw from it, and what our role may do with it.
SELECT s.oid, n.nspname, s.relname, current_user::text,
       coalesce(tn.nspname, ''), coalesce(t.relname, ''), coalesce(a.attname, ''), coalesce(pg_catalog.format_type(a.atttypid, NULL), ''),
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), true),
       coalesce(pg_catalog.has_sequence_privilege(s.oid, 'SELECT'), true),
       coalesce(pg_catalog.has_sequence_privilege(s.oid, 'UPDATE'), true),
       u.schemas, u.tables,
       /*type*/'bigint', /*increment*/0::bigint, /*min*/0::bigint, /*max*/0::bigint, /*start*/0::bigint, /*cache*/0::bigint, /*cycle*/false
  FROM pg_catalog.pg_class s
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
  /*properties*/
  LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
  LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN (
        SELECT def.refobjid AS oid, pg_catalog.array_agg(un.nspname::text) AS schemas, pg_catalog.array_agg(ut.relname::text) AS tables
          FROM pg_catalog.pg_depend def
          JOIN pg_catalog.pg_attrdef ad ON ad.oid = def.objid
          JOIN pg_catalog.pg_class ut ON ut.oid = ad.adrelid
          JOIN pg_catalog.pg_namespace un ON un.oid = ut.relnamespace
         WHERE def.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
           AND def.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND def.refobjsubid = 0
         GROUP BY def.refobjid) u ON u.oid = s.oid
 WHERE s.relkind = 'S'
   AND s.relpersistence <> 't'
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname NOT LIKE 'pgibex\_%'
   AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, s.relname
