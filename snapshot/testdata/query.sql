-- whole
SELECT "id", "v" FROM ONLY "public"."t"

-- keys
SELECT "id", "v" FROM ONLY "public"."t" WHERE "id" >= 8 AND "id" < 16

-- last keys
SELECT "id", "v" FROM ONLY "public"."t" WHERE "id" >= 8

-- blocks of 9.2
SELECT "id", "v" FROM ONLY "public"."t" WHERE ctid = ANY (ARRAY(SELECT ('(' || b || ',' || i || ')')::pg_catalog.tid
		FROM pg_catalog.generate_series(8::bigint, 15::bigint) b, pg_catalog.generate_series(1, 291) i))

-- blocks of 14
SELECT "id", "v" FROM ONLY "public"."t" WHERE ctid >= '(8,0)' AND ctid < '(16,0)'
