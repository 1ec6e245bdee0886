package torture

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// watcher samples who waits for whom on the source. 9.2 has no pg_blocking_pids: it is worked out from pg_locks.
type watcher struct {
	m     *machine
	mu    sync.Mutex
	names map[uint32]string // of all backends seen, by process
	waits map[waiting]*waited

	// The longest of each: as such, and while we were stopped or cut off.
	held, heldStalled         long // that somebody waited for a lock of ours
	open, openStalled         long // a transaction of ours
	snapshot, snapshotStalled long // that a snapshot of ours was held at most: a transaction since it waited for a lock last
	locked                    map[uint32]time.Time
}

// waiting is a wait: one process for one lock.
type waiting struct {
	pid       uint32
	tag, mode string
}

type waited struct {
	since   time.Time // the wait itself
	blocked time.Time // since when one of ours is in its way, without a break; zero when none is
	seen    bool
}

type long struct {
	took time.Duration
	text string
}

func (l long) String() string { return fmt.Sprintf("%s (%s)", l.took.Round(time.Millisecond), l.text) }

// longer notes the longest.
func longer(as, stalled *long, isStalled bool, took time.Duration, text func() string) {
	if isStalled {
		as = stalled
	}
	if took > as.took {
		*as = long{took, text()}
	}
}

// maxHeld is what no statement of the application's may wait for a lock of ours.
const maxHeld = time.Second

const sampleInterval = 100 * time.Millisecond

func newWatcher(m *machine) *watcher {
	return &watcher{m: m, names: map[uint32]string{}, waits: map[waiting]*waited{}, locked: map[uint32]time.Time{}}
}

// run samples until ctx ends.
func (w *watcher) run(ctx context.Context) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			conn, _ = w.m.source.connect(ctx, "torture/watcher") // it may be down
		}
		if conn != nil {
			if err := w.sample(context.WithoutCancel(ctx), conn); err != nil {
				_ = conn.Close(ctx) // to begin anew
			}
		}
		pause(ctx, sampleInterval)
	}
	if conn != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

type activity struct {
	pid   uint32
	name  string
	query string
	age   *float64
}

type lock struct {
	pid       uint32
	tag, mode string
	granted   bool
}

func (w *watcher) sample(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rows, err := conn.Query(ctx, `SELECT pid, coalesce(application_name, ''), coalesce(query, ''), extract(epoch FROM clock_timestamp() - xact_start)::float8 FROM pg_stat_activity`)
	if err != nil {
		return err
	}
	backends, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a activity, err error) {
		return a, row.Scan(&a.pid, &a.name, &a.query, &a.age)
	})
	if err != nil {
		return err
	}
	rows, err = conn.Query(ctx, `SELECT pid, concat_ws(' ', locktype, database, relation::regclass, page, tuple, virtualxid, transactionid, classid, objid, objsubid), mode, granted
		FROM pg_locks WHERE pid IS NOT NULL`)
	if err != nil {
		return err
	}
	locks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l lock, err error) {
		return l, row.Scan(&l.pid, &l.tag, &l.mode, &l.granted)
	})
	if err != nil {
		return err
	}
	w.take(time.Now(), backends, locks)
	return nil
}

func isOurs(name string) bool { return strings.HasPrefix(name, "pgibex/") }

func (w *watcher) take(now time.Time, backends []activity, locks []lock) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stalled := w.m.faults.stalled()
	queries := map[uint32]string{}
	for _, l := range locks {
		if !l.granted {
			w.locked[l.pid] = now
		}
	}
	for _, b := range backends {
		w.names[b.pid], queries[b.pid] = b.name, b.query
		if isOurs(b.name) && b.age != nil {
			took := time.Duration(*b.age * float64(time.Second))
			text := func() string { return fmt.Sprintf("%s: %.150s", b.name, strings.Join(strings.Fields(b.query), " ")) }
			longer(&w.open, &w.openStalled, stalled, took, text)
			longer(&w.snapshot, &w.snapshotStalled, stalled, min(took, now.Sub(w.locked[b.pid])), text)
		}
	}
	for _, x := range w.waits {
		x.seen = false
	}
	for _, l := range locks {
		if !l.granted {
			key := waiting{l.pid, l.tag, l.mode}
			if w.waits[key] == nil {
				w.waits[key] = &waited{since: now}
			}
			w.waits[key].seen = true
		}
	}
	for key, x := range w.waits {
		if !x.seen {
			delete(w.waits, key)
		}
	}
	for key, x := range w.waits {
		if !isOurs(w.names[key.pid]) {
			w.look(now, key, x, locks, queries, stalled)
		}
	}
}

// look finds whether one of ours is in the way of a wait: it holds the lock, or it wants it and came first, and nobody else holds it.
func (w *watcher) look(now time.Time, key waiting, x *waited, locks []lock, queries map[uint32]string, stalled bool) {
	var by *lock
	var held bool // by somebody else, for whom it would have to wait without us
	for _, l := range locks {
		if l.tag != key.tag || !conflict(l.mode, key.mode) {
			continue
		}
		other := w.waits[waiting{l.pid, l.tag, l.mode}]
		switch ours := isOurs(w.names[l.pid]); {
		case !ours:
			held = held || l.granted && l.pid != key.pid
		case l.granted, other != nil && other.since.Before(x.since):
			by = &l
		}
	}
	if by != nil && held && !by.granted {
		by = nil
	}
	if by == nil {
		x.blocked = time.Time{}
		return
	}
	if x.blocked.IsZero() {
		x.blocked = now
	}
	longer(&w.held, &w.heldStalled, stalled, now.Sub(x.blocked), func() string {
		return fmt.Sprintf("%s waited for %s on %s, which %s has as %s (granted: %v); it: %.150s; ours: %.150s",
			w.names[key.pid], key.mode, key.tag, w.names[by.pid], by.mode, by.granted, queries[key.pid], queries[by.pid])
	})
}

// tableConflicts says which modes a mode of table locks does not go with.
var tableConflicts = map[string]string{
	"AccessShareLock":          "AccessExclusiveLock",
	"RowShareLock":             "ExclusiveLock AccessExclusiveLock",
	"RowExclusiveLock":         "ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock",
	"ShareUpdateExclusiveLock": "ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock",
	"ShareLock":                "RowExclusiveLock ShareUpdateExclusiveLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock",
	"ShareRowExclusiveLock":    "RowExclusiveLock ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock",
	"ExclusiveLock":            "RowShareLock RowExclusiveLock ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock",
	"AccessExclusiveLock":      "AccessShareLock RowShareLock RowExclusiveLock ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock",
}

func conflict(a, b string) bool {
	for mode := range strings.FieldsSeq(tableConflicts[a]) {
		if mode == b {
			return true
		}
	}
	return false
}

var process = regexp.MustCompile(`Process (\d+)|process (\d+)`)

// pgibexIn names our session among those of a deadlock's detail, if there is one.
func (w *watcher) pgibexIn(detail string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, found := range process.FindAllStringSubmatch(detail, -1) {
		var pid uint32
		if _, err := fmt.Sscan(found[1]+found[2], &pid); err == nil && isOurs(w.names[pid]) {
			return w.names[pid]
		}
	}
	return ""
}

// judge complains of what was seen since it was asked last.
func (w *watcher) judge() {
	w.mu.Lock()
	longest := w.held
	w.mu.Unlock()
	if longest.took > maxHeld {
		w.m.hurt("a statement was held up for %s by a lock of ours: %s", longest.took.Round(time.Millisecond), longest.text)
	}
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("On the source, as such and while ours were stopped or cut off:\nlongest wait for a lock of ours: %s\n  %s\nlongest transaction of ours: %s\n  %s\noldest snapshot of ours: %s\n  %s",
		w.held, w.heldStalled, w.open, w.openStalled, w.snapshot, w.snapshotStalled)
}
