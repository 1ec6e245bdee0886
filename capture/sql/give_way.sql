-- Cancels what our sessions, named $1 and something, are reading from tables that somebody else waits to have for himself: who and since when.
SELECT pid || ' ' || coalesce(xact_start::text, ''), pg_catalog.pg_cancel_backend(pid) FROM (
    SELECT DISTINCT ours.pid, a.xact_start
      FROM pg_catalog.pg_locks waits
      JOIN pg_catalog.pg_locks ours ON ours.locktype = 'relation' AND ours.granted AND ours.database = waits.database AND ours.relation = waits.relation
      JOIN pg_catalog.pg_stat_activity a ON a.pid = ours.pid AND pg_catalog.strpos(a.application_name, $1) = 1
      LEFT JOIN pg_catalog.pg_stat_activity other ON other.pid = waits.pid
     WHERE waits.locktype = 'relation' AND NOT waits.granted AND waits.mode = 'AccessExclusiveLock'
       AND waits.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND pg_catalog.strpos(other.application_name, $1) <> 1) reading
