CREATE OR REPLACE FUNCTION {{schema}}.capture_{{number}}({{types}}) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $capture$
BEGIN
    INSERT INTO {{schema}}.delta_{{number}}_{{segment}} VALUES ({{values}}, pg_catalog.txid_current());
    RETURN false;
END
$capture$;
