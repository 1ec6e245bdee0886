package pg

import (
	"crypto/tls"
	"fmt"
	"log/slog"
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

// tellWeakness warns, once, of a connection that is less well protected than the address lets hope.
func (s Server) tellWeakness(config *pgx.ConnConfig, c *Conn) {
	key := string(s.Side) + ".dsn"
	state := c.tls()
	switch {
	case state == nil && config.TLSConfig != nil && c.PgConn().Conn().RemoteAddr().Network() != "unix":
		s.warnOnce("the connection is not encrypted: the server offers no TLS, or it failed, and sslmode=prefer goes on without",
			"remedy", "write sslmode=require or sslmode=disable in "+key)
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
