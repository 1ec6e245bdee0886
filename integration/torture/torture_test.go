// Package torture holds the torture machine: the real pgibex between a real 9.2 and 14, a random application, random
// faults, and a judge of its own. Nothing may be lost, and the application may notice nothing.
//
// One seed decides everything that is decided; what the processes make of it is theirs. It must not use package verify or
// anything else of the product to judge.
package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines left behind, as pgtest.Main does, but for those of toxiproxy, some of which wait for ever when a
// connection with a toxic in it is closed.
func TestMain(m *testing.M) {
	code := m.Run()
	const toxiproxy = "github.com/Shopify/toxiproxy/v2"
	leaks := []goleak.Option{goleak.IgnoreAnyFunction(toxiproxy + ".(*ToxicLink).read"), goleak.IgnoreAnyFunction(toxiproxy + ".(*ToxicLink).write")}
	for _, toxic := range []string{"Noop", "Latency", "Bandwidth", "Slicer", "Timeout"} {
		leaks = append(leaks, goleak.IgnoreAnyFunction(toxiproxy+"/toxics.(*"+toxic+"Toxic).Pipe"))
	}
	if err := goleak.Find(leaks...); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "torture:", err)
		code = 1
	}
	os.Exit(code)
}

// What a run is when nothing is said: a short one, for every day.
const (
	shortFaults   = 16
	shortTime     = 45 * time.Second
	shortRound    = 8
	faultsInRound = 40
	lifeRounds    = 3 // after so many the stream is taken away and begun anew
)

// number reads one from the environment; 0 where there is none.
func number(t *testing.T, name string) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// tell prints a line, and has make test say it, as go test keeps to itself what a test prints that passes.
func tell(t *testing.T, line string) {
	t.Helper()
	fmt.Println(line)
	path := os.Getenv("PGIBEX_VERSIONS_FILE")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(file, line); errors.Join(err, file.Close()) != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestTorture takes TORTURE_SEED, TORTURE_FAULTS and TORTURE_MINUTES from the environment.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; not with -short")
	}
	seed, faults, minutes := number(t, "TORTURE_SEED"), int(number(t, "TORTURE_FAULTS")), number(t, "TORTURE_MINUTES")
	if seed == 0 {
		seed = rand.Uint64()%1_000_000_000 + 1
	}
	limit, inRound := time.Duration(minutes)*time.Minute, faultsInRound
	switch {
	case faults == 0 && minutes == 0:
		faults, limit, inRound = shortFaults, shortTime, shortRound
	case faults == 0:
		faults = 1 << 30
	case minutes == 0:
		limit = 24 * time.Hour
	}
	tell(t, fmt.Sprintf("torture: SEED=%d", seed))
	m := newMachine(t, seed)
	m.run(faults, inRound, limit)
}

// run goes round after round: faults while the application writes, then rest and judgement.
func (m *machine) run(faults, inRound int, limit time.Duration) {
	ctx, end := context.WithCancel(m.t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer end()
	group.Go(func() { m.watcher.run(ctx) })
	group.Go(func() { m.beat.run(ctx) })

	start, done := time.Now(), 0
	for done < faults && time.Since(start) < limit && !m.failed() {
		m.round++
		m.event("round %d", m.round)
		m.app.start(ctx)
		if m.daemons.count() == 0 {
			m.must(m.daemons.add(ctx))
		}
		timed, cancel := context.WithTimeout(ctx, max(limit-time.Since(start), time.Second))
		done += m.faults.strike(timed, min(inRound, faults-done))
		cancel()
		m.rest(ctx)
		m.judge(ctx)
		if m.round%lifeRounds == 0 && !m.failed() {
			m.anew(ctx)
		}
	}
	m.daemons.end(syscall.SIGTERM)
	m.report(done, time.Since(start))
}

// What the stream may take to come back when nothing disturbs it any more.
const (
	streamsWithin = time.Minute
	copiesWithin  = 4 * time.Minute // where it has not begun to stream yet
)

// rest waits until the stream has come back from the faults.
func (m *machine) rest(ctx context.Context) {
	now, within := time.Now(), streamsWithin
	if !m.beat.since(time.Time{}) {
		within = copiesWithin
	}
	if m.eventually(ctx, within, func() bool { return m.beat.since(now) }) {
		m.event("streaming again %s after the last fault", time.Since(now).Round(time.Millisecond))
		return
	}
	code, out := m.call(ctx, "", "status")
	m.hurt("%s after the last fault the stream has not come back; status (code %d):\n%s", within, code, out)
}

func (m *machine) report(done int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Printf("\ntorture: SEED=%d: %d faults in %d rounds, %s, %d hurts\n\n%s\n%s\n%s\n", m.seed, done, m.round, took.Round(time.Second), len(m.hurts), m.faults, m.errors, m.watcher)
	for _, what := range slices.Sorted(maps.Keys(m.counts)) {
		fmt.Printf("%6d  %s\n", m.counts[what], what)
	}
}
