CREATE FUNCTION {{schema}}.capture_{{number}}({{types}}) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $capture$
BEGIN
    INSERT INTO {{schema}}.delta_{{number}}_1 VALUES ({{values}}, pg_catalog.txid_current());
    RETURN false;
END
$capture$;
