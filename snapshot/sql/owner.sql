-- The beginning of a session as the owner of the table $1 would have it: the role, and the search_path that is set for it.
SELECT 'SET LOCAL ROLE ' || pg_catalog.quote_ident(r.rolname) || '; SELECT pg_catalog.set_config(''search_path'', '
       || pg_catalog.quote_literal(coalesce((
           SELECT pg_catalog.substr(setting, 13) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) setting
            WHERE setting LIKE 'search\_path=%' AND s.setrole IN (0, r.oid)
              AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
            ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1), '"$user", public')) || ', true); '
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE c.oid = $1::text::pg_catalog.regclass
