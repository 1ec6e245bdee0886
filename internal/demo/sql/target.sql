-- Only the target has this: whatever fires a trigger there leaves a row.
CREATE TABLE trigger_fired (what text, fired timestamptz DEFAULT clock_timestamp());

CREATE FUNCTION trigger_fired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.trigger_fired (what) VALUES (TG_OP || ' on ' || TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER must_not_fire AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE PROCEDURE trigger_fired();
CREATE TRIGGER must_not_fire AFTER INSERT OR UPDATE OR DELETE ON "we""ird" FOR EACH ROW EXECUTE PROCEDURE trigger_fired();
CREATE TRIGGER must_not_fire AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON carts FOR EACH STATEMENT EXECUTE PROCEDURE trigger_fired();
