-- Who holds, or waits for, a lock on a sequence in one of the modes $1: the sequence, and the session in words for an operator.
SELECT l.relation,
       CASE WHEN p.gid IS NOT NULL THEN 'prepared transaction ' || p.gid
            ELSE 'pid ' || coalesce(l.pid::text, '?') || coalesce(' of ' || a.usename || ' (' || a.application_name || ')', '') END
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind = 'S'
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction::text
 WHERE l.locktype = 'relation'
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND l.mode = ANY ($1)
   AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
 ORDER BY l.granted, l.relation
