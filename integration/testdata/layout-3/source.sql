-- A stream's side on the source as layout 3 makes it, dumped from a real stream: written to since its last batch, with one
-- table that is half copied, one whose backlog is half drained, one in quarantine. {{first}} and {{second}} are transactions, {{position}}
-- is a snapshot from before both, {{later}} one from between them. The tables are those of upgrade_test.go. Never change it.
SELECT pg_catalog.set_config('search_path', '', false);

CREATE SCHEMA pgibex_it;

COMMENT ON SCHEMA pgibex_it IS 'pgibex: changes on their way to another server; remove with: pgibex uninstall';

CREATE TYPE pgibex_it.image_4 AS (
	c1 integer,
	c2 text
);

CREATE FUNCTION pgibex_it.as_text(anyelement) RETURNS text
    LANGUAGE sql STABLE STRICT
    SET search_path TO pg_catalog
    SET extra_float_digits TO '3'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $_$ SELECT pg_catalog.format('%s', $1) $_$;

CREATE FUNCTION pgibex_it.capture_1(integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
BEGIN
    INSERT INTO "pgibex_it".delta_1_2 VALUES ($1, pg_catalog.txid_current());
    RETURN false;
END
$_$;

CREATE FUNCTION pgibex_it.capture_2(integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
BEGIN
    INSERT INTO "pgibex_it".delta_2_1 VALUES ($1, pg_catalog.txid_current());
    RETURN false;
END
$_$;

CREATE FUNCTION pgibex_it.capture_3(integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
BEGIN
    INSERT INTO "pgibex_it".delta_3_1 VALUES ($1, pg_catalog.txid_current());
    RETURN false;
END
$_$;

CREATE FUNCTION pgibex_it.capture_4(pgibex_it.image_4[], smallint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
BEGIN
    INSERT INTO "pgibex_it".delta_4_1 VALUES ($1[1], $2, pg_catalog.txid_current());
    RETURN false;
END
$_$;

CREATE FUNCTION pgibex_it.capture_5(integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
BEGIN
    INSERT INTO "pgibex_it".delta_5_1 VALUES ($1, pg_catalog.txid_current());
    RETURN false;
END
$_$;

CREATE FUNCTION pgibex_it.capture_6(integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
BEGIN
    INSERT INTO "pgibex_it".delta_6_1 VALUES ($1, pg_catalog.txid_current());
    RETURN false;
END
$_$;

CREATE FUNCTION pgibex_it.never() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN NULL;
END
$$;

CREATE FUNCTION pgibex_it.truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
BEGIN
    INSERT INTO "pgibex_it".truncation VALUES (TG_ARGV[0]::pg_catalog.int4, pg_catalog.txid_current());
    RETURN NULL;
END
$$;

CREATE TABLE pgibex_it.captured (
    number integer NOT NULL,
    relid oid NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key_columns text[] NOT NULL,
    columns text[] NOT NULL,
    purged text DEFAULT '1:1:'::text NOT NULL,
    stopped text,
    installed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE SEQUENCE pgibex_it.captured_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE pgibex_it.captured_number_seq OWNED BY pgibex_it.captured.number;

CREATE TABLE pgibex_it.delta_1_1 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_1_2 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_2_1 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_2_2 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_3_1 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_3_2 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_4_1 (
    image pgibex_it.image_4,
    sign smallint,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_4_2 (
    image pgibex_it.image_4,
    sign smallint,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_5_1 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_5_2 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_6_1 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.delta_6_2 (
    k1 integer,
    txid bigint
)
WITH (autovacuum_enabled='false');

CREATE TABLE pgibex_it.segment (
    number integer NOT NULL,
    segment integer NOT NULL,
    active boolean NOT NULL
);

CREATE TABLE pgibex_it.stream (
    singleton boolean DEFAULT true NOT NULL,
    version integer NOT NULL,
    id text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stream_singleton_check CHECK (singleton)
);

CREATE TABLE pgibex_it.truncation (
    number integer NOT NULL,
    txid bigint NOT NULL
);

ALTER TABLE ONLY pgibex_it.captured ALTER COLUMN number SET DEFAULT nextval('pgibex_it.captured_number_seq'::regclass);

INSERT INTO pgibex_it.captured VALUES (1, 'public.draining'::regclass, 'public', 'draining', '{id}', '{"1 \"id\" integer","2 \"v\" text"}', '1:1:', NULL, now());
INSERT INTO pgibex_it.captured VALUES (2, 'public.emptied'::regclass, 'public', 'emptied', '{id}', '{"1 \"id\" integer","2 \"v\" text"}', '1:1:', NULL, now());
INSERT INTO pgibex_it.captured VALUES (3, 'public.keyed'::regclass, 'public', 'keyed', '{id}', '{"1 \"id\" integer","2 \"code\" text","3 \"v\" text"}', '1:1:', NULL, now());
INSERT INTO pgibex_it.captured VALUES (4, 'public.keyless'::regclass, 'public', 'keyless', '{}', '{"1 \"a\" integer","2 \"b\" text"}', '1:1:', NULL, now());
INSERT INTO pgibex_it.captured VALUES (5, 'public.odd'::regclass, 'public', 'odd', '{id}', '{"1 \"id\" integer","2 \"v\" text"}', '1:1:', NULL, now());
INSERT INTO pgibex_it.captured VALUES (6, 'public.half'::regclass, 'public', 'half', '{id}', '{"1 \"id\" integer","2 \"v\" text","3 \"keyed\" integer"}', '1:1:', NULL, now());
INSERT INTO pgibex_it.delta_1_1 SELECT g, {{first}} FROM generate_series(1, 5000) g;
INSERT INTO pgibex_it.delta_2_1 VALUES (1, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (1, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (2, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (3, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (4, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (1004, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (5, {{second}});
INSERT INTO pgibex_it.delta_3_1 VALUES (2000, {{second}});
INSERT INTO pgibex_it.delta_4_1 VALUES ('(7,)', 1, {{second}});
INSERT INTO pgibex_it.delta_4_1 VALUES ('(7,)', 1, {{second}});
INSERT INTO pgibex_it.delta_4_1 VALUES ('(1,b)', -1, {{second}});
INSERT INTO pgibex_it.delta_5_1 VALUES (2, {{second}});

INSERT INTO pgibex_it.delta_6_1 VALUES (1, {{second}});
INSERT INTO pgibex_it.delta_6_1 VALUES (3000, {{second}});
INSERT INTO pgibex_it.delta_6_1 VALUES (4999, {{second}});
INSERT INTO pgibex_it.delta_6_1 VALUES (2, {{second}});
INSERT INTO pgibex_it.delta_6_1 VALUES (6000, {{second}});
INSERT INTO pgibex_it.segment VALUES (2, 1, true);
INSERT INTO pgibex_it.segment VALUES (2, 2, false);
INSERT INTO pgibex_it.segment VALUES (3, 1, true);
INSERT INTO pgibex_it.segment VALUES (3, 2, false);
INSERT INTO pgibex_it.segment VALUES (4, 1, true);
INSERT INTO pgibex_it.segment VALUES (4, 2, false);
INSERT INTO pgibex_it.segment VALUES (5, 1, true);
INSERT INTO pgibex_it.segment VALUES (5, 2, false);
INSERT INTO pgibex_it.segment VALUES (1, 1, false);
INSERT INTO pgibex_it.segment VALUES (1, 2, true);
INSERT INTO pgibex_it.segment VALUES (6, 1, true);
INSERT INTO pgibex_it.segment VALUES (6, 2, false);
INSERT INTO pgibex_it.stream VALUES (true, 3, 'X247ITDVCUZQOCXGJDHRS3DHPF', 3, now());

INSERT INTO pgibex_it.truncation VALUES (2, {{second}});

SELECT pg_catalog.setval('pgibex_it.captured_number_seq', 6, true);

ALTER TABLE ONLY pgibex_it.captured
    ADD CONSTRAINT captured_pkey PRIMARY KEY (number);

ALTER TABLE ONLY pgibex_it.captured
    ADD CONSTRAINT captured_schema_name_table_name_key UNIQUE (schema_name, table_name);

ALTER TABLE ONLY pgibex_it.segment
    ADD CONSTRAINT segment_pkey PRIMARY KEY (number, segment);

ALTER TABLE ONLY pgibex_it.stream
    ADD CONSTRAINT stream_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY pgibex_it.segment
    ADD CONSTRAINT segment_number_fkey FOREIGN KEY (number) REFERENCES pgibex_it.captured(number) ON DELETE CASCADE;

CREATE TRIGGER pgibex_it_delete AFTER DELETE ON public.keyed FOR EACH ROW WHEN (pgibex_it.capture_3(old.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_insert AFTER INSERT ON public.keyed FOR EACH ROW WHEN (pgibex_it.capture_3(new.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_truncate AFTER TRUNCATE ON public.keyed FOR EACH STATEMENT EXECUTE PROCEDURE pgibex_it.truncated('3');
CREATE TRIGGER pgibex_it_update AFTER UPDATE ON public.keyed FOR EACH ROW WHEN (CASE WHEN (old.id = new.id) THEN pgibex_it.capture_3(new.id) ELSE (pgibex_it.capture_3(old.id) OR pgibex_it.capture_3(new.id)) END) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_delete AFTER DELETE ON public.keyless FOR EACH ROW WHEN (pgibex_it.capture_4(ARRAY[ROW(old.a, old.b)::pgibex_it.image_4], (- (1)::smallint))) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_insert AFTER INSERT ON public.keyless FOR EACH ROW WHEN (pgibex_it.capture_4(ARRAY[ROW(new.a, new.b)::pgibex_it.image_4], (1)::smallint)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_truncate AFTER TRUNCATE ON public.keyless FOR EACH STATEMENT EXECUTE PROCEDURE pgibex_it.truncated('4');
CREATE TRIGGER pgibex_it_update AFTER UPDATE ON public.keyless FOR EACH ROW WHEN ((pgibex_it.capture_4(ARRAY[ROW(old.a, old.b)::pgibex_it.image_4], (- (1)::smallint)) OR pgibex_it.capture_4(ARRAY[ROW(new.a, new.b)::pgibex_it.image_4], (1)::smallint))) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_delete AFTER DELETE ON public.odd FOR EACH ROW WHEN (pgibex_it.capture_5(old.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_insert AFTER INSERT ON public.odd FOR EACH ROW WHEN (pgibex_it.capture_5(new.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_truncate AFTER TRUNCATE ON public.odd FOR EACH STATEMENT EXECUTE PROCEDURE pgibex_it.truncated('5');
CREATE TRIGGER pgibex_it_update AFTER UPDATE ON public.odd FOR EACH ROW WHEN (CASE WHEN (old.id = new.id) THEN pgibex_it.capture_5(new.id) ELSE (pgibex_it.capture_5(old.id) OR pgibex_it.capture_5(new.id)) END) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_delete AFTER DELETE ON public.emptied FOR EACH ROW WHEN (pgibex_it.capture_2(old.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_insert AFTER INSERT ON public.emptied FOR EACH ROW WHEN (pgibex_it.capture_2(new.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_truncate AFTER TRUNCATE ON public.emptied FOR EACH STATEMENT EXECUTE PROCEDURE pgibex_it.truncated('2');
CREATE TRIGGER pgibex_it_update AFTER UPDATE ON public.emptied FOR EACH ROW WHEN (CASE WHEN (old.id = new.id) THEN pgibex_it.capture_2(new.id) ELSE (pgibex_it.capture_2(old.id) OR pgibex_it.capture_2(new.id)) END) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_delete AFTER DELETE ON public.draining FOR EACH ROW WHEN (pgibex_it.capture_1(old.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_insert AFTER INSERT ON public.draining FOR EACH ROW WHEN (pgibex_it.capture_1(new.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_truncate AFTER TRUNCATE ON public.draining FOR EACH STATEMENT EXECUTE PROCEDURE pgibex_it.truncated('1');
CREATE TRIGGER pgibex_it_update AFTER UPDATE ON public.draining FOR EACH ROW WHEN (CASE WHEN (old.id = new.id) THEN pgibex_it.capture_1(new.id) ELSE (pgibex_it.capture_1(old.id) OR pgibex_it.capture_1(new.id)) END) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_delete AFTER DELETE ON public.half FOR EACH ROW WHEN (pgibex_it.capture_6(old.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_insert AFTER INSERT ON public.half FOR EACH ROW WHEN (pgibex_it.capture_6(new.id)) EXECUTE PROCEDURE pgibex_it.never();
CREATE TRIGGER pgibex_it_truncate AFTER TRUNCATE ON public.half FOR EACH STATEMENT EXECUTE PROCEDURE pgibex_it.truncated('6');
CREATE TRIGGER pgibex_it_update AFTER UPDATE ON public.half FOR EACH ROW WHEN (CASE WHEN (old.id = new.id) THEN pgibex_it.capture_6(new.id) ELSE (pgibex_it.capture_6(old.id) OR pgibex_it.capture_6(new.id)) END) EXECUTE PROCEDURE pgibex_it.never();
ALTER TABLE ONLY public.keyed ENABLE ALWAYS TRIGGER pgibex_it_delete, ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_truncate, ENABLE ALWAYS TRIGGER pgibex_it_update;
ALTER TABLE ONLY public.keyless ENABLE ALWAYS TRIGGER pgibex_it_delete, ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_truncate, ENABLE ALWAYS TRIGGER pgibex_it_update;
ALTER TABLE ONLY public.odd ENABLE ALWAYS TRIGGER pgibex_it_delete, ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_truncate, ENABLE ALWAYS TRIGGER pgibex_it_update;
ALTER TABLE ONLY public.emptied ENABLE ALWAYS TRIGGER pgibex_it_delete, ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_truncate, ENABLE ALWAYS TRIGGER pgibex_it_update;
ALTER TABLE ONLY public.draining ENABLE ALWAYS TRIGGER pgibex_it_delete, ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_truncate, ENABLE ALWAYS TRIGGER pgibex_it_update;
ALTER TABLE ONLY public.half ENABLE ALWAYS TRIGGER pgibex_it_delete, ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_truncate, ENABLE ALWAYS TRIGGER pgibex_it_update;
