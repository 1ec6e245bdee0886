-- What has the names $1 (schemas) and $2 (relations): whether the schema is there, and the kind of the relation, '' for none.
SELECT w.nspname, w.relname, n.oid IS NOT NULL, coalesce(c.relkind::text, '')
  FROM (SELECT pg_catalog.unnest($1::text[]) AS nspname, pg_catalog.unnest($2::text[]) AS relname) w
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
