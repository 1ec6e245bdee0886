-- From layout 2 to 3: the target's state has changed, and tables captured from now on have values of created types as text.
CREATE FUNCTION {{schema}}.as_text(anyelement) RETURNS text LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog SET extra_float_digits = 3 SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
    SET bytea_output = 'hex' SET lc_monetary = 'C'
    AS $as_text$ SELECT pg_catalog.format('%s', $1) $as_text$;
GRANT EXECUTE ON FUNCTION {{schema}}.as_text(anyelement) TO PUBLIC;
