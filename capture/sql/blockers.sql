-- Who holds a lock on one of the tables $1, in words for an operator. How long, is unknown (-1) where the role may not see it.
-- The virtual transaction tells it from any other; the last but one says whether it is an autovacuum, and of which kind; the last, which table it is.
SELECT coalesce(l.pid, 0), coalesce(a.usename::text, p.owner::text, ''), coalesce(a.application_name, ''), coalesce(p.gid, ''),
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), -1)::float8,
       l.mode, coalesce(a.state, ''), coalesce(pg_catalog.left(a.query, 80), ''), l.virtualtransaction,
       -- Of others' sessions a plain role sees user, application and locks. An autovacuum's user is who made the cluster, since 10 nobody.
       CASE WHEN a.query LIKE 'autovacuum: %(to prevent wraparound)' THEN 'wraparound'
            WHEN a.query LIKE 'autovacuum: %' THEN 'ordinary'
            WHEN a.query = '<insufficient privilege>' AND coalesce(a.usesysid, 10) = 10 AND a.application_name = ''
             AND l.mode = 'ShareUpdateExclusiveLock' THEN 'unknown'
            ELSE '' END,
       l.relation
  FROM pg_catalog.pg_locks l
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction::text
 WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY ($1::oid[])
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
 ORDER BY 5 DESC
