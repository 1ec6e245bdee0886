-- The row and statement triggers of ours that are there, on tables $1, and whether each fires always.
SELECT t.tgrelid, t.tgname, t.tgenabled = 'A'
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = $2 AND t.tgrelid = ANY ($1::oid[])
