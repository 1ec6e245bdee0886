package pg

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// oldSuites are what a server before 9.4 has: an RSA key exchange, without forward secrecy. Go offers them only when asked to.
var oldSuites = []uint16{
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

// offerOldTLS has each encrypted attempt followed by one that also offers what old servers have, for where the first one fails.
// It offers the new things as well, so a server that has them is not talked down. Certificates are verified alike.
func offerOldTLS(config *pgx.ConnConfig) {
	var attempts []*pgconn.FallbackConfig
	for _, attempt := range append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...) {
		attempts = append(attempts, attempt)
		if attempt.TLSConfig != nil {
			old := attempt.TLSConfig.Clone()
			old.MinVersion = tls.VersionTLS10
			old.CipherSuites = append(secureSuites(), oldSuites...)
			attempts = append(attempts, &pgconn.FallbackConfig{Host: attempt.Host, Port: attempt.Port, TLSConfig: old})
		}
	}
	config.Fallbacks = attempts[1:]
}

func secureSuites() []uint16 {
	var ids []uint16
	for _, suite := range tls.CipherSuites() {
		ids = append(ids, suite.ID)
	}
	return ids
}

// tls is what encrypts the connection; nil if nothing does.
func (c *Conn) tls() *tls.ConnectionState {
	conn, ok := c.PgConn().Conn().(*tls.Conn)
	if !ok {
		return nil
	}
	state := conn.ConnectionState()
	return &state
}

// tellUnencrypted warns, once, of a connection that sslmode=prefer or allow lets go on without TLS: before the server is told anything, and
// so before it can ask for a password, which whoever answers in its place gets.
func (s Server) tellUnencrypted(config *pgx.ConnConfig) func(context.Context, *pgconn.Config, net.Conn) (net.Conn, error) {
	encrypts := config.TLSConfig != nil
	for _, attempt := range config.Fallbacks {
		encrypts = encrypts || attempt.TLSConfig != nil
	}
	remedy := "write sslmode=verify-full in " + string(s.Side) + ".dsn, or sslmode=disable where nobody else is on the way"
	return func(_ context.Context, attempt *pgconn.Config, conn net.Conn) (net.Conn, error) {
		if _, encrypted := conn.(*tls.Conn); encrypted || !encrypts || conn.RemoteAddr().Network() == "unix" {
			return conn, nil
		}
		const what = "the connection is not encrypted: the server offers no TLS, or it failed, and sslmode=prefer or allow goes on without"
		if attempt.Password != "" && !isLoopback(conn.RemoteAddr()) {
			s.warnOnce(what+"; the password is sent over the network as the server asks for it: in clear, or as md5", "host", attempt.Host, "remedy", remedy)
		} else {
			s.warnOnce(what, "remedy", remedy)
		}
		return conn, nil
	}
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// tellWeakness warns, once, of a connection that is less well protected than the address lets hope.
func (s Server) tellWeakness(c *Conn) {
	state := c.tls()
	switch {
	case state != nil && state.Version < tls.VersionTLS12:
		s.warnOnce("the connection is encrypted by an old version of TLS, the best that the server has",
			"version", tls.VersionName(state.Version), "cipher_suite", tls.CipherSuiteName(state.CipherSuite))
	case state != nil && isOld(state.CipherSuite):
		s.warnOnce("the connection is encrypted without forward secrecy, the best that the server has: who has its key, now or later, can read what was recorded",
			"version", tls.VersionName(state.Version), "cipher_suite", tls.CipherSuiteName(state.CipherSuite))
	}
}

func isOld(suite uint16) bool {
	for _, old := range tls.InsecureCipherSuites() {
		if old.ID == suite {
			return true
		}
	}
	return false
}

// warned are the warnings that this process has given: a connection is made many times.
var warned sync.Map

func (s Server) warnOnce(message string, args ...any) {
	if _, again := warned.LoadOrStore(fmt.Sprint(s.Side, s.DSN, message), true); !again {
		slog.Warn(string(s.Side)+": "+message, args...)
	}
}
