package pg

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// refuser is PgBouncer as it comes: it knows few of our parameters.
func refuser(conn net.Conn) {
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: extra_float_digits"})
	_ = backend.Flush()              // the client may have gone
	_, _ = io.Copy(io.Discard, conn) // a connection closed before all is read resets what was written
}

// relay is PgBouncer with all our parameters in ignore_startup_parameters: it answers with a process id of its own.
func relay(server string) func(net.Conn) {
	return func(client net.Conn) {
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer func() { _ = upstream.Close() }()
		back, front := pgproto3.NewBackend(client, client), pgproto3.NewFrontend(upstream, upstream)
		startup, err := back.ReceiveStartupMessage()
		if err != nil {
			return
		}
		message := startup.(*pgproto3.StartupMessage)
		front.Send(&pgproto3.StartupMessage{ProtocolVersion: message.ProtocolVersion, Parameters: map[string]string{
			"user": message.Parameters["user"], "database": message.Parameters["database"],
		}})
		if err := front.Flush(); err != nil {
			return
		}
		for ready := false; !ready; {
			message, err := front.Receive()
			if err != nil {
				return
			}
			if key, ok := message.(*pgproto3.BackendKeyData); ok {
				key.ProcessID = 1<<30 - key.ProcessID
			}
			_, ready = message.(*pgproto3.ReadyForQuery)
			back.Send(message)
			if err := back.Flush(); err != nil {
				return
			}
		}
		go func() { _, _ = io.Copy(upstream, client) }() // ends with either connection
		_, _ = io.Copy(client, upstream)
	}
}

func TestPoolersAreRefused(t *testing.T) {
	source, err := url.Parse(pgtest.Source(t).DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(net.Conn){"parameters refused": refuser, "parameters ignored": relay(source.Host)} {
		t.Run(name, func(t *testing.T) {
			address := *source
			address.Host = serve(t, answer)
			_, err := Server{Side: Source, DSN: address.String()}.Connect(t.Context(), "source")
			const is, remedy = "a connection pooler answers there, not the server itself (PgBouncer, perhaps)", "; give source.dsn the address of the server"
			if err == nil || !strings.Contains(err.Error(), is) || !strings.Contains(err.Error(), remedy) || Transient(err) {
				t.Errorf("got %v", err)
			}
			if _, ok := errors.AsType[*ConnectError](err); !ok {
				t.Errorf("got a %T", err)
			}
		})
	}
}
