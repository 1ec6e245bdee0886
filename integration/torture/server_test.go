package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// server is one end, which the machine may do anything to. Its log is kept over restarts.
type server struct {
	*pgserver.Server
	side string
	dsn  string // of the database, past the proxy
	kept string // file that the log of earlier starts is in

	mu   sync.Mutex
	read int64 // of the present log, by the search for what the log must not have
}

// admin is the name of sessions that do what administrators do to tables.
const admin = "app/admin"

const logLine = "%m [%p] %a "

func newServer(tb testing.TB, dir, side, version string, opts ...pgserver.Option) *server {
	tb.Helper()
	// Without images of full pages 9.2.2 may wait in its recovery for a lock that it holds itself.
	opts = append(opts, pgserver.WithSetting("full_page_writes", "on"), pgserver.WithSetting("log_line_prefix", logLine), pgserver.WithSetting("log_lock_waits", "on"),
		pgserver.WithSetting("deadlock_timeout", "500ms"), pgserver.WithSetting("max_connections", "80"), pgserver.WithSetting("max_prepared_transactions", "60"))
	return &server{Server: pgtest.Own(tb, version, opts...), side: side, kept: filepath.Join(dir, side+".log")}
}

// connect opens a session of the machine's own on the database.
func (s *server) connect(ctx context.Context, name string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(s.dsn)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = name
	if name == admin {
		config.RuntimeParams["statement_timeout"] = "5s" // with everybody behind it who wants the table
	}
	config.ConnectTimeout = 10 * time.Second
	return pgx.ConnectConfig(ctx, config)
}

// run connects, runs statements, and leaves.
func (s *server) run(ctx context.Context, name, sql string) error {
	conn, err := s.connect(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%w in: %.300s", err, sql)
	}
	return nil
}

// ask returns the single value of a query.
func ask[T any](ctx context.Context, s *server, sql string, args ...any) (value T, err error) {
	conn, err := s.connect(ctx, "torture")
	if err != nil {
		return value, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := conn.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		return value, fmt.Errorf("%w in: %.300s", err, sql)
	}
	return value, nil
}

func (s *server) logFile() string { return filepath.Join(filepath.Dir(s.DataDir()), "log") }

// crash shuts down at once, and starts again.
func (s *server) crash(ctx context.Context, down time.Duration) error {
	if err := s.Kill(); err != nil {
		return err
	}
	if err := s.keepLog(); err != nil {
		return err
	}
	pause(ctx, down)
	return s.Restart(context.WithoutCancel(ctx))
}

// keepLog appends the log to the kept one: each start empties it.
func (s *server) keepLog() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err
	}
	file, err := os.OpenFile(s.kept, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text[min(s.read, int64(len(text))):])
	s.read = 0
	return errors.Join(err, file.Close())
}

// newLog appends what is new in the log to the kept one, and returns it in whole lines.
func (s *server) newLog() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return nil, err
	}
	text = text[min(s.read, int64(len(text))):]
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	file, err := os.OpenFile(s.kept, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(text)
	s.read += int64(len(text))
	return text, errors.Join(err, file.Close())
}
