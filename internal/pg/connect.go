// Package pg is how pgibex talks to PostgreSQL: connections with the session settings that make
// values mean the same on both sides, the COPY pipe, and what an SQLSTATE means to us.
// It knows nothing of streams, tables or positions.
package pg

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Side names one end of the stream in messages.
type Side string

// The two ends.
const (
	Source Side = "source"
	Target Side = "target"
)

// Server is an address to connect to, on one side.
type Server struct {
	Side   Side
	DSN    string
	Stream string
}

// Conn is a connection with our session settings.
type Conn struct {
	*pgx.Conn
	Side    Side
	Version int // server_version_num, 90221 or 140020
}

// settings are the same on both sides, so that a value written as text by one is read as the same
// value by the other, and sent in the startup packet, where they win over those of role and database.
// All of them exist in 9.2.
var settings = map[string]string{
	"client_encoding":                "UTF8",
	"DateStyle":                      "ISO, MDY",
	"IntervalStyle":                  "postgres",
	"TimeZone":                       "UTC",
	"bytea_output":                   "hex",
	"extra_float_digits":             "3",
	"lc_monetary":                    "C",
	"xmloption":                      "content",
	"synchronous_commit":             "on", // what a commit allows to be purged must not be lost by a crash
	"array_nulls":                    "on",
	"default_tablespace":             "",
	"search_path":                    "pg_catalog",
	"standard_conforming_strings":    "on",
	"statement_timeout":              "0",
	"default_transaction_isolation":  "read committed",
	"default_transaction_read_only":  "off",
	"default_transaction_deferrable": "off",
	"synchronize_seqscans":           "off",
}

// laterSettings exist only from a version on; a server that does not know one refuses the whole
// connection, so they are set once its version is known.
var laterSettings = []struct {
	since       int
	name, value string
}{
	{90300, "lock_timeout", "0"},
	{90500, "row_security", "off"},
	{90600, "idle_in_transaction_session_timeout", "0"},
	{110000, "jit", "off"}, // the plans we forbid count as expensive, and would have the others compiled
	{140000, "idle_session_timeout", "0"},
	{170000, "transaction_timeout", "0"},
}

const connectTimeout = 10 * time.Second

// Connect opens a session named pgibex/<stream>/<role>. On the target its
// session_replication_role is replica, so that neither triggers nor foreign keys fire. Its errors
// are *ConnectError.
func (s Server) Connect(ctx context.Context, role string) (*Conn, error) {
	config, err := pgx.ParseConfig(s.DSN)
	if err != nil {
		return nil, &ConnectError{Side: s.Side, Err: err}
	}
	maps.Copy(config.RuntimeParams, settings)
	config.RuntimeParams["application_name"] = "pgibex/" + s.Stream + "/" + role
	// Our statements are many and seldom repeated to the letter: caching their plans would only
	// fill both ends, and a cached plan outlives the sizes it was made for.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		slog.Debug("notice", "side", s.Side, "severity", notice.Severity, "message", notice.Message)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	pgxConn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, &ConnectError{Side: s.Side, Host: config.Host, Port: config.Port, Database: config.Database, User: config.User, Err: err}
	}
	conn := &Conn{Conn: pgxConn, Side: s.Side}
	if err := conn.prepareSession(ctx); err != nil {
		conn.CloseNow()
		if State(err) == InsufficientPrivilege {
			return nil, fmt.Errorf("%s: role %s may not set session_replication_role, and triggers and foreign keys would fire for what is replicated; give %s.dsn the role of a superuser: %w", s.Side, config.User, s.Side, err)
		}
		return nil, fmt.Errorf("%s: prepare session: %w", s.Side, err)
	}
	return conn, nil
}

func (c *Conn) prepareSession(ctx context.Context) error {
	var number string
	if err := c.QueryRow(ctx, "SELECT current_setting('server_version_num')").Scan(&number); err != nil {
		return err
	}
	version, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("server_version_num %q: %w", number, err)
	}
	c.Version = version
	var set strings.Builder
	for _, setting := range laterSettings {
		if version >= setting.since {
			fmt.Fprintf(&set, "SET %s = %s;", setting.name, setting.value)
		}
	}
	if c.Side == Target {
		set.WriteString("SET session_replication_role = replica;")
	}
	if set.Len() == 0 {
		return nil
	}
	return c.Run(ctx, set.String())
}

// Run sends statements without parameters, several separated by semicolons, in one round trip.
func (c *Conn) Run(ctx context.Context, sql string) error {
	return c.PgConn().Exec(ctx, sql).Close()
}

// closeTimeout bounds the goodbye to a server that may be gone.
const closeTimeout = time.Second

// CloseNow ends the session without waiting for a server that does not answer.
func (c *Conn) CloseNow() {
	if c == nil || c.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.Close(ctx) // nothing can be done about a session that is being given up
}

// InTx runs fn between BEGIN and COMMIT. Rolling back outlives the cancellation of ctx, so that a
// session in use is never handed on inside a transaction.
func (c *Conn) InTx(ctx context.Context, begin string, fn func(context.Context) error) error {
	if err := c.Run(ctx, begin); err != nil {
		return err
	}
	if err := fn(ctx); err != nil {
		c.Rollback(ctx)
		return err
	}
	tag, err := c.Exec(ctx, "COMMIT")
	if err != nil {
		c.Rollback(ctx)
		return err
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit on the %s answered %s", c.Side, tag)
	}
	return nil
}

// Begin statements for InTx.
const (
	Begin         = "BEGIN"
	BeginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

// Rollback ends a transaction that failed; a session that can not even do that is closed.
func (c *Conn) Rollback(ctx context.Context) {
	if c.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := c.Run(ctx, "ROLLBACK"); err != nil {
		c.CloseNow()
	}
}
