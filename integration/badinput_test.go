package integration

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

const password = "0pen-Sesame!"

// with changes one part of an address.
func with(t *testing.T, dsn string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func parameter(key, value string) func(*url.URL) {
	return func(u *url.URL) {
		query := u.Query()
		query.Set(key, value)
		u.RawQuery = query.Encode()
	}
}

// addresses writes a configuration of two addresses.
func addresses(t *testing.T, source, target, more string) (path string) {
	t.Helper()
	return write(t, fmt.Sprintf("stream: it\nsource: {dsn: %q}\ntarget: {dsn: %q}\nmetrics: {listen: \"off\"}\n%s", source, target, more))
}

// brief fails the test if an error takes more lines than it names things, or holds the password.
func (r result) brief(t *testing.T, lines int) {
	t.Helper()
	text := strings.TrimSpace(r.log)
	var told []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "time=") { // a line of the log, as a warning is
			told = append(told, line)
		}
	}
	if len(told) == 0 || len(told) > lines {
		t.Errorf("%d lines instead of %d:\n%s", len(told), lines, text)
	}
	if strings.Contains(r.out+r.log, password) || strings.Contains(r.out+r.log, url.QueryEscape(password)) {
		t.Errorf("the password is in: %s", text)
	}
	if strings.Contains(text, "goroutine ") {
		t.Errorf("it has panicked: %s", text)
	}
}

func TestConfigurationRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary; not with -short")
	}
	const good = "source: {dsn: \"host=a dbname=x\"}\ntarget: {dsn: \"host=b dbname=x\"}\n"
	for _, test := range []struct {
		name, text string
		wants      []string
	}{
		{"empty", "", []string{"the file is empty", "pgibex config example"}},
		{"not YAML", "source: [\n  dsn: {", []string{"not valid YAML"}},
		{"unknown key", good + "tables:\n  inlcude: [\"public.*\"]\n", []string{":4: tables.inlcude: unknown key", "tables.include"}},
		{"duplicate key", good + "stream: a\nstream: b\n", []string{":4: stream: set twice"}},
		{"wrong type", good + "copy:\n  workers: many\n", []string{":4: copy.workers"}},
		{"unparsable DSN", "source: {dsn: \"postgres://u:" + password + "@h:port/db\"}\ntarget: {dsn: \"host=b\"}\n", []string{"source.dsn", "a port is not a number"}},
		{"no DSN at all", "stream: it\n", []string{"source.dsn", "target.dsn", "PGIBEX_SOURCE_DSN"}},
		{"same DSN", "source: {dsn: \"host=a dbname=x\"}\ntarget: {dsn: \"postgres://a/x\"}\n", []string{"same database"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := command(t, nil, "run", "-c", write(t, test.text))
			r.wants(t, 2, test.wants...)
			r.brief(t, 3)
		})
	}
	t.Run("missing", func(t *testing.T) {
		r := command(t, nil, "status", "-c", filepath.Join(t.TempDir(), "nothing.yaml"))
		r.wants(t, 2, "nothing.yaml: no such file", "pgibex config example")
		r.brief(t, 1)
	})
	t.Run("environment", func(t *testing.T) {
		r := command(t, []string{"PGIBEX_SOURCE_DSN=postgres://u:" + password + "@h:p/db"}, "status", "-c", write(t, good))
		r.wants(t, 2, "PGIBEX_SOURCE_DSN")
		r.brief(t, 1)
	})
}

func TestServersRefused(t *testing.T) {
	t.Parallel()
	own := pgtest.Own(t, pgserver.SourceVersion)
	s := newStreamOn(t, own, pgtest.Target(t), "CREATE TABLE a (id int PRIMARY KEY)")
	s.src("CREATE ROLE walled LOGIN SUPERUSER PASSWORD '" + password + "'; CREATE ROLE barred LOGIN SUPERUSER; INSERT INTO a VALUES (1)")
	prepend(t, filepath.Join(own.DataDir(), "pg_hba.conf"), "host all walled 127.0.0.1/32 md5\nhost all barred 127.0.0.1/32 reject\n")
	s.src("SELECT pg_reload_conf()")
	user := func(name, password string) func(*url.URL) {
		return func(u *url.URL) { u.User = url.UserPassword(name, password) }
	}
	s.eventually("the server asks for passwords", 5e9, func() bool {
		return !s.holds(with(t, s.sourceDSN, user("walled", "no")), "true")()
	})
	host := func(name string) func(*url.URL) { return func(u *url.URL) { u.Host = name } }
	closed := databaseOf(pgtest.Database(t, own))
	s.src("CREATE ROLE plain LOGIN; CREATE ROLE limited LOGIN CONNECTION LIMIT 0; ALTER DATABASE " + closed + " CONNECTION LIMIT 0")
	as := func(role, path string) func(*url.URL) {
		return func(u *url.URL) {
			u.User = url.UserPassword(role, "")
			if path != "" {
				u.Path = path
			}
		}
	}
	port := strings.TrimPrefix(with(t, s.sourceDSN, func(u *url.URL) { *u = url.URL{Host: u.Port()} }), "//")
	for _, test := range []struct {
		name   string
		change func(*url.URL)
		code   int
		wants  []string
	}{
		{"unknown host", host("no-such-host.invalid:" + port), 1, []string{"host no-such-host.invalid", "source.dsn"}},
		{"no answer", func(u *url.URL) { u.Host = silent(t); parameter("connect_timeout", "1")(u) }, 1, []string{"cannot be reached", "firewalls"}},
		{"closed port", host("127.0.0.1:1"), 1, []string{"port 1", "nothing listens on that port", "listen_addresses"}},
		{"wrong password", user("walled", password+"x"), 1, []string{`user "walled"`, "password refused", "password authentication failed", "~/.pgpass"}},
		{"not let in", user("barred", password), 1, []string{`user "barred"`, "pg_hba.conf"}},
		{"unknown role", user("nobody_there", password), 1, []string{"nobody_there"}},
		{"missing database", func(u *url.URL) { u.Path = "/not_there" }, 1, []string{`database "not_there"`, "does not exist", "check the database name"}},
		{"database full", as("plain", "/"+closed), 1, []string{`too many connections for database "` + closed + `"`, "CONNECTION LIMIT"}},
		{"role full", as("limited", ""), 1, []string{`too many connections for role "limited"`, "CONNECTION LIMIT"}},
		{"TLS refused", parameter("sslmode", "require"), 1, []string{"TLS was refused", "sslmode"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dsn := with(t, s.sourceDSN, test.change)
			for _, c := range []string{"run", "catchup"} {
				r := command(t, nil, c, "-c", addresses(t, dsn, s.targetDSN, ""))
				r.wants(t, test.code, append(test.wants, "source (")...)
				r.brief(t, 1)
			}
		})
	}
	t.Run("right password is told nobody", func(t *testing.T) {
		d := pgibex(t, nil, "run", "-v", "-c", addresses(t, with(t, s.sourceDSN, user("walled", password)), s.targetDSN, ""))
		s.eventually("it streams", 30e9, s.holds(s.targetDSN, allStream))
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, file))
			if err == nil && strings.Contains(string(text), password) {
				t.Errorf("the password is in its %s", file)
			}
		}
		s.src("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/it/%'")
		d.says("interrupted")
		d.terminate()
		if d.log.contains(password) {
			t.Errorf("the password is in the log:\n%s", d.log)
		}
		s.command("", "uninstall", "--yes", "--force").wants(t, 0)
		s.untouched()
	})
}

// silent is an address where nobody answers, as behind a firewall that swallows packets.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func prepend(t *testing.T, path, text string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append([]byte(text), old...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestPairsRefused(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	t.Run("same database under another name", func(t *testing.T) {
		r := command(t, nil, "run", "-c", addresses(t, s.targetDSN, with(t, s.targetDSN, func(u *url.URL) { u.Host = "localhost:" + u.Port() }), ""))
		r.wants(t, 2, "are the same database")
		r.brief(t, 1)
	})
	t.Run("target too old", func(t *testing.T) {
		other := pgtest.Database(t, s.source)
		r := command(t, nil, "run", "-c", addresses(t, s.sourceDSN, other, ""))
		r.wants(t, 1, "target: PostgreSQL 9.2", "is older than 9.5")
		r.brief(t, 1)
	})
	t.Run("include matches nothing", func(t *testing.T) {
		r := s.command("tables: {include: [\"shop.*\", \"public.a\"]}\n", "run")
		r.wants(t, 2, "tables.include: shop.* matches no table")
		r.brief(t, 1)
	})
	t.Run("everything excluded", func(t *testing.T) {
		s.command("tables: {exclude: [\"*.*\"]}\n", "run").wants(t, 2, "no table that is included and not excluded")
	})
	t.Run("source in recovery", func(t *testing.T) {
		standby := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("wal_level", "hot_standby"), pgserver.WithSetting("hot_standby", "on"))
		if err := standby.Stop(pgserver.Fast); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(standby.DataDir(), "recovery.conf"), []byte("standby_mode = 'on'\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := standby.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := command(t, nil, "run", "-c", addresses(t, standby.DSN("postgres"), s.targetDSN, ""))
		r.wants(t, 1, "source: the server is in recovery, a standby; give the address of its primary")
		r.brief(t, 1)
	})
	t.Run("target in recovery", func(t *testing.T) {
		standby := pgtest.Own(t, pgserver.TargetVersion)
		s.exec(standby.DSN("postgres"), "CREATE TABLE a (id int PRIMARY KEY)")
		if err := standby.Stop(pgserver.Fast); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(standby.DataDir(), "standby.signal"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := standby.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []string{"run", "catchup", "install"} {
			r := command(t, nil, c, "-c", addresses(t, s.sourceDSN, standby.DSN("postgres"), ""))
			r.wants(t, 1, "target: the server is in recovery, a standby; give the address of its primary")
			r.brief(t, 1)
		}
		if ours := s.ours(standby.DSN("postgres")); len(ours) > 0 {
			t.Errorf("the standby has %v", ours)
		}
	})
	s.untouched()
}

func TestTablesRefused(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE fine (id int PRIMARY KEY); CREATE TABLE full_already (id int PRIMARY KEY);
		CREATE TABLE no_index (id int NOT NULL); CREATE TABLE retyped (id int PRIMARY KEY); CREATE TABLE lacks (id int PRIMARY KEY); CREATE TABLE wants_more (id int PRIMARY KEY)`)
	s.src(`CREATE TABLE only_here (id int PRIMARY KEY); ALTER TABLE no_index ADD PRIMARY KEY (id); ALTER TABLE retyped ADD at timestamptz; ALTER TABLE lacks ADD "Extra" text`)
	s.dst(`ALTER TABLE retyped ADD at bytea; INSERT INTO full_already VALUES (1); ALTER TABLE wants_more ADD must text NOT NULL;`)
	for _, c := range []string{"run", "catchup", "install"} {
		r := s.command("", c)
		r.wants(t, 1,
			"public.only_here: is missing on the target; create it there",
			"public.no_index: has no primary key or unique index on (id) on the target",
			"public.retyped: column at is timestamp with time zone on the source and bytea on the target",
			"public.lacks: column Extra is missing on the target", `ADD COLUMN "Extra" text`,
			"public.full_already: is not empty on the target and was not loaded by this stream; TRUNCATE it",
			"public.wants_more: column must of the target does not exist on the source, is NOT NULL and has no default")
		r.brief(t, 6)
		s.untouched()
	}
	s.command("tables: {include: [\"public.fine\"]}\n", "catchup").wants(t, 0)
}

func TestRightsRefused(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	role := fmt.Sprintf("role_%d", os.Getpid()) // stays behind on the servers, which end with the tests
	for _, dsn := range []string{s.sourceDSN, s.targetDSN} {
		s.exec(dsn, "CREATE ROLE "+role+" LOGIN; GRANT ALL ON a TO "+role)
	}
	as := func(dsn string) string {
		return with(t, dsn, func(u *url.URL) { u.User = url.UserPassword(role, password) })
	}
	source := func() result { return command(t, nil, "run", "-c", addresses(t, as(s.sourceDSN), s.targetDSN, "")) }
	source().wants(t, 1, "source: role "+role+" may not create a schema; GRANT CREATE ON DATABASE")
	s.src("DO $$BEGIN EXECUTE 'GRANT CREATE ON DATABASE ' || current_database() || ' TO " + role + "'; END$$")
	r := source()
	r.wants(t, 1, "public.a: on the source role "+role+" has no rights of its owner postgres", "GRANT \"postgres\" TO")
	r.brief(t, 1)
	s.src("ALTER ROLE " + role + " NOINHERIT; GRANT postgres TO " + role)
	r = source()
	r.wants(t, 1, "is a member of its owner postgres and does not inherit its rights", "ALTER ROLE \""+role+"\" INHERIT")
	r.brief(t, 1)
	s.src("REVOKE postgres FROM " + role)
	r = command(t, nil, "run", "-c", addresses(t, s.sourceDSN, as(s.targetDSN), ""))
	r.wants(t, 1, "target: role "+role+" may not set session_replication_role", "superuser")
	r.brief(t, 1)
	s.untouched()
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE plain (v text); CREATE TABLE partial (id int NOT NULL); CREATE TABLE late (id int NOT NULL UNIQUE DEFERRABLE);
		CREATE TABLE expression (v text NOT NULL); CREATE UNIQUE INDEX ON partial (id) WHERE id > 0; CREATE UNIQUE INDEX ON expression (lower(v));
		CREATE VIEW seen AS SELECT 1 AS x; CREATE TABLE narrow (id int PRIMARY KEY, v varchar(20))`)
	s.src(`CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing; CREATE FOREIGN TABLE far (id int) SERVER nowhere;
		INSERT INTO plain VALUES ('x'); INSERT INTO partial VALUES (1); INSERT INTO late VALUES (1); INSERT INTO expression VALUES ('X')`)
	s.dst("ALTER TABLE narrow ALTER v TYPE varchar(10)")
	r := s.command("tables: {include: [\"public.*\"]}\n", "catchup")
	r.wants(t, 0,
		"public.plain has no primary key", "public.partial has no primary key", "partial", "public.late has no primary key", "deferrable",
		"public.expression has no primary key", "expression", "public.seen is a view and is left out", "public.far is a foreign table and is left out",
		"public.narrow: column v is character varying(20) on the source and only character varying(10) on the target")
	s.src("UPDATE partial SET id = 2; DELETE FROM late; INSERT INTO expression VALUES ('Y')")
	s.catchUp()
	for _, table := range []string{"plain", "partial", "late", "expression", "narrow"} {
		s.equalTable("public." + table)
	}
}

func TestTwoStreamsBesideEachOther(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE c (v text)")
	second := pgtest.Database(t, s.target) // the other stream goes to the same target, a third to another database
	s.exec(second, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE c (v text)")
	config := func(stream, target, include string) string {
		return write(t, fmt.Sprintf("stream: %s\nsource: {dsn: %q}\ntarget: {dsn: %q}\ntables: {include: [%s]}\nmetrics: {listen: \"off\"}\n", stream, s.sourceDSN, target, include))
	}
	files := []string{config("it", s.targetDSN, "public.a"), config("other", s.targetDSN, "public.b, public.c"), config("third", second, "\"public.*\"")}
	s.src("INSERT INTO a VALUES (1, 'a'); INSERT INTO b VALUES (1, 'b'); INSERT INTO c VALUES ('c')")
	for _, file := range files {
		command(t, nil, "catchup", "-c", file).wants(t, 0)
	}
	s.src("UPDATE a SET v = 'A', id = 2; UPDATE b SET v = 'B'; INSERT INTO c VALUES ('C')")
	for _, file := range files {
		command(t, nil, "catchup", "-c", file).wants(t, 0)
	}
	s.equal()
	command(t, nil, "uninstall", "--yes", "--force", "-c", files[1]).wants(t, 0)
	s.src("UPDATE a SET v = 'AA'; TRUNCATE b; DELETE FROM c WHERE v = 'C'")
	command(t, nil, "catchup", "-c", files[0]).wants(t, 0)
	command(t, nil, "catchup", "-c", files[2]).wants(t, 0)
	s.equalTable("public.a")
	s.targetDSN = second
	s.equal()
}
