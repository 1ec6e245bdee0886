-- What may not occur twice in the table $1, nor on the source, whose definitions are $2: for each unique index and exclusion constraint the expressions, the
-- operators by which two rows conflict, and the predicate.
SELECT ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, true) FROM pg_catalog.generate_series(1, n.keys) k ORDER BY k),
       ARRAY(SELECT 'OPERATOR(' || pg_catalog.quote_ident(s.nspname) || '.' || o.oprname || ')'
               FROM pg_catalog.generate_series(0, n.keys - 1) k
               JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[k]
               LEFT JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
               JOIN pg_catalog.pg_operator o ON o.oid = coalesce(c.conexclop[k + 1], ao.amopopr)
               JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
              ORDER BY k),
       coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid, true), 'true')
  FROM pg_catalog.pg_index i
  CROSS JOIN LATERAL (SELECT /*nkeys*/i.indnatts::int AS keys) n
  LEFT JOIN pg_catalog.pg_constraint c ON c.conindid = i.indexrelid AND c.contype = 'x'
 WHERE i.indrelid = $1::text::pg_catalog.regclass AND i.indislive AND (i.indisunique OR i.indisexclusion)
   AND pg_catalog.regexp_replace(coalesce('EXCLUDE' || pg_catalog.substring(pg_catalog.pg_get_constraintdef(c.oid), ' USING .*'),
                                          pg_catalog.substring(pg_catalog.pg_get_indexdef(i.indexrelid), ' USING .*')), E' WITH \\(\\w+=[^)]*\\)', '') = ANY ($2::text[])
