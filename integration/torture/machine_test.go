package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// machine is everything of one run.
type machine struct {
	t      *testing.T
	seed   uint64
	dir    string // logs
	binary string
	config string // of pgibex

	source, target *server
	sourceNet      *network
	targetNet      *network
	disk           *disk // the target's tables are on it; nil where the system gives none

	schema  *schema
	app     *application
	errors  *errorsSeen
	watcher *watcher
	beat    *heartbeat
	daemons *daemons
	faults  *faults
	indexes []string // of the target, as they were created

	mu          sync.Mutex
	hurts       []string
	counts      map[string]int
	hostilities int
	wounded     map[string]bool // tables that something hostile was done to
	round       int
	events      *os.File
}

const stream = "torture"

// options make most things small, so that they happen often; how small is another matter in each run.
func options(r *rand.Rand) string {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	return fmt.Sprintf(`copy: {chunk_size: %s, workers: %s, chunk_time: 2s}
capture: {lock_wait: 500ms}
apply: {poll_interval: %s, batch_size: %s, workers: %s}
metrics: {listen: "off"}
tables: {include: ["public.*"]}
`, one("64kB", "256kB", "4MB"), one("1", "2", "3"), one("20ms", "200ms"), one("64kB", "256kB", "2MB", "16MB"), one("1", "2", "3"))
}

func newMachine(t *testing.T, seed uint64) *machine {
	t.Helper()
	m := &machine{t: t, seed: seed, counts: map[string]int{}, wounded: map[string]bool{}}
	m.makeDir()
	path, err := binary()
	m.must(err)
	m.binary = path
	m.disk = newDisk(t, m.dir)
	m.source = newServer(t, m.dir, "source", pgserver.SourceVersion)
	m.target = newServer(t, m.dir, "target", pgserver.TargetVersion)
	var place []string
	if m.disk != nil {
		place = []string{"TABLESPACE small"}
		m.must(m.disk.giveTo(t.Context(), m.target))
	}
	m.source.dsn = pgtest.Database(t, m.source.Server)
	m.target.dsn = pgtest.Database(t, m.target.Server, place...)
	m.sourceNet, m.targetNet = newNetwork(t, m.source), newNetwork(t, m.target)
	m.config = filepath.Join(m.dir, "pgibex.yaml")
	m.must(os.WriteFile(m.config, fmt.Appendf(nil, "stream: %s\nsource: {dsn: %q}\ntarget: {dsn: %q}\n%s", stream, m.sourceNet.dsn, m.targetNet.dsn, options(m.random(actorOptions))), 0o600))
	m.makeTables()
	m.errors = &errorsSeen{m: m, expected: map[string]int{}}
	m.app = newApplication(m, m.schema)
	m.daemons = &daemons{m: m}
	t.Cleanup(func() { m.daemons.end(syscall.SIGKILL) }) // the run may have been broken off
	m.faults = newFaults(m)
	m.watcher = newWatcher(m)
	m.beat = newHeartbeat(m)
	return m
}

// makeDir makes the directory for logs, which stays if the test fails.
func (m *machine) makeDir() {
	dir, err := os.MkdirTemp("", "pgibex-torture-")
	m.must(err)
	m.must(os.Chmod(dir, 0o755))
	m.dir = dir
	m.events, err = os.Create(filepath.Join(dir, "events.log"))
	m.must(err)
	m.t.Cleanup(func() {
		_ = m.events.Close()
		if m.t.Failed() {
			m.t.Logf("the logs of both servers, of pgibex and of the machine are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
}

// makeTables creates the tables on both sides and fills those of the source.
func (m *machine) makeTables() {
	ctx := m.t.Context()
	citext := true
	for _, s := range []*server{m.source, m.target} {
		there, err := ask[bool](ctx, s, "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'citext')")
		m.must(err)
		if !there {
			citext = false
			m.t.Logf("NOT TESTED: keys of type citext; the %s has no such extension", s.side)
		}
	}
	m.schema = newSchema(m.random(actorSchema), citext)
	for _, s := range []*server{m.source, m.target} {
		m.must(s.run(ctx, "torture", m.schema.sql))
	}
	m.must(m.source.run(ctx, "torture", `CREATE ROLE app LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;
		ALTER TABLE "Order" OWNER TO app; ALTER TABLE customer OWNER TO app`))
	m.must(m.target.run(ctx, "torture", "CREATE ROLE weak"))
	r := m.random(actorContent)
	for _, sql := range m.schema.content(r) {
		m.must(m.source.run(ctx, "torture", sql))
	}
	var err error
	m.indexes, err = m.definitions(ctx)
	m.must(err)
}

// must ends the test: the machine itself is broken.
func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("the machine: %v", err)
	}
}

// hurt is what must not happen: a difference, or something that the application should not have noticed.
func (m *machine) hurt(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	m.mu.Lock()
	m.hurts = append(m.hurts, text)
	m.mu.Unlock()
	m.event("HURT %s", text)
	m.t.Errorf("round %d of seed %d: %s", m.round, m.seed, text)
}

func (m *machine) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.hurts) > 0
}

func (m *machine) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}

// event writes what the machine does into its own log.
func (m *machine) event(format string, args ...any) {
	line := time.Now().UTC().Format("15:04:05.000 ") + strings.TrimSpace(fmt.Sprintf(format, args...)) + "\n"
	_, _ = m.events.WriteString(line) // for a human only
	if testing.Verbose() {
		fmt.Print(line)
	}
}

// eventually waits until something holds.
func (m *machine) eventually(ctx context.Context, within time.Duration, holds func() bool) bool {
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		pause(ctx, 50*time.Millisecond)
	}
	return true
}
