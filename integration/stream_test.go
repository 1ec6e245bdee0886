// Package integration holds the end-to-end tests: real servers of both ends, the real replicator, and contents compared
// row for row by a judge of the tests' own (compare_test.go), which shares no code with package verify.
package integration

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
	"github.com/pgibex/pgibex/metrics"
	"github.com/pgibex/pgibex/replicator"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// stream is a database on either side, and what carries one to the other.
type stream struct {
	t                    testing.TB
	source, target       *pgserver.Server
	sourceDSN, targetDSN string
	config               *config.Config
	log                  *syncBuffer
}

// newStream creates a source and a target database with the same schema and nothing else.
func newStream(tb testing.TB, schema string) *stream {
	tb.Helper()
	source, target := pgtest.Source(tb), pgtest.Target(tb)
	return newStreamOn(tb, source, target, schema)
}

// newStreamOn does so on servers of the test's own, which it may kill.
func newStreamOn(tb testing.TB, source, target *pgserver.Server, schema string) *stream {
	tb.Helper()
	s := &stream{t: tb, source: source, target: target, log: &syncBuffer{}}
	s.sourceDSN, s.targetDSN = pgtest.Database(tb, source), pgtest.Database(tb, target)
	s.config = config.Default()
	s.config.Stream = "it"
	s.config.Source.DSN, s.config.Target.DSN = s.sourceDSN, s.targetDSN
	s.config.Apply.PollInterval = 20 * time.Millisecond
	s.config.Copy.Workers, s.config.Apply.Workers = 2, 2
	s.config.Metrics.Listen = "off"
	s.both(schema)
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log("pgibex said:\n" + s.log.String())
		}
	})
	return s
}

// replicator returns a fresh one, as a process that starts would be.
func (s *stream) replicator() *replicator.Replicator {
	level := slog.LevelDebug
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: level}))
	return replicator.New(s.config, log, metrics.New(prometheus.NewRegistry(), s.config.Stream))
}

// connect opens a session of the application's on one side.
func (s *stream) connect(dsn string) *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(s.t.Context())) })
	return conn
}

func (s *stream) exec(dsn, sql string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(s.t.Context()) }()
	if _, err := conn.PgConn().Exec(s.t.Context(), sql).ReadAll(); err != nil {
		s.t.Fatalf("%v in:\n%s", err, sql)
	}
}

// src runs statements on the source, as the application would.
func (s *stream) src(sql string) { s.t.Helper(); s.exec(s.sourceDSN, sql) }

// dst runs statements on the target.
func (s *stream) dst(sql string) { s.t.Helper(); s.exec(s.targetDSN, sql) }

func (s *stream) both(sql string) { s.t.Helper(); s.src(sql); s.dst(sql) }

// catchUp brings the target to what the source has, in one shot.
func (s *stream) catchUp() *replicator.CaughtUp {
	s.t.Helper()
	done, err := s.replicator().CatchUp(s.t.Context())
	if err != nil {
		s.t.Fatalf("catch up: %v", err)
	}
	return done
}

// run starts a daemon; stop ends it as SIGTERM would, and fails the test if it had failed.
func (s *stream) run() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	r := s.replicator()
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				s.t.Errorf("the daemon ended with: %v", err)
			}
		case <-time.After(10 * time.Second):
			s.t.Error("the daemon did not stop within 10 s")
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// status asks both databases.
func (s *stream) status() *replicator.Status {
	s.t.Helper()
	status, err := s.replicator().Status(s.t.Context())
	if err != nil {
		s.t.Fatalf("status: %v", err)
	}
	return status
}

// state returns the state and reason of a table, given as schema.table.
func (s *stream) state(table string) (state, reason string) {
	s.t.Helper()
	for _, t := range s.status().Tables {
		if t.Table == table {
			return string(t.State), t.Reason
		}
	}
	return "", ""
}

// eventually waits until a condition holds. It asks less and less often, and never for more than a quarter of the time: what asks takes
// the processor from what is waited for.
func (s *stream) eventually(what string, within time.Duration, holds func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for pause := 10 * time.Millisecond; ; pause = min(pause*3/2, 100*time.Millisecond) {
		began := time.Now()
		if holds() {
			return
		}
		select {
		case <-time.After(max(pause, 3*min(time.Since(began), longestAsking))):
		case <-deadline.C:
			s.t.Fatalf("not within %s: %s\nstatus: %+v", within, what, s.status())
		}
	}
}

// longestAsking bounds what eventually reckons with: a server that does not answer at all takes no processor.
const longestAsking = 200 * time.Millisecond

// streaming waits until every table follows the source, with nothing pending.
func (s *stream) streaming() {
	s.t.Helper()
	s.eventually("every table streams and nothing is pending", 60*time.Second, func() bool {
		status := s.status()
		return status.Phase == "streaming" && status.Consistent && status.BacklogRows == 0
	})
}

// one returns the single value of a query.
func one[T any](s *stream, dsn, query string, args ...any) (value T) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(s.t.Context()) }()
	if err := conn.QueryRow(s.t.Context(), query, args...).Scan(&value); err != nil {
		s.t.Fatalf("%v in: %s", err, query)
	}
	return value
}

// syncBuffer is a buffer that several goroutines may log to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *syncBuffer) contains(text string) bool { return strings.Contains(b.String(), text) }
