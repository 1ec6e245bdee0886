CREATE TEMP TABLE pg_temp.stage_7 () ON COMMIT DELETE ROWS;
CREATE TEMP TABLE pg_temp.gone_7 () ON COMMIT DELETE ROWS;


COPY pg_temp.stage_7 FROM STDIN

COPY pg_temp.gone_7 FROM STDIN

COPY "public"."t" FROM STDIN

-- gone


-- upsert


-- or replace


INSERT INTO "public"."t" AS there SELECT  FROM pg_temp.stage_7

-- net

WITH net AS (
		SELECT image, sum(sign) AS n FROM (SELECT ROW()::text AS image, 1 AS sign FROM pg_temp.stage_7 s UNION ALL SELECT ROW()::text, -1 FROM pg_temp.gone_7 s) i GROUP BY image), doomed AS (
		SELECT t.ctid, row_number() OVER (PARTITION BY t.image) AS i, net.n
		  FROM (SELECT ctid, ROW()::text AS image FROM ONLY "public"."t" t) t JOIN net ON net.image = t.image AND net.n < 0), deleted AS (
		DELETE FROM ONLY "public"."t" WHERE ctid = ANY (ARRAY(SELECT ctid FROM doomed WHERE i <= -n)) RETURNING 1)
		SELECT coalesce((SELECT sum(-n) FROM net WHERE n < 0), 0)::bigint, (SELECT count(*) FROM deleted)

WITH net AS (
		SELECT image, sum(sign) AS n FROM (SELECT ROW()::text AS image, 1 AS sign FROM pg_temp.stage_7 s UNION ALL SELECT ROW()::text, -1 FROM pg_temp.gone_7 s) i GROUP BY image), wanted AS (
		SELECT s.ctid, row_number() OVER (PARTITION BY s.image) AS i, net.n
		  FROM (SELECT ctid, ROW()::text AS image FROM pg_temp.stage_7 s) s JOIN net ON net.image = s.image AND net.n > 0)
		INSERT INTO "public"."t" AS there SELECT  FROM pg_temp.stage_7 s WHERE ctid = ANY (ARRAY(SELECT ctid FROM wanted WHERE i <= n))
