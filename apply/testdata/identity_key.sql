CREATE TEMP TABLE pg_temp.stage_7 ("id" integer, "v" text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE pg_temp.gone_7 ("id" integer) ON COMMIT DELETE ROWS;


COPY pg_temp.stage_7 ("id", "v") FROM STDIN

COPY pg_temp.gone_7 ("id") FROM STDIN

COPY "public"."t" ("id", "v") FROM STDIN

-- gone
DELETE FROM ONLY "public"."t" t USING pg_temp.gone_7 s WHERE t."id" OPERATOR(pg_catalog.=) s."id"

-- upsert
INSERT INTO "public"."t" AS there ("id", "v") OVERRIDING SYSTEM VALUE SELECT "id", "v" FROM pg_temp.stage_7 ON CONFLICT ("id") DO UPDATE SET "v" = EXCLUDED."v"

-- or replace
DELETE FROM ONLY "public"."t" t USING pg_temp.stage_7 s WHERE t."id" OPERATOR(pg_catalog.=) s."id"

INSERT INTO "public"."t" AS there ("id", "v") OVERRIDING SYSTEM VALUE SELECT "id", "v" FROM pg_temp.stage_7

-- net
