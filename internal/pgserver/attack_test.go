package pgserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// ofItsOwn starts a server as the demonstration does.
func ofItsOwn(t *testing.T, version string, opts ...pgserver.Option) *pgserver.Server {
	t.Helper()
	if pgtest.Server(t, version).DataDir() == "" {
		pgtest.Skip(t, "the server is not a child of ours")
	}
	server, err := pgserver.Start(t.Context(), version, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Nobody on this machine gets in who was not given the address.
func TestServerAsksForItsPassword(t *testing.T) {
	for version, hash := range map[string]string{"9.2": "md5", "14": "SCRAM-SHA-256$"} {
		t.Run(version, func(t *testing.T) {
			server := ofItsOwn(t, version, pgserver.WithSetting("log_statement", "all"))
			config, err := pgx.ParseConfig(server.DSN(""))
			if err != nil {
				t.Fatal(err)
			}
			refused := func(password string) {
				t.Helper()
				guessed := config.Copy()
				guessed.Password = password
				conn, err := pgx.ConnectConfig(t.Context(), guessed)
				if err == nil {
					_ = conn.Close(t.Context())
				}
				pgErr, ok := err.(*pgconn.ConnectError) //nolint:errorlint // as pgx returns it
				if !ok || !strings.Contains(pgErr.Error(), "28P01") {
					t.Errorf("with password %q: %v", password, err)
				}
			}
			refused("postgres")
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			refused("postgres")
			if got := one[string](t, server.DSN("postgres"), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'"); !strings.HasPrefix(got, hash) {
				t.Errorf("the password is kept as %.8s…", got)
			}
			if strings.Contains(server.Log(), config.Password) {
				t.Error("the password is in the server's log")
			}
			socket := filepath.Join(filepath.Dir(server.DataDir()), "socket")
			if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("its socket's directory: %v %v", info, err)
			}
		})
	}
}

// A superuser of a server acts as the user who runs it, and finds nothing that root would read, follow or write through.
func TestServersUserCannotLayTraps(t *testing.T) {
	if os.Geteuid() != 0 {
		pgtest.Skip(t, "not root: the servers run as this very user")
	}
	server := ofItsOwn(t, "14")
	home := filepath.Dir(server.DataDir())
	cache := os.Getenv("PGIBEX_CACHE")
	if cache == "" {
		cache = "/var/cache/pgibex"
	}
	for _, command := range []string{
		"ln -s /etc/shadow " + home + "/log.new",
		"mv " + home + "/log " + home + "/gone",
		"rm -f " + home + "/log",
		"echo >> " + home + "/log",
		"mv " + home + "/socket " + home + "/gone",
		fmt.Sprintf("for template in %s/templates/14.*uid0; do ls $template/data && exit 0; done; exit 1", cache),
		fmt.Sprintf("for template in %s/templates/14.*uid0; do ln -s /etc/shadow $template/data/trap && rm $template/data/trap && exit 0; done; exit 1", cache),
		fmt.Sprintf("touch %s/templates/trap", cache),
	} {
		conn, err := pgx.Connect(t.Context(), server.DSN(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "COPY (SELECT 1) TO PROGRAM '"+command+"'"); err == nil {
			t.Errorf("the servers' user may: %s", command)
		}
		_ = conn.Close(t.Context())
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Error(err)
	}
}
