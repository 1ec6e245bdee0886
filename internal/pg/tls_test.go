package pg

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// listen collects what is logged until the test ends.
func listen(t *testing.T) *logged {
	t.Helper()
	warned.Clear()
	l := &logged{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(l, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.b.String()), "\n")
}

// install puts a file into the data directory, as the server's own.
func install(t *testing.T, server *pgserver.Server, name string, content []byte) {
	t.Helper()
	path := filepath.Join(server.DataDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	like(t, path, filepath.Join(server.DataDir(), "PG_VERSION"))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// encrypted starts a server of its own with TLS on. User cert must show a certificate, user walled may not come without TLS.
func encrypted(t *testing.T, version string, ca *authority) *pgserver.Server {
	t.Helper()
	ca.server("server", "127.0.0.1")
	server := pgtest.Own(t, version)
	if server.DataDir() == "" {
		pgtest.Skip(t, "the server's files are not on this machine")
	}
	install(t, server, "server.crt", read(t, ca.file("server.crt")))
	install(t, server, "server.key", read(t, ca.file("server.key")))
	install(t, server, "root.crt", read(t, ca.root()))
	hba := "hostssl all cert 127.0.0.1/32 cert\nhostnossl all cert,walled 127.0.0.1/32 reject\nhostnossl all all 127.0.0.1/32 trust\n"
	install(t, server, "pg_hba.conf", append([]byte(hba), read(t, filepath.Join(server.DataDir(), "pg_hba.conf"))...))
	install(t, server, "postgresql.conf", append(read(t, filepath.Join(server.DataDir(), "postgresql.conf")), "\nssl = on\nssl_ca_file = 'root.crt'\n"...))
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server
}

func TestTLSOfOldServers(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	server := encrypted(t, pgserver.SourceVersion, ca)
	ca.client("cert")
	other.client("cert")
	admin, err := Server{Side: Source, DSN: server.DSN("")}.Connect(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.CloseNow()
	if err := admin.Run(t.Context(), "CREATE ROLE cert LOGIN; CREATE ROLE walled LOGIN"); err != nil {
		t.Fatal(err)
	}
	dsn := strings.Replace(server.DSN(""), "sslmode=disable", "sslmode=", 1)
	as := func(user string) string { return strings.Replace(dsn, "postgres:postgres@", user+"@", 1) }
	const weak = "without forward secrecy"
	for _, test := range []struct {
		name, dsn  string
		warns, err string
	}{
		{name: "require", dsn: dsn + "require", warns: weak},
		{name: "prefer", dsn: dsn + "prefer", warns: weak},
		{name: "disable", dsn: dsn + "disable"},
		{name: "verify-ca", dsn: dsn + "verify-ca&sslrootcert=" + ca.root(), warns: weak},
		{name: "verify-full", dsn: dsn + "verify-full&sslrootcert=" + ca.root(), warns: weak},
		{name: "another CA", dsn: dsn + "verify-ca&sslrootcert=" + other.root(), err: "TLS was refused: x509: certificate signed by unknown authority"},
		{name: "another CA, host too", dsn: dsn + "verify-full&sslrootcert=" + other.root(), err: "TLS was refused: x509: certificate signed by unknown authority"},
		{name: "another host", dsn: strings.Replace(dsn, "127.0.0.1", "localhost", 1) + "verify-full&sslrootcert=" + ca.root(), err: "TLS was refused: x509: certificate is not valid for any names, but wanted to match localhost"},
		{name: "another host, CA only", dsn: strings.Replace(dsn, "127.0.0.1", "localhost", 1) + "verify-ca&sslrootcert=" + ca.root(), warns: weak},
		{name: "walled, prefer", dsn: as("walled") + "prefer", warns: weak},
		{name: "client certificate", dsn: as("cert") + "verify-full&sslrootcert=" + ca.root() + "&sslcert=" + ca.file("cert.crt") + "&sslkey=" + ca.file("cert.key"), warns: weak},
		{name: "no client certificate", dsn: as("cert") + "require", err: "not allowed in: connection requires a valid client certificate"},
		{name: "client certificate of another CA", dsn: as("cert") + "require&sslcert=" + other.file("cert.crt") + "&sslkey=" + other.file("cert.key"), err: "not allowed in: connection requires a valid client certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := listen(t)
			for range 2 { // what is weak is said once
				conn, err := Server{Side: Source, DSN: test.dsn, Stream: t.Name()}.Connect(t.Context(), "source")
				if test.err != "" {
					if err == nil || !strings.Contains(err.Error(), test.err) || Transient(err) {
						t.Errorf("got %v, want %s", err, test.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				conn.CloseNow()
			}
			lines := strings.Join(log.lines(), "\n")
			if strings.Count(lines, "WARN") != strings.Count(test.warns, weak) || !strings.Contains(lines, test.warns) {
				t.Errorf("it says %q", lines)
			}
		})
	}
	t.Run("512 MB", func(t *testing.T) {
		conn, err := Server{Side: Source, DSN: dsn + "require"}.Connect(t.Context(), "copy")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		var n counter
		began := time.Now()
		if err := conn.CopyOut(t.Context(), "COPY (SELECT repeat('x', 1000000) FROM generate_series(1, 545)) TO STDOUT", &n); err != nil {
			t.Fatalf("after %d MB: %v", n>>20, err)
		}
		t.Logf("%d MB in %v", n>>20, time.Since(began))
	})
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// TestTLSOfLaterServers: the old suites are not fallen back to.
func TestTLSOfLaterServers(t *testing.T) {
	ca := newAuthority(t, "ca")
	server := encrypted(t, pgserver.TargetVersion, ca)
	log := listen(t)
	conn, err := Server{Side: Target, DSN: strings.Replace(server.DSN(""), "sslmode=disable", "sslmode=verify-full&sslrootcert="+ca.root(), 1)}.Connect(t.Context(), "target")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if state := conn.tls(); state == nil || state.Version != tls.VersionTLS13 {
		t.Errorf("it speaks %+v", state)
	}
	if lines := log.lines(); lines[0] != "" {
		t.Errorf("it says %q", lines)
	}
}

func TestUnencryptedForWantOfTLSIsTold(t *testing.T) {
	log := listen(t)
	for range 2 {
		conn, err := Server{Side: Source, DSN: strings.Replace(pgtest.Source(t).DSN(""), "sslmode=disable", "sslmode=prefer", 1), Stream: t.Name()}.Connect(t.Context(), "source")
		if err != nil {
			t.Fatal(err)
		}
		conn.CloseNow()
	}
	lines := log.lines()
	if len(lines) != 1 || !strings.Contains(lines[0], "source: the connection is not encrypted") || !strings.Contains(lines[0], "write sslmode=verify-full in source.dsn, or sslmode=disable") {
		t.Errorf("it says %q", lines)
	}
	_, err := Server{Side: Source, DSN: strings.Replace(pgtest.Source(t).DSN(""), "sslmode=disable", "sslmode=require", 1)}.Connect(t.Context(), "source")
	if err == nil || !strings.Contains(err.Error(), "TLS was refused: server refused TLS connection") || Transient(err) {
		t.Errorf("%v", err)
	}
}

// TestTLSBefore12: a server that has nothing better than TLS 1.0, of which there is no package.
func TestTLSBefore12(t *testing.T) {
	ca := newAuthority(t, "ca")
	ca.server("server", "127.0.0.1")
	pair, err := tls.LoadX509KeyPair(ca.file("server.crt"), ca.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA},
	}
	spoken := make(chan uint16, 2)
	address := serve(t, func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		if _, err := conn.Write([]byte("S")); err != nil {
			return
		}
		encrypted := tls.Server(conn, config)
		if encrypted.Handshake() != nil {
			return
		}
		spoken <- encrypted.ConnectionState().Version
		backend = pgproto3.NewBackend(encrypted, encrypted)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "3D000", Message: "no such database"})
		_ = backend.Flush()                   // the client may have gone
		_, _ = io.Copy(io.Discard, encrypted) // a connection closed before all is read resets what was written
	})
	_, err = Server{Side: Source, DSN: "postgres://u@" + address + "/d?sslmode=verify-full&sslrootcert=" + ca.root()}.Connect(t.Context(), "source")
	if State(err) != "3D000" {
		t.Fatalf("got %v, want the server's own error", err)
	}
	if version := <-spoken; version != tls.VersionTLS10 {
		t.Errorf("they speak %s", tls.VersionName(version))
	}
}
