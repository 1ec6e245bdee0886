package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Endpoint is one of the two databases. However it is printed, logged or marshaled, it never shows a password;
// only its field DSN itself does.
type Endpoint struct {
	DSN string // every form libpq knows; what it leaves out comes from PG* variables, ~/.pgpass and service files

	// Encoding is, for a source in SQL_ASCII, what its bytes are, by PostgreSQL's names; empty for UTF8.
	Encoding string
}

// String is the connection string with xxxxx for its passwords.
func (e Endpoint) String() string { return Redact(e.DSN) }

// Format does for all verbs, %#v and %d included, what String does.
func (e Endpoint) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(f, "%q", e.String())
		return
	}
	_, _ = io.WriteString(f, e.String()) // fmt.State takes every write
}

// LogValue keeps passwords out of logs.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText keeps passwords out of JSON and YAML.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// ParseDSN is pgx.ParseConfig with errors that never hold a password and say what to do. It may read ~/.pgpass,
// the service file and certificates; it does not connect.
func ParseDSN(dsn string) (*pgx.ConnConfig, error) {
	s := inspect(dsn)
	isURL := strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
	if s.problem != "" && !isURL {
		// pgx takes "mysql://u@h/db?sslmode=off" for a keyword with a value.
		return nil, errors.New("not a connection string: " + s.problem)
	}
	c, err := pgx.ParseConfig(dsn)
	switch {
	case err == nil:
		return c, nil
	case s.problem != "":
		return nil, errors.New("not a connection string: " + s.problem)
	}
	// Not wrapped: pgx's error carries the whole connection string.
	return nil, fmt.Errorf("cannot use %s: %s", s.redacted, s.reason(err))
}

// reason is pgx's own, without the connection string it cites, unless a password is in it.
func (s shape) reason(err error) string {
	const unnamed = "one of its settings is invalid"
	text := err.Error()
	var inner string
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
		inner = errors.Unwrap(parse).Error()
		text = strings.TrimSuffix(text, " ("+inner+")")
		inner = ": " + inner
	}
	i := strings.LastIndex(text, "`: ")
	if i < 0 {
		return unnamed
	}
	text = text[i+len("`: "):] + inner
	for _, secret := range s.secrets {
		if secret != "" && strings.Contains(text, secret) {
			return unnamed
		}
	}
	return text
}

// sameDatabase compares what both would connect to first; the servers themselves are compared once connected.
func sameDatabase(a, b Endpoint) bool {
	x, errX := ParseDSN(a.DSN)
	y, errY := ParseDSN(b.DSN)
	if errX != nil || errY != nil {
		return false
	}
	return x.Host == y.Host && x.Port == y.Port && database(x) == database(y)
}

// database is the user's name where none is given, as in libpq.
func database(c *pgx.ConnConfig) string {
	if c.Database == "" {
		return c.User
	}
	return c.Database
}
