CREATE TEMP TABLE pg_temp.stage_7 ("v" text, "id" integer) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE pg_temp.gone_7 ("v" text) ON COMMIT DELETE ROWS;


COPY pg_temp.stage_7 ("v", "id") FROM STDIN

COPY pg_temp.gone_7 ("v") FROM STDIN

COPY "public"."t" ("v", "id") FROM STDIN

-- gone
DELETE FROM ONLY "public"."t" t USING pg_temp.gone_7 s WHERE t."v" OPERATOR(pg_catalog.=) s."v"

-- upsert


-- or replace
DELETE FROM ONLY "public"."t" t USING pg_temp.stage_7 s WHERE t."v" OPERATOR(pg_catalog.=) s."v"

INSERT INTO "public"."t" AS there ("v", "id") OVERRIDING SYSTEM VALUE SELECT "v", "id" FROM pg_temp.stage_7

-- net
