package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// fault is a kind of what can go wrong.
type fault struct {
	name   string
	weight int
	uses   []string // what only one fault at a time may do something to
	stalls bool     // ours may be unable to let go of a lock for its time
	// run does it, and returns when all is as before, with how often anything was struck.
	run func(ctx context.Context, m *machine, r *rand.Rand) (times int, err error)
}

// What faults use.
const (
	daemonProcess = "daemon"
	sourceNet     = "network of the source"
	targetNet     = "network of the target"
	sourceServer  = "source"
	targetServer  = "target"
	sourceTables  = "tables"
)

// faults are all kinds, and what came of them.
type faults struct {
	m      *machine
	random *rand.Rand
	kinds  []*fault
	number uint64

	mu      sync.Mutex
	free    *sync.Cond
	busy    map[string]bool
	stall   int
	stallAt time.Time // when the last of those ended
	tallies map[string]*tally
	going   sync.WaitGroup
}

// tally is what came of one kind.
type tally struct {
	struck, times int
	back          []time.Duration // until streaming again
	never         int             // before the round ended
	failed        map[string]int
}

func newFaults(m *machine) *faults {
	f := &faults{m: m, random: m.random(actorFaults), busy: map[string]bool{}, tallies: map[string]*tally{}}
	f.free = sync.NewCond(&f.mu)
	f.kinds = slices.DeleteFunc(slices.Concat(processFaults, serverFaults, networkFaults, tableFaults, hostileFaults), func(k *fault) bool {
		return k.name == diskFull && m.disk == nil
	})
	for _, k := range f.kinds {
		f.tallies[k.name] = &tally{failed: map[string]int{}}
	}
	return f
}

// stalled says whether ours may hold a lock only because they are stopped or cut off, or were a moment ago.
func (f *faults) stalled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stall > 0 || time.Since(f.stallAt) < stallGrace
}

// stallGrace is what ours and a server take to go on after that.
const stallGrace = 3 * time.Second

func (f *faults) pick() *fault {
	all := 0
	for _, k := range f.kinds {
		all += k.weight
	}
	n := f.random.IntN(all)
	for _, k := range f.kinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("weights")
}

// together is how many faults may be going on at a time.
const together = 2

// strike does n faults, one after the other or some at a time, and returns when all is as before. Time that ends breaks it off.
func (f *faults) strike(ctx context.Context, n int) (done int) {
	slots := make(chan struct{}, together)
	for ; done < n && ctx.Err() == nil && !f.m.failed(); done++ {
		kind, gap := f.pick(), time.Duration(f.random.IntN(2500))*time.Millisecond
		f.number++
		r := f.m.random(actorFault + f.number)
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		f.acquire(kind)
		f.going.Go(func() {
			defer func() { <-slots }()
			f.one(ctx, kind, r)
		})
		pause(ctx, gap)
	}
	f.going.Wait()
	return done
}

func (f *faults) acquire(k *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for slices.ContainsFunc(k.uses, func(what string) bool { return f.busy[what] }) {
		f.free.Wait()
	}
	for _, what := range k.uses {
		f.busy[what] = true
	}
	if k.stalls {
		f.stall++
	}
}

func (f *faults) release(k *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, what := range k.uses {
		delete(f.busy, what)
	}
	if k.stalls {
		f.stall--
		f.stallAt = time.Now()
	}
	f.free.Broadcast()
}

// one does a fault and waits a while for the stream to come back.
func (f *faults) one(ctx context.Context, k *fault, r *rand.Rand) {
	f.m.event("fault: %s", k.name)
	start := time.Now()
	times, err := k.run(ctx, f.m, r)
	f.m.event("over: %s, after %s, %d times, %.300v", k.name, time.Since(start).Round(time.Millisecond), times, err)
	f.release(k)
	over := time.Now()
	if !f.m.beat.since(time.Time{}) { // nothing streams yet: the first copy goes on
		f.note(k, times, err, 0, true)
		return
	}
	back := f.m.eventually(ctx, 15*time.Second, func() bool { return f.m.beat.since(over) })
	f.note(k, times, err, time.Since(over), back)
}

// note books what came of a fault. took is 0 where nothing streamed before it.
func (f *faults) note(k *fault, times int, err error, took time.Duration, back bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tallies[k.name]
	t.struck++
	t.times += times
	if err != nil {
		t.failed[fmt.Sprintf("%.80s", strings.ReplaceAll(err.Error(), "\n", " "))]++
	}
	switch {
	case !back:
		t.never++
	case took > 0:
		t.back = append(t.back, took)
	}
}

// String is the table of faults and outcomes.
func (f *faults) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tFAULTS\tSTRIKES\tSTREAMING AGAIN: MEDIAN\tLONGEST\tNOT WITHIN 15 s\t")
	all := 0
	for _, k := range f.kinds {
		t := f.tallies[k.name]
		all += t.struck
		slices.Sort(t.back)
		median, longest := "", ""
		if n := len(t.back); n > 0 {
			median, longest = t.back[n/2].Round(10*time.Millisecond).String(), t.back[n-1].Round(10*time.Millisecond).String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%d\t\n", k.name, t.struck, t.times, median, longest, t.never)
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "%d faults\n", all)
	for _, k := range f.kinds {
		for text, n := range f.tallies[k.name].failed {
			fmt.Fprintf(&b, "%s: could not be done %d times: %s\n", k.name, n, text)
		}
	}
	return b.String()
}
