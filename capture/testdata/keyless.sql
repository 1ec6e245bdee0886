CREATE TYPE "pgibex_main".image_7 AS (c1 timestamp with time zone, c2 text, c3 text);
CREATE TABLE "pgibex_main".delta_7_1 (image "pgibex_main".image_7, sign smallint, txid bigint) WITH (autovacuum_enabled = false);
CREATE TABLE "pgibex_main".delta_7_2 (image "pgibex_main".image_7, sign smallint, txid bigint) WITH (autovacuum_enabled = false);
CREATE FUNCTION "pgibex_main".capture_7("pgibex_main".image_7[], smallint) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $capture$
BEGIN
    INSERT INTO "pgibex_main".delta_7_1 VALUES ($1[1], $2, pg_catalog.txid_current());
    RETURN false;
END
$capture$;
GRANT EXECUTE ON FUNCTION "pgibex_main".capture_7("pgibex_main".image_7[], smallint) TO PUBLIC;
CREATE TRIGGER pgibex_main_insert AFTER INSERT ON "public"."log" FOR EACH ROW
    WHEN ("pgibex_main".capture_7(ARRAY[ROW(NEW."at", NEW."what", "pgibex_main".as_text(NEW."where"))::"pgibex_main".image_7], 1::smallint)) EXECUTE PROCEDURE "pgibex_main".never();
CREATE TRIGGER pgibex_main_update AFTER UPDATE ON "public"."log" FOR EACH ROW
    WHEN ("pgibex_main".capture_7(ARRAY[ROW(OLD."at", OLD."what", "pgibex_main".as_text(OLD."where"))::"pgibex_main".image_7], -1::smallint) OR "pgibex_main".capture_7(ARRAY[ROW(NEW."at", NEW."what", "pgibex_main".as_text(NEW."where"))::"pgibex_main".image_7], 1::smallint)) EXECUTE PROCEDURE "pgibex_main".never();
CREATE TRIGGER pgibex_main_delete AFTER DELETE ON "public"."log" FOR EACH ROW
    WHEN ("pgibex_main".capture_7(ARRAY[ROW(OLD."at", OLD."what", "pgibex_main".as_text(OLD."where"))::"pgibex_main".image_7], -1::smallint)) EXECUTE PROCEDURE "pgibex_main".never();
CREATE TRIGGER pgibex_main_truncate AFTER TRUNCATE ON "public"."log" FOR EACH STATEMENT
    EXECUTE PROCEDURE "pgibex_main".truncated(7);
ALTER TABLE ONLY "public"."log"
    ENABLE ALWAYS TRIGGER pgibex_main_insert,
    ENABLE ALWAYS TRIGGER pgibex_main_update,
    ENABLE ALWAYS TRIGGER pgibex_main_delete,
    ENABLE ALWAYS TRIGGER pgibex_main_truncate;
