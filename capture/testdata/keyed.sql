CREATE TABLE "pgibex_main".delta_7_1 (k1 integer, k2 text, txid bigint) WITH (autovacuum_enabled = false);
CREATE TABLE "pgibex_main".delta_7_2 (k1 integer, k2 text, txid bigint) WITH (autovacuum_enabled = false);
CREATE FUNCTION "pgibex_main".capture_7(integer, text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $capture$
BEGIN
    INSERT INTO "pgibex_main".delta_7_1 VALUES ($1, $2, pg_catalog.txid_current());
    RETURN false;
END
$capture$;
GRANT EXECUTE ON FUNCTION "pgibex_main".capture_7(integer, text) TO PUBLIC;
CREATE TRIGGER pgibex_main_insert AFTER INSERT ON "public"."Order ""Items""" FOR EACH ROW
    WHEN ("pgibex_main".capture_7(NEW."line", NEW."Code"::pg_catalog.text)) EXECUTE PROCEDURE "pgibex_main".never();
CREATE TRIGGER pgibex_main_update AFTER UPDATE ON "public"."Order ""Items""" FOR EACH ROW
    WHEN (CASE WHEN OLD."line" OPERATOR(pg_catalog.=) NEW."line" AND OLD."Code" OPERATOR(public.=) NEW."Code" THEN "pgibex_main".capture_7(NEW."line", NEW."Code"::pg_catalog.text) ELSE "pgibex_main".capture_7(OLD."line", OLD."Code"::pg_catalog.text) OR "pgibex_main".capture_7(NEW."line", NEW."Code"::pg_catalog.text) END) EXECUTE PROCEDURE "pgibex_main".never();
CREATE TRIGGER pgibex_main_delete AFTER DELETE ON "public"."Order ""Items""" FOR EACH ROW
    WHEN ("pgibex_main".capture_7(OLD."line", OLD."Code"::pg_catalog.text)) EXECUTE PROCEDURE "pgibex_main".never();
CREATE TRIGGER pgibex_main_truncate AFTER TRUNCATE ON "public"."Order ""Items""" FOR EACH STATEMENT
    EXECUTE PROCEDURE "pgibex_main".truncated(7);
ALTER TABLE ONLY "public"."Order ""Items"""
    ENABLE ALWAYS TRIGGER pgibex_main_insert,
    ENABLE ALWAYS TRIGGER pgibex_main_update,
    ENABLE ALWAYS TRIGGER pgibex_main_delete,
    ENABLE ALWAYS TRIGGER pgibex_main_truncate;
