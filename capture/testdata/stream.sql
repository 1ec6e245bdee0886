-- The source's side of a stream. "pgibex_main" is the stream's schema.
CREATE SCHEMA "pgibex_main";
COMMENT ON SCHEMA "pgibex_main" IS 'pgibex: changes on their way to another server; remove with: pgibex uninstall';

CREATE TABLE "pgibex_main".stream (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version   integer NOT NULL,             -- of this layout
    id        text NOT NULL,                -- tells this source from any other
    generation bigint NOT NULL DEFAULT 0,   -- counts the daemons that took the stream; an older one may not switch or purge
    created_at timestamptz NOT NULL DEFAULT now()
);

-- number appears in the names of a table's objects: names of the users' tables may be 63 bytes long already.
CREATE TABLE "pgibex_main".captured (
    number      serial PRIMARY KEY,
    relid       oid NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    key_columns text[] NOT NULL,            -- empty: images of whole rows are recorded
    columns     text[] NOT NULL,            -- as they were when the triggers were made: 'number name type'
    purged      text NOT NULL DEFAULT '1:1:', -- txid_snapshot: changes that it sees may be gone
    stopped     text,                       -- why its changes are not recorded any more
    installed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (schema_name, table_name)
);

-- The segments of each delta table delta_<number>_<segment>. The one that is active is named in the body of
-- capture_<number>().
CREATE TABLE "pgibex_main".segment (
    number  integer NOT NULL REFERENCES "pgibex_main".captured ON DELETE CASCADE,
    segment integer NOT NULL,
    active  boolean NOT NULL,
    PRIMARY KEY (number, segment)
);

CREATE TABLE "pgibex_main".truncation (
    number integer NOT NULL,
    txid   bigint NOT NULL
);

-- Row triggers record in their WHEN condition, which is false then: this is what they would execute if it were true.
CREATE FUNCTION "pgibex_main".never() RETURNS trigger LANGUAGE plpgsql AS $never$
BEGIN
    RETURN NULL;
END
$never$;

CREATE FUNCTION "pgibex_main".truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $truncated$
BEGIN
    INSERT INTO "pgibex_main".truncation VALUES (TG_ARGV[0]::pg_catalog.int4, pg_catalog.txid_current());
    RETURN NULL;
END
$truncated$;

-- What a value looks like under the settings that our sessions have: a delta has values of types created in the database as text, so
-- that nothing depends on these types. format() does not use casts of theirs.
CREATE FUNCTION "pgibex_main".as_text(anyelement) RETURNS text LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog SET extra_float_digits = 3 SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
    SET bytea_output = 'hex' SET lc_monetary = 'C'
    AS $as_text$ SELECT pg_catalog.format('%s', $1) $as_text$;
GRANT EXECUTE ON FUNCTION "pgibex_main".as_text(anyelement) TO PUBLIC;
