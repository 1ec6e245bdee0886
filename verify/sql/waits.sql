-- Which relations the sessions of the backends $1 wait for, and who has them locked or is before them in the queue, in words.
SELECT DISTINCT n.nspname || '.' || c.relname,
       CASE WHEN h.pid IS NULL THEN 'a prepared transaction'
            ELSE 'pid ' || h.pid || ' of ' || coalesce(a.usename::text, '') || ' (' || coalesce(a.application_name, '') || ')' END
       || CASE WHEN h.granted THEN '' ELSE ', itself waiting,' END || ' with ' || h.mode
       || CASE WHEN a.query <> '<insufficient privilege>' THEN ': ' || pg_catalog.left(a.query, 80) ELSE '' END
  FROM pg_catalog.pg_locks w
  JOIN pg_catalog.pg_locks h ON h.locktype = 'relation' AND h.relation = w.relation AND h.database = w.database AND h.mode = 'AccessExclusiveLock'
  JOIN pg_catalog.pg_class c ON c.oid = w.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid
 WHERE w.pid = ANY ($1::int[]) AND NOT w.granted AND w.locktype = 'relation'
   AND w.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
