-- The statement that has capture_{{number}} record in segment {{segment}}: its own definition, with nothing else changed. Its arguments are of
-- the users' own types where an earlier pgibex has made it.
SELECT pg_catalog.regexp_replace(pg_catalog.pg_get_functiondef(p.oid), '(\.delta_{{number}}_)[0-9]+( VALUES)', '\1{{segment}}\2')
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = $1 AND p.proname = 'capture_{{number}}'
