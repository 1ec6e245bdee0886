CREATE TEMP TABLE pg_temp.stage_7 ("a" integer, "b" text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE pg_temp.gone_7 ("a" integer, "b" text) ON COMMIT DELETE ROWS;


COPY pg_temp.stage_7 ("a", "b") FROM STDIN

COPY pg_temp.gone_7 ("a", "b") FROM STDIN

COPY "public"."t" ("a", "b") FROM STDIN

-- gone
DELETE FROM ONLY "public"."t" t USING pg_temp.gone_7 s WHERE t."a" OPERATOR(pg_catalog.=) s."a" AND t."b" OPERATOR(pg_catalog.=) s."b"

-- upsert
INSERT INTO "public"."t" AS there ("a", "b") SELECT "a", "b" FROM pg_temp.stage_7 ON CONFLICT ("a", "b") DO NOTHING

-- or replace
DELETE FROM ONLY "public"."t" t USING pg_temp.stage_7 s WHERE t."a" OPERATOR(pg_catalog.=) s."a" AND t."b" OPERATOR(pg_catalog.=) s."b"

INSERT INTO "public"."t" AS there ("a", "b") SELECT "a", "b" FROM pg_temp.stage_7

-- net
