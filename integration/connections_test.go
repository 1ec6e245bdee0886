package integration

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// proxied gives an address by which the connections to a database can be hurt.
func proxied(t *testing.T, dsn string) (through string, proxy *toxiproxy.Proxy) {
	t.Helper()
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	proxy = toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", address.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	_, port, err := net.SplitHostPort(proxy.Listen)
	if err != nil {
		t.Fatal(err)
	}
	address.Host = "127.0.0.1:" + port
	return address.String(), proxy
}

// swallow has everything that is sent vanish, in both directions and without an end.
func swallow(t *testing.T, proxy *toxiproxy.Proxy) {
	t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"name": "` + stream + `", "type": "timeout", "stream": "` + stream + `", "attributes": {"timeout": 0}}`))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// takeover is how long the stream may be without a daemon.
const takeover = 10 * time.Second

// pair starts two daemons, the second of which waits for the first, which reaches the target by an address of its own.
func (s *stream) pair(targetOfFirst string) (first, second *process) {
	s.t.Helper()
	s.src("INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 100) g")
	direct := s.targetDSN
	s.targetDSN = targetOfFirst
	first = s.daemon("")
	s.targetDSN = direct
	s.streaming()
	second = s.daemon("")
	second.says("waiting as its standby")
	return first, second
}

// takesOver waits until the second daemon has the stream, and carries it.
func (s *stream) takesOver(second *process) {
	s.t.Helper()
	began := time.Now()
	second.says("taking over the stream")
	took := time.Since(began)
	s.t.Logf("the standby took over after %v", took)
	if took > takeover {
		s.t.Errorf("the standby took over after %v", took)
	}
	s.src("UPDATE t SET v = v || '!' WHERE id % 2 = 0; DELETE FROM t WHERE id % 10 = 3")
	s.streaming()
	s.equal()
}

func TestAStoppedDaemonLosesTheStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	first, second := s.pair(s.targetDSN)
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.takesOver(second)
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.says("the session that holds the stream's lock was lost")
	first.says("waiting as its standby")
	s.src("INSERT INTO t VALUES (1000, 'after')")
	s.streaming()
	s.equal()
}

// TestADaemonThatTheTargetHearsNothingOf: what is between acknowledges everything and passes on nothing, so that no keepalive notices.
func TestADaemonThatTheTargetHearsNothingOf(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	through, proxy := proxied(t, s.targetDSN)
	_, second := s.pair(through)
	swallow(t, proxy)
	s.takesOver(second)
}

// TestRolesAsDocumented: md5 passwords on both sides, the roles that README asks for, and what a target says of less.
func TestRolesAsDocumented(t *testing.T) {
	t.Parallel()
	for _, version := range []string{pgserver.TargetVersion, "15"} {
		t.Run("target "+version, func(t *testing.T) {
			if version != pgserver.TargetVersion && os.Getenv("PGIBEX_TEST_ALL") == "" {
				pgtest.Skip(t, "another server to download; set PGIBEX_TEST_ALL=1 to run it")
			}
			source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("password_encryption", "on"))
			target := pgtest.Own(t, version, pgserver.WithSetting("password_encryption", "md5"))
			s := newStreamOn(t, source, target, "")
			for _, server := range []*pgserver.Server{source, target} {
				s.exec(server.DSN(""), "CREATE ROLE app_owner; CREATE ROLE app LOGIN; CREATE ROLE pgibex LOGIN PASSWORD 'by md5'; GRANT app_owner TO pgibex")
				prepend(t, filepath.Join(server.DataDir(), "pg_hba.conf"), "host all pgibex 127.0.0.1/32 md5\n")
				s.exec(server.DSN(""), "SELECT pg_reload_conf()")
			}
			admin := [2]string{s.sourceDSN, s.targetDSN}
			for _, dsn := range admin {
				s.exec(dsn, fmt.Sprintf(`GRANT CREATE ON DATABASE %s TO pgibex; CREATE SCHEMA closed AUTHORIZATION app_owner; SET ROLE app_owner;
					CREATE TABLE closed.a (id serial PRIMARY KEY, v text); CREATE TABLE closed.keyless (v text); CREATE TABLE closed.b (id int PRIMARY KEY, a int REFERENCES closed.a);
					CREATE SEQUENCE closed.alone; GRANT USAGE ON SCHEMA closed TO app; GRANT ALL ON ALL TABLES IN SCHEMA closed TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA closed TO app`,
					strings.TrimPrefix(with(t, dsn, func(u *url.URL) { *u = url.URL{Path: u.Path} }), "/")))
			}
			as := func(name, password string) func(*url.URL) {
				return func(u *url.URL) { u.User = url.UserPassword(name, password) }
			}
			s.config.Source.DSN, s.config.Target.DSN = with(t, s.sourceDSN, as("pgibex", "by md5")), with(t, s.targetDSN, as("pgibex", "by md5"))
			file := addresses(t, s.config.Source.DSN, s.config.Target.DSN, "")
			refused := command(t, nil, "catchup", "-c", file)
			remedy := `ALTER ROLE "pgibex" SET session_replication_role = replica`
			if version == "15" {
				remedy = `GRANT SET ON PARAMETER session_replication_role TO "pgibex"`
			}
			refused.wants(t, 1, "target: role pgibex may not set session_replication_role", "as a superuser on the target: "+remedy)
			s.dst(remedy)
			s.exec(with(t, admin[0], as("app", "")), "INSERT INTO closed.a (v) SELECT 'v' || g FROM generate_series(1, 100) g; INSERT INTO closed.keyless VALUES ('x'), ('x'); INSERT INTO closed.b SELECT id, id FROM closed.a")
			command(t, nil, "catchup", "-c", file).wants(t, 0)
			s.exec(with(t, admin[0], as("app", "")), "UPDATE closed.a SET v = 'new' WHERE id < 5; DELETE FROM closed.b WHERE id > 50; DELETE FROM closed.keyless WHERE ctid = '(0,1)'; SELECT nextval('closed.alone')")
			command(t, nil, "catchup", "-c", file).wants(t, 0)
			s.equal()
			command(t, nil, "verify", "-c", file).wants(t, 0)
			command(t, nil, "uninstall", "--yes", "--force", "-c", file).wants(t, 0)
			s.untouched()
		})
	}
}
