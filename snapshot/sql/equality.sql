-- The equality operator by which the default btree index tells values of type $1 apart; that of another type, which $1 counts as there (an
-- enum, an array, varchar), is PostgreSQL's own.
SELECT coalesce(
    (SELECT 'OPERATOR(' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ')'
       FROM pg_catalog.pg_opclass oc
       JOIN pg_catalog.pg_am m ON m.oid = oc.opcmethod AND m.amname = 'btree'
       JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
        AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
       JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr
       JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
      WHERE oc.opcdefault AND oc.opcintype = $1::text::pg_catalog.regtype),
    'OPERATOR(pg_catalog.=)')
