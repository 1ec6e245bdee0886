package replicator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// targetLocks looks, over one session for all who ask, at who holds tables of the target, and names each holder once.
type targetLocks struct {
	r    *Replicator
	oids map[int]uint32 // by table, on the target

	mu      sync.Mutex
	conn    *pg.Conn
	looked  time.Time
	holders map[uint32][]apply.Holder
	told    map[int]string // by table: the transactions that were named
}

const (
	// locksEvery is how old an answer may be: a table that waits goes on so soon after its lock is gone.
	locksEvery = 250 * time.Millisecond
	// rowsPatience bounds the wait for transactions that may hold rows of a table before it is tried again: it may be other rows that they hold.
	rowsPatience = time.Second
)

func (r *Replicator) newTargetLocks(tables []*table) *targetLocks {
	l := &targetLocks{r: r, oids: map[int]uint32{}, told: map[int]string{}}
	for _, t := range tables {
		if t.load.Target != nil {
			l.oids[t.number] = t.load.Target.OID
		}
	}
	return l
}

func (l *targetLocks) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.CloseNow()
}

// of returns who holds a table.
func (l *targetLocks) of(ctx context.Context, number int) ([]apply.Holder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.looked) >= locksEvery {
		if err := l.connect(ctx); err != nil {
			return nil, err
		}
		oids := make([]uint32, 0, len(l.oids))
		for _, oid := range l.oids {
			oids = append(oids, oid)
		}
		holders, err := apply.Holders(ctx, l.conn, l.r.config.Stream, oids, false)
		if err != nil {
			return nil, err
		}
		l.holders, l.looked = holders, time.Now()
	}
	return l.holders[l.oids[number]], nil
}

func (l *targetLocks) connect(ctx context.Context) (err error) {
	if l.conn == nil || l.conn.IsClosed() {
		l.conn, err = l.r.target.Connect(ctx, "locks")
	}
	return err
}

// name says in the log who holds a table that waits, once, and later that it is free.
func (l *targetLocks) name(t *table, holders []apply.Holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, before := transactions(holders), l.told[t.number]
	switch l.told[t.number] = now; {
	case now == before:
	case now != "":
		l.r.log.Warn("a table is locked on the target; it waits, and the others go on without it", "table", t.name.String(), "by", words(holders))
	default:
		l.r.log.Info("a table of the target is not locked any more", "table", t.name.String())
	}
}

// nameNow names who is in the way of a table that is being copied: of its rows, or of all that alters it.
func (l *targetLocks) nameNow(ctx context.Context, dst *pg.Conn, t *table, alters bool) error {
	oid := l.oids[t.number]
	holders, err := apply.Holders(ctx, dst, l.r.config.Stream, []uint32{oid}, alters)
	if err == nil {
		l.name(t, holders[oid])
	}
	return err
}

// altering returns who keeps a table from being altered.
func (l *targetLocks) altering(ctx context.Context, number int) ([]apply.Holder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	oid := l.oids[number]
	holders, err := apply.Holders(ctx, l.conn, l.r.config.Stream, []uint32{oid}, true)
	return holders[oid], err
}

// standBy waits until those who hold the table of the target, or, alters, whoever keeps it from being altered, have let go, having named
// them. Whether it was them is not known of transactions that hold rows: then it waits only for a while.
func (l *targetLocks) standBy(ctx context.Context, t *table, alters bool) error {
	ask := l.of
	if alters {
		ask = l.altering
	}
	holders, err := ask(ctx, t.number)
	if err != nil {
		return err
	}
	first, began := holders, time.Now()
	ticker := time.NewTicker(locksEvery)
	defer ticker.Stop()
	for {
		l.name(t, holders)
		held := slices.ContainsFunc(holders, func(h apply.Holder) bool {
			return h.Whole || time.Since(began) < rowsPatience && slices.ContainsFunc(first, func(f apply.Holder) bool { return f.Transaction == h.Transaction })
		})
		if !held {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if holders, err = ask(ctx, t.number); err != nil {
			return err
		}
	}
}

// standAside takes tables that others are at work on out of the batches: the one that a batch could not write to, and all that are
// held as a whole. Each catches up on its own.
func (s *stream) standAside(ctx context.Context, busy *apply.BusyError) error {
	aside := []*table{}
	for _, t := range s.tables {
		holders, err := s.r.locks.of(ctx, t.number)
		if err != nil {
			return err
		}
		if t.number == busy.Table || t.log.Pending() > 0 && slices.ContainsFunc(holders, func(h apply.Holder) bool { return h.Whole }) {
			aside = append(aside, t)
		}
	}
	for _, t := range aside {
		s.r.log.Debug("a table can not be written to now", "table", t.name.String(), "error", busy)
		if err := s.part(ctx, t); err != nil {
			return err
		}
		if t.load.Source.Key != nil {
			if err := s.drain(ctx, t, true); err != nil {
				return err
			}
			continue
		}
		s.retry(ctx, t, busy, false)
	}
	return nil
}

// retry has a table come back to the batches when it may not be locked any more, or, alters, nobody is at work on it: one without a key, whose
// changes are never applied in pieces, or one whose checks are to be put off.
func (s *stream) retry(ctx context.Context, t *table, busy error, alters bool) {
	var fault error
	if pg.State(busy) != pg.LockNotAvailable {
		if t.conflicts++; t.conflicts > maxConflicts {
			fault = conflicting(t, busy)
		}
	}
	s.drains.Go(func() error {
		if err := s.r.locks.standBy(ctx, t, alters); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rowsPatience): // what is in the way may be no lock on the table, and a batch waits for it with all others
		}
		s.drained <- drained{table: t, to: t.position, reason: fault}
		return nil
	})
}

// maxConflicts is how often in a row a table may meet a conflict that is no lock of others before it is to blame: something of it fails
// each time in a way that passes elsewhere.
const maxConflicts = 5

func conflicting(t *table, err error) error {
	return &apply.TableError{Table: t.number, Err: hint.With(err, "find out what does this on the target; then: pgibex resync %s", t.name)}
}

// conflict deals with a piece that met others at work on its table of the target: it waits until they are done, without a worker's slot.
func (d *drainWorker) conflict(ctx context.Context, err error) error {
	if pg.State(err) != pg.LockNotAvailable {
		if d.conflicts++; d.conflicts > maxConflicts {
			return conflicting(d.table, err)
		}
	}
	d.slot.give()
	if err := d.r.locks.standBy(ctx, d.table, false); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(locksEvery): // what is in the way may be no lock on the table, and be there still
	}
	_, err = d.slot.take(ctx, nil)
	return err
}

// patiently does something to the target's table until nobody is in the way.
func (d *drainWorker) patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		if busy, ok := errors.AsType[*apply.BusyError](err); ok && ctx.Err() == nil {
			err = d.conflict(ctx, busy)
			if err == nil {
				continue
			}
		}
		return err
	}
}

// lockedBy says, at this moment, who on the target is in the way of tables that are behind the others.
func (r *Replicator) lockedBy(ctx context.Context, dst *pg.Conn, relations []state.Relation) (map[int][]apply.Holder, error) {
	by := map[int][]apply.Holder{}
	for _, relation := range relations {
		copying := relation.State == state.Captured || relation.State == state.Copying
		if relation.State == state.Quarantined || !copying && relation.Position.IsZero() {
			continue
		}
		var oid *uint32
		if err := dst.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1)::oid", relation.SQL()).Scan(&oid); err != nil {
			return nil, err
		}
		if oid == nil {
			continue
		}
		holders, err := apply.Holders(ctx, dst, r.config.Stream, []uint32{*oid}, copying || relation.Reason != "")
		if err != nil {
			return nil, err
		}
		by[relation.Number] = holders[*oid]
	}
	return by, nil
}

// barred says, at this moment, who on the source keeps tables that are behind the others from being read.
func (r *Replicator) barred(ctx context.Context, src *pg.Conn, captured []capture.Table, relations []state.Relation) (map[int]string, error) {
	oids := map[int]uint32{}
	for _, relation := range relations {
		t, there := capturedAs(captured, relation.Number)
		if there && relation.State != state.Quarantined && (relation.State != state.Streaming || !relation.Position.IsZero()) {
			oids[relation.Number] = t.OID
		}
	}
	barring, err := r.capture.Barring(ctx, src, slices.Collect(maps.Values(oids)))
	by := map[int]string{}
	for number, oid := range oids {
		if who := barring[oid]; len(who) > 0 {
			by[number] = "on the source: " + strings.Join(who, "; ")
		}
	}
	return by, err
}

// transactions identify holders.
func transactions(holders []apply.Holder) string {
	var who []string
	for _, h := range holders {
		who = append(who, h.Transaction)
	}
	slices.Sort(who)
	return strings.Join(who, " ")
}

// words are what an operator reads of holders.
func words(holders []apply.Holder) string {
	var by []string
	for _, h := range holders {
		by = append(by, h.Text)
	}
	return strings.Join(by, "; ")
}

// boundLocks keeps a session from waiting for a lock without a bound. A server that is too old for that is refused in a moment.
func boundLocks(ctx context.Context, dst *pg.Conn) error {
	if dst.Version < oldestTarget {
		return nil
	}
	return dst.Run(ctx, boundedLocks)
}

// boundedLocks keeps the sessions that read and write the stream's state from waiting for others in silence: the attempt ends, and says
// for whom.
const boundedLocks = "SET lock_timeout = '10s'"

// stateLockedBy says who holds the stream's own state, if that may be why an attempt has ended with the error; "" otherwise.
func (r *Replicator) stateLockedBy(ctx context.Context, err error) string {
	if pg.State(err) != pg.LockNotAvailable && !errors.Is(err, errLockLost) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	conn, err := r.target.Connect(ctx, "locks")
	if err != nil {
		return "" // which the next attempt says
	}
	defer conn.CloseNow()
	var oids []uint32
	err = conn.QueryRow(ctx, "SELECT ARRAY(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r')",
		state.Schema(r.config.Stream)).Scan(&oids)
	if err != nil {
		return ""
	}
	holders, err := apply.Holders(ctx, conn, r.config.Stream, oids, false)
	if err != nil {
		return ""
	}
	var by []string
	for _, list := range holders {
		by = append(by, words(list))
	}
	return strings.Join(by, "; ")
}
