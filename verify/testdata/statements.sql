-- float
CASE t.x WHEN 'NaN' THEN ''::bytea ELSE float8send(t.x) END

-- point
point_send(t.x)

-- array of floats
CASE WHEN 'NaN' = ANY (t.x) THEN CASE WHEN t.x IS NOT NULL THEN ROW(array_dims(t.x), ARRAY(SELECT ROW(CASE u.e WHEN 'NaN' THEN ''::bytea ELSE float8send(u.e) END)::text FROM (SELECT unnest(t.x) AS e OFFSET 0) u))::text END ELSE overlay(array_send(t.x) PLACING '\x0000000000000000'::bytea FROM 5)::text END

-- domain
CASE (t.x)::double precision WHEN 'NaN' THEN ''::bytea ELSE float8send((t.x)::double precision) END

-- composite
CASE WHEN (t.x)::text IS NOT NULL THEN ROW(CASE ((t.x)."a b")::double precision WHEN 'NaN' THEN ''::bytea ELSE float8send(((t.x)."a b")::double precision) END, (t.x)."t")::text END

-- array of composites
CASE WHEN t.x IS NOT NULL THEN ROW(array_dims(t.x), ARRAY(SELECT ROW(CASE WHEN (u.e)::text IS NOT NULL THEN ROW(CASE ((u.e)."a b")::double precision WHEN 'NaN' THEN ''::bytea ELSE float8send(((u.e)."a b")::double precision) END, (u.e)."t")::text END)::text FROM (SELECT unnest(t.x) AS e OFFSET 0) u))::text END

-- range
CASE WHEN t.x IS NOT NULL THEN ROW(isempty(t.x), lower_inc(t.x), upper_inc(t.x), lower_inf(t.x), upper_inf(t.x), CASE lower(t.x) WHEN 'NaN' THEN ''::bytea ELSE float8send(lower(t.x)) END, CASE upper(t.x) WHEN 'NaN' THEN ''::bytea ELSE float8send(upper(t.x)) END)::text END

-- text
t.x

-- sum
SELECT count(*), coalesce(sum(('x' || substr(h, 1, 8))::bit(32)::integer), 0),
		coalesce(sum(('x' || substr(h, 9, 8))::bit(32)::integer), 0), max(k)::bigint
		FROM (SELECT t."Id" AS k, md5(ROW(t."Id", CASE t."f" WHEN 'NaN' THEN ''::bytea ELSE float8send(t."f") END)::text) AS h FROM ONLY "S"."a ""b""" t WHERE t."Id" >= '-5'::bigint AND t."Id" <= '5'::bigint OFFSET 0) c

-- rows
SELECT t."Id" AS k, md5(ROW(t."Id", CASE t."f" WHEN 'NaN' THEN ''::bytea ELSE float8send(t."f") END)::text) AS h FROM ONLY "S"."a ""b""" t WHERE t."Id" >= '-9223372036854775808'::bigint AND t."Id" <= '9223372036854775807'::bigint

-- lookup by number
SELECT g.n, md5(ROW(t."Id", CASE t."f" WHEN 'NaN' THEN ''::bytea ELSE float8send(t."f") END)::text) FROM (SELECT unnest($1::int[]) AS n, unnest($2::text[])::integer AS k1 OFFSET 0) g JOIN ONLY "S"."a ""b""" t ON t."Id" OPERATOR(pg_catalog.=) g.k1

-- lookup by two columns
SELECT g.n, md5(convert_to(ROW(t."c", t."n")::text, 'UTF8')) FROM (SELECT unnest($1::int[]) AS n, unnest($2::text[])::public.citext AS k1, unnest($3::text[])::numeric AS k2 OFFSET 0) g JOIN ONLY "public"."t" t ON t."c" OPERATOR(public.=) g.k1 AND t."n" OPERATOR(pg_catalog.=) g.k2

-- staged
SELECT DISTINCT format('%s', coalesce(s.k1, d.k1)), format('%s', coalesce(s.k2, d.k2)) FROM pg_temp.verify_source s FULL JOIN (SELECT t."c" AS k1, t."n" AS k2, md5(convert_to(ROW(t."c", t."n")::text, 'UTF8'))::uuid AS h FROM ONLY "public"."t" t OFFSET 0) d ON d.k1 OPERATOR(public.=) s.k1 AND d.k2 OPERATOR(pg_catalog.=) s.k2 WHERE s.h IS DISTINCT FROM d.h

-- blocks before 14
t.ctid = ANY (ARRAY(SELECT (block || line)::pg_catalog.tid
		FROM (SELECT '(' || b AS block FROM pg_catalog.generate_series(0::bigint, 127::bigint) b OFFSET 0) b,
			(SELECT ',' || i || ')' AS line FROM pg_catalog.generate_series(1, 291) i OFFSET 0) l))

-- blocks
t.ctid >= '(128,0)' AND t.ctid < '(256,0)'

