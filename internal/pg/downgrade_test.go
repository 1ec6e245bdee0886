package pg

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// distant is a connection that seems to go over a network.
type distant struct{ net.Conn }

func (distant) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 5432} }

// thief answers in a server's place: it has no TLS and asks for the password in clear.
func thief(passwords chan<- string) func(net.Conn) {
	return func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		for {
			message, err := backend.ReceiveStartupMessage()
			if err != nil {
				return
			}
			if _, ok := message.(*pgproto3.StartupMessage); ok {
				break
			}
			if _, ok := message.(*pgproto3.SSLRequest); !ok {
				return
			}
			if _, err := conn.Write([]byte("N")); err != nil {
				return
			}
		}
		backend.Send(&pgproto3.AuthenticationCleartextPassword{})
		if backend.Flush() != nil || backend.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil {
			return
		}
		if message, err := backend.Receive(); err == nil {
			if password, ok := message.(*pgproto3.PasswordMessage); ok {
				passwords <- password.Password
			}
		}
	}
}

// Whoever answers in the server's place, without TLS, gets a password only where the address allows it, and never unwarned.
func TestPasswordIsNotSentInClearUnwarned(t *testing.T) {
	for _, test := range []struct {
		name, parameters string
		local            bool
		password         string
		stolen, warned   bool
	}{
		{name: "no sslmode", password: "secret", stolen: true, warned: true},
		{name: "prefer", parameters: "sslmode=prefer", password: "secret", stolen: true, warned: true},
		{name: "allow", parameters: "sslmode=allow", password: "secret", stolen: true, warned: true},
		{name: "on this host", password: "secret", local: true, stolen: true},
		{name: "without a password", stolen: true},                                         // an empty one
		{name: "disable", parameters: "sslmode=disable", password: "secret", stolen: true}, // as it was told to
		{name: "require", parameters: "sslmode=require", password: "secret"},
		{name: "verify-full", parameters: "sslmode=verify-full", password: "secret"},
		{name: "scram only", parameters: "require_auth=scram-sha-256", password: "secret", warned: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := listen(t)
			said := func() bool {
				return strings.Contains(strings.Join(log.lines(), "\n"), "the password is sent over the network")
			}
			passwords := make(chan string)
			address := serve(t, thief(passwords))
			t.Setenv("PGPASSWORD", test.password) // as from an address or ~/.pgpass
			server := Server{Side: Source, DSN: "postgres://u@" + address + "/d?" + test.parameters}
			config, err := server.parse("source")
			if err != nil {
				t.Fatal(err)
			}
			if dial := config.DialFunc; !test.local {
				config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) { // also to cancel, at the end
					conn, err := dial(ctx, network, address)
					return distant{conn}, err
				}
			}
			ended := make(chan error, 1)
			go func() {
				_, err := pgx.ConnectConfig(t.Context(), config)
				ended <- err
			}()
			select {
			case password := <-passwords:
				if !test.stolen || password != test.password {
					t.Errorf("it was given the password %q", password)
				}
				if said() != test.warned { // already
					t.Errorf("when the password is sent it has said: %q", log.lines())
				}
			case err := <-ended:
				if test.stolen {
					t.Errorf("nothing was asked for: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("nothing happens")
			}
			if said() != test.warned {
				t.Errorf("it says %q", log.lines())
			}
			if text := strings.Join(log.lines(), "\n"); strings.Contains(text, "secret") {
				t.Errorf("the password is in the log: %s", text)
			}
		})
	}
}

func TestAuthenticationThatIsNotAcceptedIsNamed(t *testing.T) {
	passwords := make(chan string, 1)
	server := Server{Side: Source, DSN: "postgres://u:secret@" + serve(t, thief(passwords)) + "/d?sslmode=disable&require_auth=scram-sha-256"}
	_, err := server.Connect(t.Context(), "source")
	if err == nil || !strings.Contains(err.Error(), "check require_auth in source.dsn") || Transient(err) || len(passwords) > 0 {
		t.Errorf("got %v (transient %t)", err, Transient(err))
	}
}
