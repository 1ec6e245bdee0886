-- Number and fingerprint of a table's rows: the hashes of all rows, in the order of the hashes.
SELECT count(*), coalesce(md5(string_agg(hash, '' ORDER BY hash COLLATE "C")), '')
  FROM (SELECT md5(ROW({{columns}})::text) AS hash FROM ONLY {{table}}) AS hashes
