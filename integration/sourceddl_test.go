package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// ddlSchema has, for each case, a table of the application's and what it was made with.
const ddlSchema = `CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION isn;
	CREATE TABLE fine (id int PRIMARY KEY, v text);
	CREATE TYPE color AS ENUM ('red', 'green'); CREATE TABLE enum_key (k color PRIMARY KEY, v text);
	CREATE TYPE pair AS (a int, b text); CREATE TABLE composite_key (k pair PRIMARY KEY, v text);
	CREATE TYPE grown AS (a int, b text); CREATE TABLE composite_grown (k grown PRIMARY KEY, v text);
	CREATE TYPE retyped AS (a int, b text); CREATE TABLE composite_retyped (k retyped PRIMARY KEY, v text);
	CREATE DOMAIN code AS text CHECK (VALUE <> ''); CREATE TABLE domain_key (k code PRIMARY KEY, v text);
	CREATE TYPE span AS RANGE (subtype = float8); CREATE TABLE range_key (k span PRIMARY KEY, v text);
	CREATE TYPE listed AS ENUM ('a', 'b'); CREATE TABLE array_key (k listed[] PRIMARY KEY, v text);
	CREATE TABLE citext_key (k citext PRIMARY KEY, v text);
	CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN felt AS mood; CREATE TABLE keyless (m mood, f felt, v text);
	CREATE TABLE keyless_hstore (h hstore, v text); CREATE TABLE keyless_isbn (i isbn, v text);
	CREATE TABLE template (id int PRIMARY KEY, v text); CREATE TABLE keyless_rows (r template, v text);
	CREATE SCHEMA tenant; CREATE TYPE tenant.state AS ENUM ('on'); CREATE TABLE tenant.a (k tenant.state PRIMARY KEY, v text);
	CREATE COLLATION german FROM "C"; CREATE TABLE collated (k text COLLATE german PRIMARY KEY, v text);
	CREATE TYPE size AS ENUM ('s', 'm'); CREATE TABLE cascaded (k size PRIMARY KEY, v text, id int);
	CREATE TYPE before AS ENUM ('x', 'y'); CREATE TABLE renamed (k before PRIMARY KEY, v text);
	CREATE TYPE moved AS ENUM ('x', 'y'); CREATE TABLE type_moved (k moved PRIMARY KEY, v text);
	CREATE TYPE more AS ENUM ('x', 'y'); CREATE TABLE labeled (k more PRIMARY KEY, v text);
	CREATE TABLE owned (id int PRIMARY KEY, v text);`

const ddlRows = `INSERT INTO fine VALUES (1, 'v'); INSERT INTO enum_key VALUES ('red', 'v'); INSERT INTO composite_key VALUES ((1, 'x'), 'v'); INSERT INTO composite_grown VALUES ((1, 'x'), 'v');
	INSERT INTO composite_retyped VALUES ((1, 'x'), 'v'); INSERT INTO domain_key VALUES ('x', 'v'); INSERT INTO range_key VALUES ('[1,2]', 'v'); INSERT INTO array_key VALUES ('{a,b}', 'v');
	INSERT INTO citext_key VALUES ('x', 'v'); INSERT INTO keyless VALUES ('sad', 'ok', 'v'); INSERT INTO keyless_hstore VALUES ('a=>1', 'v'); INSERT INTO keyless_isbn VALUES ('978-0-393-04002-9', 'v');
	INSERT INTO keyless_rows VALUES ((1, 'x'), 'v'); INSERT INTO tenant.a VALUES ('on', 'v'); INSERT INTO collated VALUES ('x', 'v'); INSERT INTO cascaded VALUES ('s', 'v', 1);
	INSERT INTO renamed VALUES ('x', 'v'); INSERT INTO type_moved VALUES ('x', 'v'); INSERT INTO labeled VALUES ('x', 'v'); INSERT INTO owned VALUES (1, 'v')`

// sourceDDL is what an application's migration does to its own objects; the last statement would fail if anything of ours were in its way.
var sourceDDL = []struct{ table, sql string }{
	{"enum_key", "DROP TABLE enum_key; DROP TYPE color"},
	{"composite_key", "DROP TABLE composite_key; DROP TYPE pair"},
	{"composite_retyped", "DROP TABLE composite_retyped; ALTER TYPE retyped ALTER ATTRIBUTE a TYPE bigint"},
	{"domain_key", "DROP TABLE domain_key; DROP DOMAIN code"},
	{"range_key", "DROP TABLE range_key; DROP TYPE span"},
	{"array_key", "DROP TABLE array_key; DROP TYPE listed"},
	{"citext_key", "DROP TABLE citext_key; DROP EXTENSION citext"},
	{"keyless", "DROP TABLE keyless; DROP DOMAIN felt; DROP TYPE mood"},
	{"keyless_hstore", "DROP TABLE keyless_hstore; DROP EXTENSION hstore"},
	{"keyless_isbn", "DROP TABLE keyless_isbn; DROP EXTENSION isn"},
	{"keyless_rows", "DROP TABLE keyless_rows; DROP TABLE template"},
	{"tenant.a", "DROP TABLE tenant.a; DROP TYPE tenant.state"},
	{"collated", "DROP TABLE collated; DROP COLLATION german"},
	{"cascaded", "DROP TYPE size CASCADE"},
	{"renamed", "ALTER TYPE before RENAME TO after"},
	{"type_moved", "CREATE SCHEMA types; ALTER TYPE moved SET SCHEMA types"},
	{"composite_grown", "ALTER TYPE grown ADD ATTRIBUTE c int"},
	{"labeled", "UPDATE pg_enum SET enumlabel = 'z' WHERE enumtypid = 'more'::regtype AND enumlabel = 'x'"}, // RENAME VALUE from 10 on
	{"owned", "REASSIGN OWNED BY first_$ TO second_$; DROP ROLE first_$"},
}

// TestSourceDDL: an application's DDL does not fail because of us, the tables it does not concern go on, and those it does are named and
// brought back.
func TestSourceDDL(t *testing.T) {
	t.Parallel()
	s := newStream(t, ddlSchema)
	s.src(ddlRows)
	database := one[string](s, s.sourceDSN, "SELECT current_database()::text")
	s.src(fmt.Sprintf("CREATE ROLE first_%[1]s; CREATE ROLE second_%[1]s; ALTER TABLE owned OWNER TO first_%[1]s", database))
	t.Cleanup(func() {
		s.cleanUp(s.sourceDSN, "DROP OWNED BY second_"+database+" CASCADE; DROP ROLE second_"+database)
	})
	stop := s.run()
	s.streaming()
	app := s.connect(s.sourceDSN)
	for i, ddl := range sourceDDL {
		sql := strings.ReplaceAll(ddl.sql, "$", database)
		// What was just written has not been read when the DDL is done.
		if _, err := app.PgConn().Exec(t.Context(), fmt.Sprintf("BEGIN; UPDATE %s SET v = 'w'; %s; COMMIT", ddl.table, sql)).ReadAll(); err != nil {
			t.Errorf("%v in: %s", err, sql)
			_, _ = app.Exec(t.Context(), "ROLLBACK")
		}
		s.src(fmt.Sprintf("INSERT INTO fine VALUES (%d, 'v')", i+2))
	}
	s.eventually("the others go on", 60*time.Second, s.holds(s.targetDSN, fmt.Sprintf("(SELECT count(*) = %d FROM fine)", len(sourceDDL)+1)))
	stop()
	s.command("", "catchup").wants(t, 1, "tables in quarantine")
	gone := []string{"remove", "public.template"}
	for _, ddl := range sourceDDL {
		table := ddl.table
		if !strings.Contains(table, ".") {
			table = "public." + table
		}
		state, reason := s.state(table)
		if wanted := map[bool]string{true: "streaming", false: "quarantined"}[ddl.table == "owned"]; state != wanted {
			t.Errorf("%s is %s: %s", table, state, reason)
		}
		if strings.Contains(ddl.sql, "DROP TABLE") {
			gone = append(gone, table)
		}
	}
	s.command("", gone...).wants(t, 0)
	s.dst("DROP TABLE " + strings.Join(gone[1:], ", "))
	s.src("DROP SCHEMA tenant")
	s.dst("DROP SCHEMA tenant CASCADE")
	s.dst("ALTER TYPE before RENAME TO after; CREATE SCHEMA types; ALTER TYPE moved SET SCHEMA types; ALTER TYPE grown ADD ATTRIBUTE c int; DROP TYPE size CASCADE; ALTER TYPE more RENAME VALUE 'x' TO 'z'")
	s.command("", "resync", "--all").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	s.untouched()
}

// createdSchema has keys and rows whose values are recorded as text.
const createdSchema = `CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE color AS ENUM ('red', 'green', 'blue');
	CREATE TYPE measured AS (f float8, at timestamptz, i interval, m money, b bytea, c regclass); CREATE TYPE span AS RANGE (subtype = float8);
	CREATE DOMAIN shade AS color;
	CREATE FUNCTION shown(color) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'a color'::text $$; CREATE CAST (color AS text) WITH FUNCTION shown(color);
	CREATE TYPE parsed AS ENUM ('x', 'y'); CREATE FUNCTION parse(text) RETURNS parsed LANGUAGE sql IMMUTABLE AS $$ SELECT 'x'::public.parsed $$; CREATE CAST (text AS parsed) WITH FUNCTION parse(text);
	CREATE TABLE by_parsed (k parsed PRIMARY KEY, v int); CREATE TABLE by_measured (k measured PRIMARY KEY, v int); CREATE TABLE by_array (k measured[] PRIMARY KEY, v int); CREATE TABLE by_span (k span PRIMARY KEY, v int);
	CREATE TABLE by_citext (k citext PRIMARY KEY, v int); CREATE TABLE by_several (a citext, b color, c int, d hstore, v int, PRIMARY KEY (c, a, b, d));
	CREATE TABLE images (n int, k measured, e color[], h hstore, s shade);`

// otherSettings of a session of the application's change what the text of a value looks like.
const otherSettings = `SET extra_float_digits = -10; SET datestyle = 'German'; SET intervalstyle = 'sql_standard'; SET timezone = 'Asia/Kolkata'; SET bytea_output = 'escape'; `

// TestValuesRecordedAsText are the same whatever the settings of the session are that writes them, and are told apart as the key does.
func TestValuesRecordedAsText(t *testing.T) {
	t.Parallel()
	s := newStream(t, createdSchema)
	// A float that both versions print alike, and a session with few digits does not.
	const measured = "ROW(%s::float8 + 0.0009765625, '2020-02-03 04:05:06.789 UTC', '1 day 02:03', '1.50', E'\\\\000a', 'pg_class')::measured"
	value := func(n string) string { return fmt.Sprintf(measured, n) }
	s.src(fmt.Sprintf(`INSERT INTO by_measured SELECT %[1]s, 0 FROM generate_series(1, 50) g; INSERT INTO by_array SELECT ARRAY[%[1]s, NULL], 0 FROM generate_series(1, 50) g;
		INSERT INTO by_span SELECT span(g::float8 + 0.0009765625, g + 1), 0 FROM generate_series(1, 50) g; INSERT INTO by_citext SELECT 'Key ' || g, 0 FROM generate_series(1, 50) g;
		INSERT INTO by_parsed VALUES ('x', 0), ('y', 0); INSERT INTO by_several SELECT 'Key ' || g, 'red', g, hstore('a', g::text), 0 FROM generate_series(1, 50) g;
		INSERT INTO images SELECT g, %[1]s, '{red}', 'a=>1', 'red' FROM generate_series(1, 20) g`, value("g")))
	stop := s.run()
	s.streaming()
	s.src(otherSettings + "UPDATE by_measured SET v = 1; UPDATE by_array SET v = 1; UPDATE by_span SET v = 1; UPDATE by_several SET v = 1; UPDATE by_citext SET v = 1; UPDATE by_parsed SET v = 1")
	s.streaming()
	s.sameRows()
	// One key in two spellings and by two sessions, in one batch.
	stop()
	s.src("UPDATE by_citext SET v = 2; UPDATE by_measured SET v = 2; UPDATE by_several SET v = 2")
	s.src(otherSettings + "UPDATE by_citext SET k = upper(k::text); UPDATE by_measured SET v = 3; UPDATE by_several SET a = upper(a::text); DELETE FROM by_several WHERE c < 5; DELETE FROM by_measured WHERE (k).f < 3")
	s.src(otherSettings + fmt.Sprintf(`INSERT INTO images VALUES (100, NULL, NULL, NULL, NULL), (101, ROW(NULL, NULL, NULL, NULL, NULL, NULL), '{}', '', 'blue'), (102, %s, ARRAY[NULL]::color[], 'b=>NULL', NULL);
		DELETE FROM images WHERE n BETWEEN 3 AND 7; UPDATE images SET h = h || 'c=>"d, \"e"', e = e || 'green'::color WHERE n < 3`, value("7")))
	stop = s.run()
	s.streaming()
	stop()
	s.equal()
	s.catchUp()
	s.command("", "verify").wants(t, 0, "0 differ")
}

// typedCapture makes the capture of by_citext as pgibex did until layout 2: typed by the user's type.
const typedCapture = `DO $do$ DECLARE n text := (SELECT number FROM pgibex_it.captured WHERE table_name = 'by_citext'); BEGIN
		DROP TRIGGER pgibex_it_insert ON by_citext; DROP TRIGGER pgibex_it_update ON by_citext; DROP TRIGGER pgibex_it_delete ON by_citext;
		EXECUTE 'DROP FUNCTION pgibex_it.capture_' || n || '(text)';
		EXECUTE 'ALTER TABLE pgibex_it.delta_' || n || '_1 ALTER k1 TYPE citext';
		EXECUTE 'ALTER TABLE pgibex_it.delta_' || n || '_2 ALTER k1 TYPE citext';
		EXECUTE 'CREATE FUNCTION pgibex_it.capture_' || n || '(public.citext) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $capture$
BEGIN
    INSERT INTO pgibex_it.delta_' || n || '_1 VALUES ($1, pg_catalog.txid_current());
    RETURN false;
END
$capture$';
		EXECUTE 'CREATE TRIGGER pgibex_it_insert AFTER INSERT ON by_citext FOR EACH ROW WHEN (pgibex_it.capture_' || n || '(NEW.k)) EXECUTE PROCEDURE pgibex_it.never()';
		EXECUTE 'CREATE TRIGGER pgibex_it_update AFTER UPDATE ON by_citext FOR EACH ROW WHEN (pgibex_it.capture_' || n || '(OLD.k) OR pgibex_it.capture_' || n || '(NEW.k)) EXECUTE PROCEDURE pgibex_it.never()';
		EXECUTE 'CREATE TRIGGER pgibex_it_delete AFTER DELETE ON by_citext FOR EACH ROW WHEN (pgibex_it.capture_' || n || '(OLD.k)) EXECUTE PROCEDURE pgibex_it.never()';
		ALTER TABLE by_citext ENABLE ALWAYS TRIGGER pgibex_it_insert, ENABLE ALWAYS TRIGGER pgibex_it_update, ENABLE ALWAYS TRIGGER pgibex_it_delete;
	END $do$`

// TestCaptureTypedByAnEarlierVersion goes on as it is, from segment to segment, a new one included.
func TestCaptureTypedByAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := newStream(t, createdSchema)
	s.catchUp()
	s.src(typedCapture)
	stop := s.run()
	s.streaming()
	number := one[string](s, s.sourceDSN, "SELECT number::text FROM pgibex_it.captured WHERE table_name = 'by_citext'")
	reader := s.session() // keeps the segments from being emptied and used again
	reader.do(fmt.Sprintf("BEGIN; LOCK TABLE pgibex_it.delta_%[1]s_1, pgibex_it.delta_%[1]s_2 IN ACCESS SHARE MODE", number))
	for i := range 3 {
		before := s.activeSegment("by_citext")
		s.src(fmt.Sprintf("INSERT INTO by_citext SELECT 'Key %d/' || g, g FROM generate_series(1, 25000) g; UPDATE by_citext SET v = 2 WHERE v < 50", i))
		s.eventually("the segment is switched", 60*time.Second, func() bool { return s.activeSegment("by_citext") != before })
	}
	if kinds := one[string](s, s.sourceDSN, "SELECT string_agg(DISTINCT atttypid::regtype::text, ' ') || ' ' || (count(*) > 2) FROM pg_attribute WHERE attname = 'k1' AND attrelid::regclass::text LIKE 'pgibex_it.delta_"+number+"_%'"); kinds != "citext true" {
		t.Errorf("the segments are of %s", kinds)
	}
	reader.do("COMMIT")
	s.src("UPDATE by_citext SET k = upper(k::text) WHERE v < 100; DELETE FROM by_citext WHERE v > 24000")
	s.streaming()
	stop()
	s.equal()
	if n := one[int](s, s.sourceDSN, "SELECT count(*)::int FROM pg_proc WHERE proname ~ '^capture_' AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgibex_it')"); n != 7 {
		t.Errorf("%d functions capture 7 tables", n)
	}
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	s.untouched()
}
