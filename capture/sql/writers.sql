-- Transactions that may still write to the tables $1 by a body of the trigger function from before a switch: they hold ROW
-- EXCLUSIVE. Whoever holds another lock takes this one before it writes, and accepts the new body then (a session remembers
-- its locks by mode); to count VACUUM's would keep segments open for hours. Prepared ones appear as -1/txid.
SELECT l.relation, l.virtualtransaction, coalesce(x.transactionid::text, '')
  FROM pg_catalog.pg_locks l
  LEFT JOIN pg_catalog.pg_locks x
         ON x.locktype = 'transactionid' AND x.granted AND x.mode = 'ExclusiveLock' AND x.virtualtransaction = l.virtualtransaction
 WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY ($1::oid[])
   AND l.mode = 'RowExclusiveLock'
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
