-- Unique indexes and exclusion constraints, with the equality operator of each key column's operator class: the one that the index
-- can serve and that says what "the same key" means (citext's lives outside pg_catalog). So do the type that the class takes, and a
-- collation that is nondeterministic. Expressions behind /*...*/ marks stand for what 9.2 does not have.
SELECT i.indrelid, x.relname, i.indisprimary, i.indimmediate, i.indisvalid AND i.indisready,
       i.indpred IS NOT NULL, i.indexprs IS NOT NULL, i.indisexclusion,
       ARRAY(SELECT i.indkey[k] FROM pg_catalog.generate_series(0, /*nkeys*/i.indnatts - 1) k ORDER BY k),
       ARRAY(SELECT 'OPERATOR(' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ')'
               FROM pg_catalog.generate_series(0, /*nkeys*/i.indnatts - 1) k
               JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[k]
               JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
               JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr
               JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
              ORDER BY k),
       ARRAY(SELECT pg_catalog.format_type(oc.opcintype, NULL)
               FROM pg_catalog.generate_series(0, /*nkeys*/i.indnatts - 1) k
               JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[k]
              ORDER BY k),
       ARRAY(SELECT /*loose i.indcollation[k]*/''::text
               FROM pg_catalog.generate_series(0, /*nkeys*/i.indnatts - 1) k
              ORDER BY k)
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE (i.indisunique OR i.indisexclusion)
   AND c.relkind IN ('r', 'p')
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname NOT LIKE 'pgibex\_%'
   AND n.nspname <> 'information_schema'
 ORDER BY i.indrelid, i.indisprimary DESC, x.relname
