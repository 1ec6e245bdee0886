WITH doomed AS (
		SELECT there.ctid FROM (SELECT ctid, (lower(email)) AS c0, (shop) AS c1 FROM ONLY "public"."t" WHERE active) there
		  JOIN (SELECT (lower(email)) AS c0, (shop) AS c1 FROM pg_temp.stage_7 WHERE active) here ON there.c0 OPERATOR(pg_catalog.=) here.c0 AND there.c1 OPERATOR(pg_catalog.=) here.c1)
		DELETE FROM ONLY "public"."t" WHERE ctid = ANY (ARRAY(SELECT ctid FROM doomed))
