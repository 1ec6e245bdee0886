package pgserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

const helperVersion = "PGIBEX_TEST_HELPER_SERVER"

func TestMain(m *testing.M) {
	if version := os.Getenv(helperVersion); version != "" {
		helper(version)
	}
	pgtest.Main(m)
}

// helper starts a server, says where, and waits to be killed.
func helper(version string) {
	server, err := pgserver.Start(context.Background(), version)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(server.DSN(""))
	fmt.Println(server.DataDir())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	os.Exit(1)
}

func one[T any](t *testing.T, dsn, query string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

func run(t *testing.T, dsn, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

func answers(t *testing.T, dsn string) bool {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(config.Host, fmt.Sprint(config.Port)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func TestServerIsOfTheVersionWanted(t *testing.T) {
	for _, version := range []string{"9.2", "14"} {
		t.Run(version, func(t *testing.T) {
			server := pgtest.Server(t, version)
			dsn := pgtest.Database(t, server, "TEMPLATE template0", "ENCODING 'SQL_ASCII'", "LC_COLLATE 'C'", "LC_CTYPE 'C'")
			if got := one[string](t, dsn, "SELECT version()"); !strings.HasPrefix(got, "PostgreSQL "+version+".") {
				t.Errorf("version() is %s", got)
			}
			if got := one[string](t, dsn, "SHOW server_encoding"); got != "SQL_ASCII" {
				t.Errorf("encoding %s", got)
			}
			if !strings.HasPrefix(server.Version(), version+".") {
				t.Errorf("Version() is %s", server.Version())
			}
		})
	}
}

func TestDatabaseIsDroppedWithWhatUsesIt(t *testing.T) {
	for _, version := range []string{"9.2", "14"} {
		t.Run(version, func(t *testing.T) {
			server := pgtest.Server(t, version)
			var dsn string
			t.Run("user", func(t *testing.T) {
				dsn = pgtest.Database(t, server)
				run(t, dsn, "BEGIN; CREATE TABLE t (id int); PREPARE TRANSACTION 'left over'")
				conn, err := pgx.Connect(t.Context(), dsn)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Ping(context.WithoutCancel(t.Context())) }) // still connected
			})
			if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
				_ = conn.Close(t.Context())
				t.Error("the database is still there")
			}
		})
	}
}

func TestRestartKeepsPortAndData(t *testing.T) {
	for _, version := range []string{"9.2", "14"} {
		t.Run(version, func(t *testing.T) {
			server := pgtest.Own(t, version, pgserver.WithSetting("work_mem", "7MB"), pgserver.WithDurable())
			dsn := server.DSN("")
			run(t, dsn, "CREATE TABLE kept AS SELECT 42 AS n")
			idle, err := pgx.Connect(t.Context(), dsn) // a client in the way
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = idle.Close(context.WithoutCancel(t.Context())) }()
			ways := map[string]func() error{
				"fast": func() error { return server.Stop(pgserver.Fast) }, "crash": server.Kill, "while it runs": func() error { return nil },
			}
			for name, end := range ways {
				if err := end(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if name != "while it runs" && answers(t, dsn) {
					t.Errorf("%s: still answers", name)
				}
				if err := server.Restart(t.Context()); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got := one[int32](t, dsn, "SELECT n FROM kept"); got != 42 {
					t.Errorf("%s: n = %d", name, got)
				}
			}
			if got := one[string](t, dsn, "SELECT current_setting('work_mem') || current_setting('fsync')"); got != "7MBon" {
				t.Errorf("work_mem and fsync are %s", got)
			}
		})
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	parent := pgtest.TempDir(t)
	server := pgtest.Own(t, "9.2", pgserver.WithDataDir(parent))
	if server.DataDir() == "" {
		pgtest.Skip(t, "the server's data is not on this disk")
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if answers(t, server.DSN("")) {
		t.Error("the server still answers")
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if err := server.Restart(t.Context()); err == nil {
		t.Error("a closed server was started")
	}
}

func TestFailedStartShowsTheLog(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server; not with -short")
	}
	install, err := pgserver.Find(t.Context(), "14")
	if err != nil || install.BinDir == "" {
		pgtest.Skip(t, fmt.Sprintf("no installation of our own: %v", err))
	}
	_, err = install.Start(t.Context(), pgserver.WithSetting("no_such_parameter", "1"))
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_parameter"`) {
		t.Errorf("error: %v", err)
	}
}

func TestKilledProcessLeavesNoServer(t *testing.T) {
	for _, version := range []string{"9.2", "14"} {
		t.Run(version, func(t *testing.T) {
			if pgtest.Server(t, version).DataDir() == "" {
				pgtest.Skip(t, "the server is not a child of ours")
			}
			temp := pgtest.TempDir(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), helperVersion+"="+version, "TMPDIR="+temp)
			cmd.Stderr = os.Stderr
			if _, err := cmd.StdinPipe(); err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			lines.Scan()
			dsn := lines.Text()
			lines.Scan()
			dataDir := lines.Text()
			if !answers(t, dsn) || !isThere(dataDir) {
				t.Fatalf("the helper's server is not there: %s %s", dsn, dataDir)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			eventually(t, "the server ends", func() bool { return !answers(t, dsn) && !isThere(dataDir+"/postmaster.pid") })

			t.Setenv("TMPDIR", temp)
			pgtest.Own(t, version)
			if isThere(dataDir) {
				t.Errorf("the next start left %s", dataDir)
			}
		})
	}
}

func TestFindRefusesWhatTheEnvironmentNames(t *testing.T) {
	for _, tc := range []struct{ name, variable, value, version, want string }{
		{"no server in the directory", "PGIBEX_PG92_BIN", "/", "9.2", "using PGIBEX_PG92_BIN: / has no initdb"},
		{"nobody at the address", "PGIBEX_PG14_DSN", "postgres://x@127.0.0.1:1/x?sslmode=disable", "14", "connecting to PGIBEX_PG14_DSN"},
		{"no version", "PGIBEX_PG92_BIN", "", "nine", `"nine" is not a PostgreSQL major version`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(tc.variable, tc.value)
			if _, err := pgserver.Find(t.Context(), tc.version); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestServerByAddressIsLeftAlone(t *testing.T) {
	running := pgtest.Target(t)
	t.Setenv("PGIBEX_PG14_DSN", running.DSN("postgres"))
	server, err := pgserver.Start(t.Context(), "14")
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Database(t, server)
	for name, err := range map[string]error{"stop": server.Stop(pgserver.Fast), "kill": server.Kill(), "restart": server.Restart(t.Context())} {
		if !errors.Is(err, pgserver.ErrNotOurs) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if !answers(t, running.DSN("")) {
		t.Error("the server was stopped")
	}
}
