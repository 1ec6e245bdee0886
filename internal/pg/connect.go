// Package pg is how pgibex talks to PostgreSQL: connections with the session settings that make
// values mean the same on both sides, the COPY pipe, and what an SQLSTATE means to us.
// It knows nothing of streams, tables or positions.
package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

	// Encoding is that of the rows which come from a source in SQL_ASCII, on either side; empty for UTF8.
	Encoding string
}

// Conn is a connection with our session settings.
type Conn struct {
	*pgx.Conn
	Side    Side
	Version int // server_version_num, 90221 or 140020

	// Encoding is, on the source, that of the bytes in its SQL_ASCII; on the target, that of the rows which it is sent. Empty for UTF8.
	Encoding string

	touchedSQL string // see Untouched
}

const connectTimeout = 10 * time.Second

// Connect opens a session named pgibex/<stream>/<role>. On the target its
// session_replication_role is replica, so that neither triggers nor foreign keys fire. Its errors
// are *ConnectError.
func (s Server) Connect(ctx context.Context, role string) (*Conn, error) {
	config, err := s.parse(role)
	if err != nil {
		return nil, err
	}
	pgxConn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, s.connectError(config, err)
	}
	conn := &Conn{Conn: pgxConn, Side: s.Side}
	s.tellWeakness(conn)
	if err := conn.prepareSession(ctx, s, role); err != nil {
		conn.CloseNow()
		switch {
		case errors.Is(err, errPooled):
			return nil, s.connectError(config, err)
		case State(err) == InsufficientPrivilege:
			return nil, fmt.Errorf("%s: role %s may not set session_replication_role, and triggers and foreign keys would fire for what is replicated; %s: %w", s.Side, config.User, conn.remedyForRole(config.User), err)
		}
		return nil, fmt.Errorf("%s: prepare session: %w", s.Side, err)
	}
	return conn, nil
}

// parse makes of the address what all our sessions have in common.
func (s Server) parse(role string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(s.DSN)
	if err != nil {
		return nil, &ConnectError{Side: s.Side, Err: err}
	}
	dial, err := dialer(config.RuntimeParams, userTimeout(s.Side, role))
	if err != nil {
		return nil, fmt.Errorf("%s.dsn: %w", s.Side, err)
	}
	config.DialFunc = faultDial(dial)
	startup(config.RuntimeParams)
	offerOldTLS(config)
	config.AfterNetConnect = s.tellUnencrypted(config)
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
	return config, nil
}

func (s Server) connectError(config *pgx.ConnConfig, err error) *ConnectError {
	return &ConnectError{Side: s.Side, Host: config.Host, Port: config.Port, Database: config.Database, User: config.User, Err: err}
}

// remedyForRole says how a role may come to set session_replication_role.
func (c *Conn) remedyForRole(user string) string {
	if c.Version >= 150000 {
		return fmt.Sprintf("as a superuser on the %s: GRANT SET ON PARAMETER session_replication_role TO %s", c.Side, Ident(user))
	}
	return fmt.Sprintf("as a superuser on the %s: ALTER ROLE %s SET session_replication_role = replica", c.Side, Ident(user))
}

// Run sends statements without parameters, several separated by semicolons, in one round trip.
func (c *Conn) Run(ctx context.Context, sql string) error {
	return c.named(c.PgConn().Exec(ctx, sql).Close())
}

// Exec is as pgx has it.
func (c *Conn) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := c.Conn.Exec(ctx, sql, args...)
	return tag, c.named(err)
}

// named says of which side a disk is full: the server's message does not, and only there can room be made.
func (c *Conn) named(err error) error {
	if State(err) == DiskFull {
		return fmt.Errorf("disk full on the %s, make room there: %w", c.Side, err)
	}
	return err
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

// Read runs fn, with settings for it alone, in a snapshot that writes nothing and is always rolled back. Every statement that names a table
// of the users on the source belongs into one: the table's owner may have the planner run code of theirs as our role (docs/security.md), and
// this is what keeps it from writing, and from leaving a setting behind for our next statement. No user's table was read before fn.
func (c *Conn) Read(ctx context.Context, settings string, fn func(context.Context) error) error {
	if err := c.Run(ctx, BeginSnapshot+"; "+settings); err != nil {
		c.Rollback(ctx)
		return err
	}
	err := fn(ctx)
	c.Rollback(ctx)
	return err
}

// Begin statements for InTx. A snapshot is rolled back, never committed: see Read.
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
