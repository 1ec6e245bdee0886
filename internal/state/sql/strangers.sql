-- What in the schema $1 is not to be trusted, with its owner: what neither our role nor a superuser owns, and relations that run code when they
-- are read. Whoever may create a schema may have made it before us.
SELECT o.what, pg_catalog.pg_get_userbyid(o.owner)::text, o.runs
  FROM (SELECT 1 AS ordinal, 'the schema' AS what, nspowner AS owner, false AS runs FROM pg_catalog.pg_namespace WHERE nspname = $1
         UNION ALL
        SELECT 2, 'relation ' || c.oid::pg_catalog.regclass, c.relowner, c.relkind NOT IN ('r', 'i', 'S', 'c', 't') OR c.relhasrules
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1
         UNION ALL
        SELECT 3, 'function ' || p.oid::pg_catalog.regprocedure, p.proowner, false
          FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1
         UNION ALL
        SELECT 4, 'type ' || t.oid::pg_catalog.regtype, t.typowner, false
          FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1
         UNION ALL
        SELECT 5, 'operator ' || q.oid::pg_catalog.regoperator, q.oprowner, false
          FROM pg_catalog.pg_operator q JOIN pg_catalog.pg_namespace n ON n.oid = q.oprnamespace WHERE n.nspname = $1
       ) o
  JOIN pg_catalog.pg_roles r ON r.oid = o.owner
 WHERE o.runs OR r.rolname <> current_user AND NOT r.rolsuper
 ORDER BY o.ordinal, o.what
 LIMIT 1
