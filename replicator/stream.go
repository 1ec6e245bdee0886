package replicator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// errGoalReached ends an attempt that has nothing more to do.
var errGoalReached = errors.New("goal reached")

// stream follows the source: it reads batch after batch and applies each atomically. A table whose backlog is too long for
// that drains on the side, with a position of its own, and joins the others again.
type stream struct {
	r        *Replicator
	src, dst *pg.Conn // for looking at either side, and upkeep
	writer   *apply.Writer
	goal     goal
	caughtUp time.Time // when the target had everything up to the goal's mark

	position  change.Position // of the stream, as far as anything was found
	persisted change.Position // as the target has it
	written   time.Time       // when it was persisted

	all           []*table
	tables        map[int]*table // that are followed here: copied or streaming, and not draining
	draining      map[int]*table
	drainingBytes int64        // their backlogs, as they were measured
	waiting       int          // tables that the loader has not handed over yet
	aside         map[int]bool // tables in quarantine

	copied  <-chan *table
	drained chan drained
	drains  *errgroup.Group
	slots   chan struct{}

	last       change.Snapshot // of the poll that found nothing more to do
	lookCost   time.Duration   // of the last look for changes, without what was then applied
	upkeep     upkeep
	validating atomic.Bool // foreign keys, on the side
}

func (r *Replicator) newStream(s *sides, tables []*table, copied <-chan *table, g goal) *stream {
	st := &stream{
		r: r, src: s.src, dst: s.dst, goal: g,
		writer:   apply.NewWriter(r.target, "apply", r.store),
		position: s.position, persisted: s.position, written: time.Now(),
		all: tables, tables: map[int]*table{}, draining: map[int]*table{}, aside: map[int]bool{},
		copied: copied, drained: make(chan drained, len(tables)),
		slots: make(chan struct{}, r.config.Apply.Workers),
	}
	if r.endings.atCommit() {
		st.writer.Singly()
	}
	for _, t := range tables {
		switch t.state {
		case state.Copied, state.Streaming:
			st.tables[t.number] = t
		case state.Captured, state.Copying:
			st.waiting++
		case state.Quarantined:
			st.aside[t.number] = true
		}
	}
	return st
}

// run follows the source until the goal is reached or ctx ends, with whatever goes on beside.
func (s *stream) run(ctx context.Context) error {
	defer s.writer.Close()
	defer func() { s.src.CloseNow() }() // it may be another than it was
	s.drains, ctx = errgroup.WithContext(ctx)
	s.drains.Go(func() error { return s.follow(ctx) })
	return s.drains.Wait()
}

// follow polls until the goal is reached or ctx ends. The interval grows with what looking costs: it must not take
// more than about a tenth of the source's time.
func (s *stream) follow(ctx context.Context) error {
	if err := s.r.loader.ForgetFailures(ctx, s.dst); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t := <-s.copied:
			if err := s.accept(ctx, t); err != nil {
				return err
			}
			continue
		case d := <-s.drained:
			if err := s.rejoin(ctx, d); err != nil {
				return err
			}
			continue
		case <-timer.C:
		}
		start := time.Now()
		more, err := s.poll(ctx)
		if err != nil {
			return err
		}
		if s.goal.reached(s) {
			return s.finish(ctx)
		}
		interval := max(s.r.config.Apply.PollInterval, min(10*s.lookCost, maxPollInterval))
		if more {
			interval = 0
		}
		timer.Reset(max(0, interval-time.Since(start)))
	}
}

const maxPollInterval = 2 * time.Second

// accept takes a table over from the loader, which may have had to set it aside.
func (s *stream) accept(ctx context.Context, t *table) error {
	s.waiting--
	if t.state == state.Quarantined {
		s.aside[t.number] = true
		return nil
	}
	if t.apply == nil { // its key's index was only built now
		now, err := catalog.Look(ctx, s.dst)
		if err != nil {
			return err
		}
		s.tables[t.number] = t
		if why := judgeTarget(s.relation(t), t.load.Source, now.Tables[t.name]); why != nil {
			return s.setAside(ctx, t, why, false)
		}
		t.wireApply(now)
	}
	s.tables[t.number] = t
	s.last = change.Snapshot{} // look at it, whether or not anything has happened since
	return nil
}

// poll looks for changes, applies them, and does what upkeep is due. more asks for another poll at once.
func (s *stream) poll(ctx context.Context) (more bool, err error) {
	asked := time.Now()
	now, err := s.now(ctx)
	if err != nil {
		return false, err
	}
	if now.Snapshot.Equal(s.last) {
		s.lookCost = time.Since(asked)
		s.setCurrent(asked)
		if err := s.beat(ctx); err != nil {
			return false, err
		}
		return false, s.maintain(ctx, nil)
	}
	logs := s.logs()
	if err := s.r.capture.LookForWriters(ctx, s.src, logs); err != nil {
		return false, err
	}
	shown := time.Now()
	view, err := s.r.capture.Open(ctx, s.src, logs)
	if err != nil {
		return false, err
	}
	s.lookCost = time.Since(asked)
	fit, long, later := s.divide()
	for _, t := range slices.Concat(long, later) { // before the batch: it moves the stream's position past what they do not have
		if err := s.part(ctx, t); err != nil {
			view.Close(ctx)
			return false, err
		}
	}
	done := s.r.courtesy.reading()
	err = s.batch(ctx, view, fit)
	done()
	view.Close(ctx)
	more = err != nil || len(long)+len(later) > 0
	if err != nil {
		err = s.blame(ctx, err)
	} else {
		view.Read()
		s.position = view.Position
		s.setCurrent(shown)
		s.setBacklog()
	}
	if err != nil {
		return false, err
	}
	if s.leaving() { // the next to carry the stream does it
		long = nil
	}
	for _, t := range long {
		if err := s.drain(ctx, t, false); err != nil {
			return false, err
		}
	}
	for _, t := range later {
		s.drained <- drained{table: t, to: t.position}
	}
	if more {
		return true, nil
	}
	s.last = view.Position.Snapshot
	return false, s.maintain(ctx, view)
}

func (s *stream) now(ctx context.Context) (now change.Position, err error) {
	err = answered(ctx, func(ctx context.Context) error {
		now, err = s.r.capture.Now(ctx, s.src)
		return err
	})
	return now, err
}

// beat writes the position now and then although nothing has changed in our tables since: others wait to see it pass.
func (s *stream) beat(ctx context.Context) error {
	if !s.due() || s.persisted.Snapshot.Equal(s.position.Snapshot) {
		return nil
	}
	return s.write(ctx, change.Batch{Position: s.position}, nil, nil)
}

func (s *stream) logs() map[int]*capture.Log {
	logs := make(map[int]*capture.Log, len(s.tables))
	for number, t := range s.tables {
		logs[number] = t.log
	}
	return logs
}

// setCurrent: the target shows what the source had committed at that time, as far as no table lags behind the others.
func (s *stream) setCurrent(at time.Time) {
	s.r.metrics.SetTables(s.count())
	if len(s.tables) == 0 {
		return
	}
	for _, t := range s.draining {
		// The difference of two readings of the source's clock: this host's may differ from it.
		at = at.Add(min(0, t.position.Clock.Sub(s.position.Clock)))
	}
	s.r.metrics.SetCurrent(at)
}

func (s *stream) count() map[string]int {
	count := map[string]int{}
	for _, known := range state.States {
		count[string(known)] = 0
	}
	for _, t := range s.tables {
		count[string(t.state)]++
	}
	count[string(state.Streaming)] += len(s.draining)
	count[string(state.Copying)] += s.waiting
	count[string(state.Quarantined)] = len(s.aside)
	return count
}

// batch applies what the view shows of the tables, atomically.
func (s *stream) batch(ctx context.Context, view *capture.View, tables []*table) error {
	batch := change.Batch{Position: view.Position, Settle: view.Settle}
	plans := map[int]*apply.Table{}
	var joined []int
	for _, t := range tables {
		if part, ok := view.Part(t.log, t.at(s.position).Snapshot); ok {
			batch.Parts = append(batch.Parts, part)
			plans[t.number] = t.apply
		}
		if !t.position.IsZero() || t.state != state.Streaming {
			joined = append(joined, t.number)
		}
	}
	if err := s.write(ctx, batch, plans, joined); err != nil {
		return err
	}
	for _, number := range joined {
		s.join(s.tables[number])
	}
	for number := range plans {
		s.r.endings.through(number)
	}
	return nil
}

func (s *stream) write(ctx context.Context, batch change.Batch, plans map[int]*apply.Table, joined []int) error {
	start := time.Now()
	stats, err := s.writer.Batch(ctx, batch, plans, joined, s.due())
	if err == nil && stats.Written {
		s.persisted, s.written = batch.Position, time.Now()
		s.upkeep.applied = s.upkeep.applied || stats.Rows > 0
		s.r.endings.through(0)
		s.r.observe(stats, start)
	}
	return err
}

func (r *Replicator) observe(stats apply.Stats, start time.Time) {
	r.metrics.Batches.Inc()
	r.metrics.BatchSeconds.Observe(time.Since(start).Seconds())
	r.metrics.AppliedRows.Add(float64(stats.Rows))
	r.metrics.AppliedBytes.Add(float64(stats.Bytes))
}

// heartbeat is how long the target's position may stay behind while nothing changes in our tables.
const heartbeat = time.Second

// due says whether the position is to be written although nothing has changed: it holds the source's segments.
func (s *stream) due() bool {
	return time.Since(s.written) > heartbeat || s.goal.mark != nil ||
		slices.ContainsFunc(s.all, func(t *table) bool { return s.tables[t.number] == t && t.log.Emptiable() })
}

func (s *stream) join(t *table) {
	if t.state != state.Streaming {
		s.r.log.Info("table streams", "table", t.name.String())
	}
	t.state, t.position, t.conflicts = state.Streaming, change.Position{}, 0
}

// batchTables bounds the tables of a batch that have changes: each takes some 20 locks on the target in the batch's transaction, with its
// indexes and staging tables, and all sessions of a server with the defaults share 6,400.
const batchTables = 200

// divide takes the tables with the shortest backlogs for the batch, as many as its size and the target's locks allow. Tables without a
// key, whose images must not be applied in pieces, come whatever their size; what is too many of them waits for a later batch.
func (s *stream) divide() (fit, long, later []*table) {
	keyless := s.changedKeyless()
	later = keyless[min(len(keyless), batchTables/2):]
	changed := len(keyless) - len(later)
	var total int64
	tables := slices.Collect(maps.Values(s.tables))
	slices.SortFunc(tables, func(a, b *table) int {
		return cmp.Or(cmp.Compare(a.log.Pending(), b.log.Pending()), cmp.Compare(a.number, b.number))
	})
	for _, t := range tables {
		pending, keyed := t.log.Pending(), t.load.Source.Key != nil
		if pending > 0 && keyed {
			changed++
		}
		switch {
		case slices.Contains(later, t):
		case !keyed, total+pending <= int64(s.r.config.Apply.BatchSize) && (pending == 0 || changed <= batchTables):
			total += pending
			fit = append(fit, t)
		default:
			long = append(long, t)
		}
	}
	s.setBacklog()
	return fit, long, later
}

// changedKeyless are the tables without a key that have changes, those first that have waited for a later batch.
func (s *stream) changedKeyless() (tables []*table) {
	var others []*table
	for _, t := range s.tables {
		switch {
		case t.load.Source.Key != nil || t.log.Pending() == 0:
		case t.position.IsZero():
			others = append(others, t)
		default:
			tables = append(tables, t)
		}
	}
	return append(tables, others...)
}

func (s *stream) setBacklog() {
	backlog := s.drainingBytes
	for _, t := range s.tables {
		backlog += t.log.Unread()
	}
	s.r.metrics.BacklogBytes.Set(float64(backlog))
}

// finish leaves the target exact: sequences, and, where all tables show one state, every constraint.
func (s *stream) finish(ctx context.Context) error {
	if err := s.setSequencesLast(ctx); err != nil {
		return err
	}
	if !s.consistent() { // rows of different moments need not hold
		return errGoalReached
	}
	if err := s.constraints(ctx); err != nil {
		return fmt.Errorf("build constraints: %w", err)
	}
	return errGoalReached
}
