package integration

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// newStreamFrom is newStream with a source database in another encoding.
func newStreamFrom(t *testing.T, encoding, schema string) *stream {
	t.Helper()
	s := newStream(t, "")
	s.sourceDSN = pgtest.Database(t, s.source, "TEMPLATE template0", "ENCODING '"+encoding+"'", "LC_COLLATE 'C'", "LC_CTYPE 'C'") + "&client_encoding=UTF8"
	s.config.Source.DSN = s.sourceDSN
	s.both(schema)
	return s
}

// busy repeats a statement on the source until the test ends.
func (s *stream) busy(sql string) {
	s.t.Helper()
	conn := s.connect(s.sourceDSN)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeExec); err != nil && ctx.Err() == nil {
					s.t.Errorf("%v in: %s", err, sql)
					return
				}
			}
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
}

// encodedFile is file for a stream whose source names its encoding.
func (s *stream) encodedFile() string {
	s.t.Helper()
	return write(s.t, fmt.Sprintf("stream: %s\nsource: {dsn: %q, encoding: %q}\ntarget: {dsn: %q}\nmetrics: {listen: \"off\"}\n",
		s.config.Stream, s.sourceDSN, s.config.Source.Encoding, s.targetDSN))
}

// equalFrom compares all tables as text in UTF8, with what the source's rows are in it.
func (s *stream) equalFrom(sourceInUTF8 string) {
	s.t.Helper()
	for _, table := range s.tables() {
		source := s.rows(s.sourceDSN, fmt.Sprintf("SELECT %s FROM ONLY %s t", sourceInUTF8, table))
		target := s.rows(s.targetDSN, fmt.Sprintf("SELECT convert_to(ROW(t.*)::text, 'UTF8') FROM ONLY %s t", table))
		if !slices.Equal(source, target) {
			s.t.Errorf("%s differs: %d rows on the source, %d on the target\nonly on the source: %s\nonly on the target: %s",
				table, len(source), len(target), beyond(source, target), beyond(target, source))
		}
	}
}

const cities = `
	CREATE TYPE place AS (city text, country varchar(3));
	CREATE TABLE by_name (name text PRIMARY KEY, note varchar(4), more text[]);
	CREATE TABLE by_two (n numeric, c char(4), at place, PRIMARY KEY (c, n));
	CREATE TABLE by_number (id bigint PRIMARY KEY, doc json, raw bytea, v text);
	CREATE TABLE keyless (v text, w text)`

// TestSQLASCIIWithItsEncodingNamed: all that there is of LATIN1, in keys too, in the copy and in every kind of change; verify finds
// no difference, and what is planted.
func TestSQLASCIIWithItsEncodingNamed(t *testing.T) {
	t.Parallel()
	s := newStreamFrom(t, "SQL_ASCII", cities)
	s.config.Source.Encoding = "LATIN1"
	all := `(SELECT string_agg(convert_from(decode(lpad(to_hex(g), 2, '0'), 'hex'), 'SQL_ASCII'), '') FROM generate_series(1, 255) g)`
	s.follows(func() { s.equalFrom("convert(convert_to(ROW(t.*)::text, 'SQL_ASCII'), 'LATIN1', 'UTF8')") },
		`INSERT INTO by_name SELECT E'M\xfcller ' || g, E'\xe4\xf6\xfc\xdf', ARRAY[E'\xc5', NULL, E'"\\\xff'] FROM generate_series(1, 100) g;
		INSERT INTO by_name VALUES (`+all+`, E'\x80\x9f', '{}');
		INSERT INTO by_two SELECT g / 4.0, E'\xc6\xd8', (E'K\xf8benhavn', E'\xd8')::place FROM generate_series(1, 50) g;
		INSERT INTO by_number SELECT g, E'{"\xe9t\xe9": 1}', E'\\xe4ff00', repeat(E'\xfc', 3000) FROM generate_series(1, 50) g;
		INSERT INTO keyless VALUES (E'\xe4', E'\xf6'), (E'\xe4', E'\xf6'), (`+all+`, NULL)`,
		`INSERT INTO by_name SELECT E'\xd6l ' || g, NULL, NULL FROM generate_series(1, 20) g; INSERT INTO keyless VALUES (E'\xfc', E'\xe4'), (E'\xe4', E'\xf6')`,
		`UPDATE by_name SET note = E'\xfc' WHERE name LIKE E'M\xfcller 1%'; UPDATE by_name SET name = E'\xc4' || name WHERE name LIKE E'M\xfcller 2%';
		UPDATE by_two SET c = E'\xe5', at = (E'\xc5rhus', NULL)::place WHERE n < 5; UPDATE by_number SET v = v || E'\xdf' WHERE id % 7 = 0`,
		`DELETE FROM by_name WHERE name LIKE E'%\xfcller 3%'; DELETE FROM by_two WHERE c = E'\xe5' AND n > 2;
		DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless WHERE v = E'\xe4'); DELETE FROM by_number WHERE id = 3`,
		`TRUNCATE keyless, by_two; INSERT INTO keyless VALUES (E'\xe6', ''); INSERT INTO by_two VALUES (1, E'\xe6', NULL)`)
	s.run()
	s.busy("UPDATE by_number SET v = v WHERE id = 1") // verify waits for the position to move
	file := s.encodedFile()
	command(t, nil, "verify", "-c", file).wants(t, 0)
	s.dst(`UPDATE by_name SET note = 'ü!' WHERE name = 'Müller 50'; DELETE FROM by_name WHERE name = 'Öl 7'; INSERT INTO by_name VALUES ('Ä new');
		UPDATE by_number SET v = 'ä' WHERE id = 20; UPDATE keyless SET w = 'ö'; DELETE FROM by_two WHERE c = 'æ'`)
	command(t, nil, "verify", "-c", file).wants(t, 1, "(name)=(Müller 50)", "note", "(name)=(Öl 7)", "(name)=(Ä new)", "(id)=(20)", "(æ,", "(æ,ö)", "(c, n)=(æ")
	command(t, nil, "resync", "--all", "-c", file).wants(t, 0)
	s.resynced("public.by_name", "public.by_two", "public.by_number", "public.keyless")
	command(t, nil, "verify", "-c", file).wants(t, 0)
}

// TestSQLASCIIWithoutItsEncodingNamed: what is UTF8 passes. What is not puts its table in quarantine, with key and column, whether it is met in the
// copy or in a batch, and the others go on.
func TestSQLASCIIWithoutItsEncodingNamed(t *testing.T) {
	t.Parallel()
	s := newStreamFrom(t, "SQL_ASCII", cities+`;
		CREATE TABLE "Ünïcode" (id int PRIMARY KEY, "größe" text)`)
	s.src(`INSERT INTO by_number SELECT g, '{}', NULL, 'schön' FROM generate_series(1, 1000) g; INSERT INTO keyless VALUES ('ä', E'\xe4');
		UPDATE by_number SET v = E'sch\xf6n' WHERE id = 777; INSERT INTO "Ünïcode" VALUES (1, 'ä'); INSERT INTO by_name VALUES ('ä', 'ö', '{}')`)
	daemon := s.daemon("")
	daemon.says("source: its database is in SQL_ASCII")
	daemon.says("source.encoding: LATIN1")
	quarantined := func(table, reason string) {
		t.Helper()
		s.eventually(table+" is in quarantine", 20*time.Second, func() bool { state, _ := s.state(table); return state == "quarantined" })
		if _, why := s.state(table); !strings.Contains(why, reason) {
			t.Errorf("%s: the reason is %q, want %q", table, why, reason)
		}
	}
	quarantined("public.by_number", `the target rejects the row (id)=(777), column v: invalid byte sequence for encoding "UTF8": 0xf6`)
	quarantined("public.keyless", `the target rejects a row, column w: invalid byte sequence for encoding "UTF8": 0xe4`)
	s.eventually("the others stream", 20*time.Second, func() bool { state, _ := s.state("public.by_name"); return state == "streaming" })
	s.src(`INSERT INTO by_name SELECT 'ä' || g, 'ö', '{}' FROM generate_series(1, 50) g; INSERT INTO by_name VALUES (E'k\xe4se', 'x', ARRAY['ß']); INSERT INTO "Ünïcode" VALUES (2, 'é')`)
	quarantined("public.by_name", `the target rejects the row (name)=(k\xe4se), column name: invalid byte sequence for encoding "UTF8": 0xe4`)
	s.eventually("the other table follows", 20*time.Second, func() bool { return one[int](s, s.targetDSN, `SELECT count(*) FROM "Ünïcode"`) == 2 })
	s.equalTable(`public."Ünïcode"`)
	daemon.terminate()
}

func TestEncodingsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	s.config.Source.Encoding = "LATIN1"
	command(t, nil, "catchup", "-c", s.encodedFile()).wants(t, 2, "source.encoding: the source's database is in UTF8, which it converts by itself; remove the key")
	s.untouched()
	ascii := newStreamFrom(t, "SQL_ASCII", "CREATE TABLE t (id int PRIMARY KEY, v text)")
	for _, name := range []string{"klingon", "SJIS", "SQL_ASCII"} {
		ascii.config.Source.Encoding = name
		command(t, nil, "catchup", "-c", ascii.encodedFile()).wants(t, 2, "source.encoding: "+name+" is no encoding that a database may have")
	}
	ascii.untouched()
	ascii.exec(strings.TrimSuffix(ascii.sourceDSN, "&client_encoding=UTF8"), `CREATE TABLE named_well (id int PRIMARY KEY); ALTER TABLE named_well RENAME TO named_badly; ALTER TABLE named_badly RENAME id TO "gr`+"\xf6"+`sse"`)
	ascii.config.Source.Encoding = "LATIN1"
	command(t, nil, "catchup", "-c", ascii.encodedFile()).wants(t, 1, `public.named_badly: the name "gr\xf6sse" is not in UTF8`)
	ascii.untouched()
}

// TestLatin1Source: a source that knows its encoding converts by itself.
func TestLatin1Source(t *testing.T) {
	t.Parallel()
	s := newStreamFrom(t, "LATIN1", cities+`; CREATE TABLE "Größe" ("Schlüssel" text PRIMARY KEY, "ñ" int)`)
	s.follows(func() { s.equalFrom("convert_to(ROW(t.*)::text, 'UTF8')") }, `INSERT INTO by_name SELECT 'Müller ' || g, 'äöüß', ARRAY['Å', NULL, '"\ÿ'] FROM generate_series(1, 100) g; INSERT INTO "Größe" VALUES ('ä', 1), ('ö', 2);
		INSERT INTO by_two VALUES (1, 'ÆØ', ('København', 'Ø')::place), (2, 'é', NULL); INSERT INTO by_number VALUES (1, '{"é": 1}', '\xe4', repeat('ü', 3000)); INSERT INTO keyless VALUES ('ä', 'ö'), ('ä', 'ö')`,
		`UPDATE by_name SET name = 'Ä' || name WHERE name LIKE 'Müller 1%'; DELETE FROM by_name WHERE name LIKE '%ü%2'; UPDATE "Größe" SET "Schlüssel" = 'ü' WHERE "ñ" = 1;
		UPDATE by_two SET c = 'å'; DELETE FROM keyless WHERE ctid = '(0,1)'`)
	s.run()
	s.busy("UPDATE by_two SET n = n")
	s.command("", "verify").wants(t, 0)
	s.dst(`UPDATE by_name SET note = '€' WHERE name = 'Müller 50'`)
	s.command("", "verify").wants(t, 1, "(name)=(Müller 50)")
}

// hostileSettings are settings under which a session that trusts its defaults fails or means something else. Those for the source exist in 9.2.
var hostileSettings = map[string][]string{
	"source": {
		"standard_conforming_strings = off", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Kathmandu'", `search_path = '"$user", evil, public'`,
		"default_transaction_isolation = serializable", "default_transaction_read_only = on", "default_transaction_deferrable = on", "statement_timeout = 1",
		"bytea_output = escape", "extra_float_digits = -15", "client_encoding = LATIN1", "array_nulls = off", "xmloption = document", "backslash_quote = on",
		"transform_null_equals = on", "default_with_oids = on", "sql_inheritance = off", "quote_all_identifiers = on", "tcp_keepalives_idle = 1000", "synchronous_commit = off",
		"lc_monetary = 'C'", "client_min_messages = error", "work_mem = '64kB'", "check_function_bodies = off", "enable_indexscan = off", "enable_nestloop = off",
	},
	"target": {
		"standard_conforming_strings = off", "DateStyle = 'German, DMY'", "IntervalStyle = 'iso_8601'", "TimeZone = 'America/St_Johns'", `search_path = '"$user", evil, public'`,
		"default_transaction_isolation = serializable", "default_transaction_read_only = on", "default_transaction_deferrable = on", "statement_timeout = 1", "lock_timeout = 1",
		"idle_in_transaction_session_timeout = 1", "idle_session_timeout = 2000", "lc_messages = 'POSIX'", "bytea_output = escape", "extra_float_digits = -15", "client_encoding = LATIN1", "array_nulls = off",
		"xmloption = document", "transform_null_equals = on", "row_security = off", "session_replication_role = local", "default_toast_compression = pglz", "default_table_access_method = heap",
		"tcp_user_timeout = 1", "client_connection_check_interval = 1", "work_mem = '64kB'", "temp_buffers = 100", "enable_indexscan = off", "enable_nestloop = off", "plan_cache_mode = force_generic_plan",
	},
}

// TestSettingsOfRoleAndDatabase: what role and database set concerns the application, not us.
func TestSettingsOfRoleAndDatabase(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE SCHEMA evil;
		CREATE TABLE t (id serial PRIMARY KEY, at timestamptz, during interval, d date, f float8, r real, b bytea, m money, v text, list text[], n int);
		CREATE TABLE keyless (at timestamptz, during interval, f float8, b bytea, v text);
		CREATE TABLE by_time (at timestamptz PRIMARY KEY, f float8)`)
	for side, dsn := range map[string]*string{"source": &s.config.Source.DSN, "target": &s.config.Target.DSN} {
		role := fmt.Sprintf("hostile_%s_%d", side, time.Now().UnixNano())
		database := one[string](s, *dsn, "SELECT current_database()::text")
		s.exec(*dsn, "CREATE ROLE "+role+" SUPERUSER LOGIN")
		admin := *dsn
		t.Cleanup(func() { s.cleanUp(admin, "REASSIGN OWNED BY "+role+" TO postgres; DROP ROLE "+role) })
		for i, setting := range hostileSettings[side] {
			of := []string{"", " IN DATABASE " + database}[i%2]
			s.exec(admin, "ALTER ROLE "+role+of+" SET "+setting)
		}
		// What an unqualified name or operator would find first.
		s.exec(admin, `CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql AS 'SELECT 0'; CREATE FUNCTION evil.never(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
			CREATE OPERATOR evil.= (PROCEDURE = evil.never, LEFTARG = int, RIGHTARG = int); CREATE TABLE evil.t (id int)`)
		*dsn = with(t, admin, func(u *url.URL) { u.User = url.User(role) })
	}
	s.follows(s.equal, `INSERT INTO t (at, during, d, f, r, b, m, v, list, n) SELECT '2001-02-03 04:05:06.789+05:45'::timestamptz + g * interval '1 day 1 hour', interval '1 year -2 days 03:04:05.006' * g, '2001-12-11'::date + g,
			g / 3.0, g / 7.0, decode('005c27ff', 'hex'), g * 1.11, E'\\n\\t''\\\\' || g, ARRAY['NULL', NULL, E'a\\'], NULL FROM generate_series(1, 50) g;
		INSERT INTO t (at, during, d, f) VALUES ('infinity', '-1 day 2 hours', '0044-03-15 BC', 'NaN'); INSERT INTO keyless SELECT at, during, f, b, v FROM t; INSERT INTO by_time SELECT at, f FROM t`,
		`INSERT INTO keyless SELECT at, during, f, b, v FROM t WHERE id < 10; INSERT INTO by_time VALUES ('2020-01-01', 0.1)`,
		`UPDATE t SET f = f + 0.1, at = at + interval '1 month', n = 1 WHERE id % 3 = 0; UPDATE by_time SET at = at + interval '1 microsecond' WHERE f < 5; UPDATE keyless SET f = f / 3 WHERE f < 3`,
		`DELETE FROM t WHERE id % 5 = 0; DELETE FROM by_time WHERE f > 10; DELETE FROM keyless WHERE f > 10; TRUNCATE by_time`)
	s.settled()
	command(t, nil, "verify", "-c", addresses(t, s.config.Source.DSN, s.config.Target.DSN, "")).wants(t, 0)
	command(t, nil, "uninstall", "--yes", "--force", "-c", addresses(t, s.config.Source.DSN, s.config.Target.DSN, "")).wants(t, 0)
	s.untouched()
}

// cleanUp runs statements when the test's context is over.
func (s *stream) cleanUp(dsn, sql string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err == nil {
		_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
		_ = conn.Close(ctx)
	}
	if err != nil {
		s.t.Errorf("%v in: %s", err, sql)
	}
}

// oddNames are of several scripts, and of what means something to SQL, COPY, format(), the templates of ours and YAML.
var oddNames = []string{
	"Ночной_Дозор", "订单明细表", "🐘🐐", `dou""ble "quotes"`, "it's ''quoted''", "do.ts..", `back\slash\\`, "$capture$", "$1", "$$", "{{schema}}", "%s %I %%", "with  spaces ", " ",
	"tab\there", "line\nbreak", "select", "t", "d", "s", "k1", "txid", "image", "sign", "ctid'", "stage_1", "CamelCase", `\.`, "NULL", "*", "a, b", "-- comment", "/* comment",
	strings.Repeat("n", 63), strings.Repeat("é", 31), strings.Repeat("界", 21), "ends in a backslash\\", "e\u0301 combined", "\u202eright to left", "pgibex_it_insert",
}

// TestOddNames: every name is that of a schema, a table, a key column, a column and a sequence.
func TestOddNames(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	var schema, load, change, remove strings.Builder
	for i, name := range oddNames {
		in, key, value := pgx.Identifier{name}.Sanitize(), pgx.Identifier{name}.Sanitize(), pgx.Identifier{oddNames[(i+1)%len(oddNames)]}.Sanitize()
		if i%2 == 1 { // not every combination, for the sake of time
			in = "public"
		}
		table, keyless := in+"."+pgx.Identifier{name}.Sanitize(), in+"."+value
		if i%2 == 0 {
			fmt.Fprintf(&schema, "CREATE SCHEMA %s;\n", in)
			fmt.Fprintf(&schema, "CREATE TABLE %s (%s text, %s int);\n", keyless, key, value)
			fmt.Fprintf(&load, "INSERT INTO %s VALUES ('x', 1), ('x', 1), (NULL, 2);\n", keyless)
			fmt.Fprintf(&change, "INSERT INTO %s VALUES ('y', 1); UPDATE %s SET %s = 7 WHERE %s IS NULL;\n", keyless, keyless, value, key)
		}
		fmt.Fprintf(&schema, "CREATE TABLE %s (%s int, %s text, PRIMARY KEY (%s));\n", table, key, value, key)
		fmt.Fprintf(&load, "INSERT INTO %s SELECT g, 'v' || g FROM generate_series(1, 5) g;\n", table)
		fmt.Fprintf(&change, "UPDATE %s SET %s = 'new' WHERE %s = 2; UPDATE %s SET %s = 50 WHERE %s = 5; DELETE FROM %s WHERE %s = 3;\n", table, value, key, table, key, key, table, key)
		fmt.Fprintf(&remove, "TRUNCATE %s; INSERT INTO %s VALUES (9, NULL);\n", table, table)
		if i%2 == 0 {
			sequence := in + "." + pgx.Identifier{oddNames[(i+2)%len(oddNames)]}.Sanitize()
			fmt.Fprintf(&schema, "CREATE SEQUENCE %s;\n", sequence)
			fmt.Fprintf(&change, "SELECT nextval('%s');\n", strings.ReplaceAll(sequence, "'", "''"))
		}
	}
	s.both(schema.String())
	s.src(load.String())
	stop := s.run()
	s.streaming()
	s.src(change.String())
	s.streaming()
	s.equalTables()
	s.src(remove.String())
	s.streaming()
	stop()
	s.settled()
	s.command("", "verify").wants(t, 0)
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	s.untouched()
}

// TestTwoThousandTables, 500 of which have no key, is run where PGIBEX_TEST_ALL is set: it takes a minute or two.
func TestTwoThousandTables(t *testing.T) {
	t.Parallel()
	if os.Getenv("PGIBEX_TEST_ALL") == "" {
		pgtest.Skip(t, "takes minutes; set PGIBEX_TEST_ALL=1 to run it")
	}
	const tables = 2000
	s := newStreamOn(t, pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("max_locks_per_transaction", "256")), pgtest.Own(t, pgserver.TargetVersion), "")
	create := func(from, to int) string {
		return fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP
			EXECUTE format('CREATE TABLE table_%%s (id int %%s, v text, other_id int)', i, CASE WHEN i > 500 THEN 'PRIMARY KEY' END); EXECUTE format('CREATE INDEX ON table_%%s (other_id)', i); END LOOP; END $$`, from, to)
	}
	for from := 1; from < tables; from += 500 { // each transaction of these holds all their locks
		s.both(create(from, from+499))
	}
	s.src(`DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('INSERT INTO table_%s SELECT g, ''v'' || g, g %% 7 FROM generate_series(1, 20) g', i * 4); END LOOP; END $$`)
	began := time.Now()
	phase := func(what string) {
		t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	stop := s.run()
	s.eventually("every table streams", 5*time.Minute, func() bool {
		return s.holds(s.targetDSN, "(SELECT count(*) FROM pgibex_it.relation WHERE state = 'streaming') = 2000")()
	})
	phase("install and copy")
	s.src("INSERT INTO table_1 VALUES (1, 'x', 1)")
	s.eventually("a change arrives", time.Minute, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM table_1)"))
	phase("one change arrives")
	s.src(`DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('INSERT INTO table_%s SELECT g, ''w'' || g, g FROM generate_series(100, 102) g', i); END LOOP; END $$`)
	s.eventually("a change of every table arrives", 5*time.Minute, func() bool {
		return s.holds(s.targetDSN, "(SELECT count(*) FROM pgibex_it.relation WHERE state = 'streaming' AND position IS NULL) = 2000 AND EXISTS (SELECT 1 FROM table_2000 WHERE id = 102)")()
	})
	phase("a change of every table")
	s.src("UPDATE table_4 SET v = 'new' WHERE id % 2 = 0; DELETE FROM table_8 WHERE id < 5")
	s.streaming()
	phase("status")
	stop()
	s.equal()
	phase("compare")
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	phase("uninstall")
	s.untouched()
}
