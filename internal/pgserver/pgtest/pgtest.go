// Package pgtest gives tests real PostgreSQL servers: one of each version for a test binary,
// started when first asked for, and a fresh database for each test. It is for tests only.
//
// Tests that ask for a server are skipped under -short. Without a real 9.2 they fail, unless
// PGIBEX_TEST_SKIP_92=1, and then the run says that 9.2 was not tested. What else this machine lacks is
// told to Skip, and said at the end as well.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgibex/pgibex/internal/pgserver"
)

const (
	skip92      = "PGIBEX_TEST_SKIP_92"
	versionsVar = "PGIBEX_VERSIONS_FILE"
	notTested92 = "PostgreSQL 9.2 NOT TESTED: no 9.2 server to be had"
	findTimeout = 5 * time.Minute
	dropTimeout = 30 * time.Second
)

// slot is the one server of a version.
type slot struct {
	start  sync.Once
	server *pgserver.Server
	err    error
}

var (
	mu    sync.Mutex
	slots = map[string]*slot{}
	notes []string // said at the end
)

// Main is for TestMain: it runs the tests, fails when they leave goroutines behind, ends the servers they
// used and says which those were. It does not return.
func Main(m *testing.M) {
	code := m.Run()
	err := closeAll()
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func closeAll() (err error) {
	mu.Lock()
	defer mu.Unlock()
	var lines []string
	for _, version := range slices.Sorted(maps.Keys(slots)) {
		switch s := slots[version]; {
		case s.server != nil:
			lines = append(lines, s.server.Installation().String())
			err = errors.Join(err, s.server.Close())
		case mayLack(version):
			lines = append(lines, notTested92)
		}
	}
	return errors.Join(err, report(append(lines, notes...)))
}

// report says on what the tests ran, and leaves it to make, which says it once more for all.
func report(lines []string) (err error) {
	if len(lines) == 0 {
		return nil
	}
	for _, line := range lines {
		fmt.Println("pgtest: " + line)
	}
	path := os.Getenv(versionsVar)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("writing %s: %w", versionsVar, err)
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, file.Close())
}

// Source is the shared server of the version to move from.
func Source(tb testing.TB) *pgserver.Server { tb.Helper(); return Server(tb, pgserver.SourceVersion) }

// Target is the shared server of the version to move to.
func Target(tb testing.TB) *pgserver.Server { tb.Helper(); return Server(tb, pgserver.TargetVersion) }

// Server is the shared server of a major version. A test that stops it must start it again and must
// not be parallel; better it takes one of its own from Own.
func Server(tb testing.TB, version string) *pgserver.Server {
	tb.Helper()
	skipShort(tb)
	mu.Lock()
	s := slots[version]
	if s == nil {
		s = &slot{}
		slots[version] = s
	}
	mu.Unlock()
	s.start.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), findTimeout)
		defer cancel()
		s.server, s.err = start(ctx, version)
	})
	require(tb, version, s.err)
	return s.server
}

// Own is a server for one test, which may stop, kill and restart it. Where the environment names an
// address there is none, and the test is skipped.
func Own(tb testing.TB, version string, opts ...pgserver.Option) *pgserver.Server {
	tb.Helper()
	skipShort(tb)
	if name := pgserver.AddressVariable(version); os.Getenv(name) != "" {
		Skip(tb, "needs a server of its own, but "+name+" names one")
	}
	ctx, cancel := context.WithTimeout(tb.Context(), findTimeout)
	defer cancel()
	server, err := start(ctx, version, opts...)
	require(tb, version, err)
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Errorf("closing the test's server: %v", err)
		}
	})
	return server
}

// start starts a server that asks nobody for a password, in memory where there is room, unless TMPDIR or an option says where.
func start(ctx context.Context, version string, opts ...pgserver.Option) (*pgserver.Server, error) {
	opts = append(slices.Clone(opts), pgserver.WithTrust())
	if dir, ok := memoryDir(); ok && os.Getenv("TMPDIR") == "" {
		opts = slices.Insert(opts, 0, pgserver.WithDataDir(dir))
	}
	return pgserver.Start(ctx, version, opts...)
}

var databases atomic.Int64

// Database creates an empty database for the test and gives its address. Options are those of
// CREATE DATABASE, in SQL. When the test ends it is dropped, with all that still uses it.
func Database(tb testing.TB, server *pgserver.Server, opts ...string) (dsn string) {
	tb.Helper()
	name := fmt.Sprintf("test_%d_%d_%d", os.Getpid(), time.Now().Unix(), databases.Add(1))
	if err := server.CreateDatabase(tb.Context(), name, opts...); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), dropTimeout)
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			tb.Errorf("after the test: %v", err)
		}
	})
	return server.DSN(name)
}

// TempDir is like t.TempDir, with a name short enough for a server's Unix socket, and which the
// unprivileged user who runs the servers for root may enter.
func TempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pgibex-test-") //nolint:usetesting // its names are too long, its parent closed to others
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Skip skips a test for something that this machine or its servers lack, or that nobody asked for. Other than by tb.Skip, which go
// test tells nobody of, the last lines of the run name the test and the reason, on one line.
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	line := "not tested: " + tb.Name() + ": " + strings.Join(strings.Fields(reason), " ")
	mu.Lock()
	notes = append(notes, line)
	mu.Unlock()
	tb.Skip(line)
}

// Note has the last lines of the run say something, a seed for one, as go test keeps to itself what a test prints that passes.
func Note(line string) {
	mu.Lock()
	defer mu.Unlock()
	notes = append(notes, line)
}

func skipShort(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs a server; not with -short")
	}
}

func mayLack(version string) bool {
	return version == pgserver.SourceVersion && os.Getenv(skip92) == "1"
}

func require(tb testing.TB, version string, err error) {
	tb.Helper()
	if err == nil {
		return
	}
	if errors.Is(err, pgserver.ErrNotFound) && mayLack(version) {
		tb.Skipf("%s: %v", notTested92, err)
	}
	tb.Fatal(err)
}
