-- Who keeps the tables $1 from being written to by the sessions named $2 and something: transactions that hold the table against every
-- writer, or wait to do so with those that keep them waiting, and transactions that may hold some of its rows. With $3, who keeps them from
-- being altered: all who hold any lock. How long, is unknown (-1) where the role may not see it. In words for an operator, the strongest lock of each, the oldest transaction first.
SELECT relation, virtualtransaction, whole, pid, owner, application, gid, seconds, lock, state, query FROM (
    SELECT DISTINCT ON (l.relation, l.virtualtransaction) l.relation, l.virtualtransaction, w.whole,
           coalesce(l.pid, 0) AS pid, coalesce(a.usename::text, p.owner::text, '') AS owner, coalesce(a.application_name, '') AS application,
           coalesce(p.gid, '') AS gid, coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), -1)::float8 AS seconds,
           CASE WHEN l.granted THEN 'with ' ELSE 'waiting for ' END || l.mode AS lock,
           coalesce(a.state, '') AS state, coalesce(pg_catalog.left(a.query, 80), '') AS query
      FROM pg_catalog.pg_locks l
      LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      LEFT JOIN pg_catalog.pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction::text
     CROSS JOIN LATERAL (SELECT $3 OR l.mode = ANY (ARRAY['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])
            OR EXISTS (SELECT 1 FROM pg_catalog.pg_locks q LEFT JOIN pg_catalog.pg_stat_activity qa ON qa.pid = q.pid
                        WHERE q.locktype = 'relation' AND NOT q.granted AND q.database = l.database AND q.relation = l.relation
                          AND q.mode = ANY (ARRAY['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])
                          AND pg_catalog.strpos(coalesce(qa.application_name, ''), $2) <> 1) AS whole) w
     WHERE l.locktype = 'relation' AND l.relation = ANY ($1::oid[])
       AND (w.whole OR l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND pg_catalog.strpos(coalesce(a.application_name, ''), $2) <> 1
     ORDER BY l.relation, l.virtualtransaction, w.whole DESC, l.granted DESC, l.mode) holders
 ORDER BY seconds DESC
