CREATE TEMP TABLE pg_temp.stage_7 ("b" numeric, "a" integer, "v" text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE pg_temp.gone_7 ("b" numeric, "a" integer) ON COMMIT DELETE ROWS;


COPY pg_temp.stage_7 ("b", "a", "v") FROM STDIN

COPY pg_temp.gone_7 ("b", "a") FROM STDIN

COPY "public"."t" ("b", "a", "v") FROM STDIN

-- gone
DELETE FROM ONLY "public"."t" t USING pg_temp.gone_7 s WHERE t."b" OPERATOR(pg_catalog.=) s."b" AND t."a" OPERATOR(pg_catalog.=) s."a"

-- upsert
INSERT INTO "public"."t" AS there ("b", "a", "v") SELECT "b", "a", "v" FROM pg_temp.stage_7 ON CONFLICT ("b", "a") DO UPDATE SET "b" = EXCLUDED."b", "v" = EXCLUDED."v"

-- or replace
DELETE FROM ONLY "public"."t" t USING pg_temp.stage_7 s WHERE t."b" OPERATOR(pg_catalog.=) s."b" AND t."a" OPERATOR(pg_catalog.=) s."a"

INSERT INTO "public"."t" AS there ("b", "a", "v") SELECT "b", "a", "v" FROM pg_temp.stage_7

-- net
