package pg

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Every refusal of a server reaches the operator in the server's own words, whatever pgibex adds: the same SQLSTATE stands for
// limits, rights and rules that are mended in different places.
func TestConnectErrorsKeepTheServersWords(t *testing.T) {
	for _, test := range []struct{ code, message, remedy string }{
		{"28P01", `password authentication failed for user "it"`, "~/.pgpass"},
		{"3D000", `database "nothing" does not exist`, "check the database name"},
		{"3D000", `database "nothing" is being dropped`, "source.dsn"},
		{"53300", `too many connections for database "shop"`, "CONNECTION LIMIT"},
		{"53300", `too many connections for role "it"`, "CONNECTION LIMIT"},
		{"53300", "sorry, too many clients already", "max_connections"},
		{"53300", "remaining connection slots are reserved for non-replication superuser connections", "max_connections"},
		{"57P03", "the database system is starting up", "wait"},
		{"57P03", "the database system is in recovery mode", "wait"},
		{"28000", `pg_hba.conf rejects connection for host "::1", user "it", database "shop", SSL off`, "pg_hba.conf"},
		{"28000", `role "it" is not permitted to log in`, "check the user"},
		{"28000", `role "nobody" does not exist`, "check the user"},
		{"42501", `permission denied for database "shop"`, "source.dsn"},
		{"42704", `unrecognized configuration parameter "nothing"`, "parameters"},
		{"08P01", "unsupported startup parameter: DateStyle", "address of the server"},
		{"55000", `database "shop" is not currently accepting connections`, "source.dsn"},
		{"XX000", "could not read block 7", "source.dsn"},
		{"53200", "out of memory", "source.dsn"},
		{"", "a state that no version has yet", "source.dsn"},
	} {
		server := &pgconn.PgError{Severity: "FATAL", Code: test.code, Message: test.message}
		// With sslmode=prefer a refused TLS comes first.
		for _, err := range []error{server, errors.Join(errors.New("tls error: server refused TLS connection"), server)} {
			text := (&ConnectError{Side: Source, Host: "h", Port: 5432, Database: "shop", User: "it", Err: err}).Error()
			if strings.Count(text, test.message) != 1 || !strings.Contains(text, test.remedy) {
				t.Errorf("%s %q (with %q): %s", test.code, test.message, test.remedy, text)
			}
		}
	}
}

// Without a server's answer the operator reads what the network or TLS said.
func TestConnectErrorsWithoutAServer(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		says []string
	}{
		"a name":     {&net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}, []string{"the host name is not known"}},
		"refused":    {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, []string{"nothing listens on that port"}},
		"no socket":  {&net.OpError{Op: "dial", Err: syscall.ENOENT}, []string{"nothing listens on that port"}},
		"no route":   {&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, []string{"the host cannot be reached"}},
		"no answer":  {context.DeadlineExceeded, []string{"the host cannot be reached"}},
		"TLS":        {tls.AlertError(40), []string{"TLS was refused", "handshake failure", "sslmode"}},
		"a pooler":   {errPooled, []string{"a connection pooler answers"}},
		"broken off": {io.ErrUnexpectedEOF, []string{"unexpected EOF", "source.dsn"}},
	} {
		text := (&ConnectError{Side: Source, Host: "h", Port: 5432, Err: test.err}).Error()
		for _, wanted := range test.says {
			if !strings.Contains(text, wanted) {
				t.Errorf("%s: %q is not in: %s", name, wanted, text)
			}
		}
	}
}
