-- whole
SELECT "id", "v" FROM ONLY "public"."t"

-- keys
SELECT "id", "v" FROM ONLY "public"."t" WHERE "id" >= 8 AND "id" < 16

-- last keys
SELECT "id", "v" FROM ONLY "public"."t" WHERE "id" >= 8

-- blocks of 9.2
SELECT "id", "v" FROM ONLY "public"."t" WHERE ctid = ANY (ARRAY(SELECT (block || line)::pg_catalog.tid
		FROM (SELECT '(' || b AS block FROM pg_catalog.generate_series(8::bigint, 15::bigint) b OFFSET 0) b,
			(SELECT ',' || i || ')' AS line FROM pg_catalog.generate_series(1, 291) i OFFSET 0) l))

-- blocks of 14
SELECT "id", "v" FROM ONLY "public"."t" WHERE ctid >= '(8,0)' AND ctid < '(16,0)'
