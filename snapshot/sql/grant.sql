-- What gives our role the rights of the owner of the table $1, which altering it takes; no row where it has them.
SELECT 'GRANT ' || pg_catalog.quote_ident(o.rolname) || ' TO ' || pg_catalog.quote_ident(current_user)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
 WHERE pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) = $1
   AND NOT pg_catalog.pg_has_role(o.oid, 'USAGE')
