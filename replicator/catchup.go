package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// goal is when an attempt has nothing more to do; the zero goal is never reached.
type goal struct {
	mark *change.Position // everything up to here is to be on the target
}

// togetherWithin is how long a catch-up waits for all tables to show one state of the source once each has what it is to have: while the
// application writes faster than they can be told apart that may never be.
const togetherWithin = 20 * time.Second

// reached says whether the target has everything up to the mark of all tables that are not quarantined, and whether it shows one state of
// the source, or will not soon.
func (g goal) reached(s *stream) bool {
	if g.mark == nil || s.waiting > 0 || !s.persisted.Snapshot.Covers(g.mark.Snapshot) {
		return false
	}
	for _, tables := range []map[int]*table{s.tables, s.draining} {
		for _, t := range tables {
			if t.state != state.Streaming || !t.position.IsZero() && !t.position.Snapshot.Covers(g.mark.Snapshot) {
				return false
			}
		}
	}
	if s.caughtUp.IsZero() {
		s.caughtUp = time.Now()
	}
	return s.consistent() || time.Since(s.caughtUp) > togetherWithin
}

// CaughtUp is what a catch-up did.
type CaughtUp struct {
	Position    change.Position
	Took        time.Duration
	Quarantined []state.Relation
	By          string // who did it: this process, or the daemon that carries the stream
}

// CatchUp brings the target to everything that the source had committed before the call, copying first what is not
// copied yet. Where a daemon carries the stream it is the daemon that does it, and the call waits.
func (r *Replicator) CatchUp(ctx context.Context) (*CaughtUp, error) {
	start := time.Now()
	mark, carried, err := r.mark(ctx)
	if err != nil {
		return nil, err
	}
	result := &CaughtUp{}
	for again := true; again; { // a daemon may come or go meanwhile
		if carried {
			result.By = "the daemon that carries the stream"
			carried, err = r.await(ctx, mark)
			again = err == nil && !carried
			continue
		}
		result.By = "this process"
		err = r.persist(ctx, goal{mark: &mark})
		carried = errors.Is(err, errCarried)
		again = carried
	}
	if err != nil {
		return nil, err
	}
	dst, err := r.target.Connect(ctx, "catchup")
	if err != nil {
		return nil, err
	}
	defer dst.CloseNow()
	stream, err := r.store.Stream(ctx, dst)
	if err != nil {
		return nil, err
	}
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return nil, err
	}
	for _, relation := range relations {
		if relation.State == state.Quarantined {
			result.Quarantined = append(result.Quarantined, relation)
		}
	}
	result.Position, result.Took = stream.Position, time.Since(start)
	if len(result.Quarantined) > 0 {
		var names []string
		for _, q := range result.Quarantined {
			names = append(names, fmt.Sprintf("%s: %s", q.Name, q.Reason))
		}
		return result, fmt.Errorf("tables in quarantine are not caught up:\n%s", strings.Join(names, "\n"))
	}
	missing, err := r.incomplete(ctx, relations)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return result, fmt.Errorf("the target does not have everything:\n%s", strings.Join(missing, "\n"))
	}
	return result, nil
}

// incomplete says why tables may lack something although every change recorded was applied: the daemon looks for that now and then only.
func (r *Replicator) incomplete(ctx context.Context, relations []state.Relation) (reasons []string, err error) {
	src, err := r.source.Connect(ctx, "catchup")
	if err != nil {
		return nil, err
	}
	defer src.CloseNow()
	now, err := catalog.Load(ctx, src)
	if err != nil {
		return nil, err
	}
	captured, err := r.capture.Tables(ctx, src)
	if err != nil {
		return nil, err
	}
	drift, err := r.capture.Drift(ctx, src, captured, now)
	if err != nil {
		return nil, err
	}
	for _, relation := range relations {
		if why := drift[relation.Number]; why != "" {
			reasons = append(reasons, fmt.Sprintf("%s; pgibex resync %s", why, relation.Name))
		}
	}
	for _, name := range r.leftOut(now, relations) {
		reasons = append(reasons, fmt.Sprintf("%s: %s %s", name, notReplicated, name))
	}
	slices.Sort(reasons)
	return reasons, nil
}

// notReplicated says what is with a table that is left out, and what to do; the table's name goes behind.
const notReplicated = "the configuration includes it, and it is not replicated; create it on the target, then: pgibex add"

// leftOut are the tables of the source that the configuration includes and the stream does not carry, by name.
func (r *Replicator) leftOut(now *catalog.Catalog, relations []state.Relation) (names []catalog.Name) {
	for name, t := range now.Tables {
		carried := slices.ContainsFunc(relations, func(relation state.Relation) bool { return relation.Name == name })
		if t.Kind == catalog.Ordinary && !carried && r.config.Tables.Selects(name.Schema, name.Relation) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, catalog.Name.Compare)
	return names
}

// mark reads the source's position, and whether a daemon carries the stream.
func (r *Replicator) mark(ctx context.Context) (mark change.Position, carried bool, err error) {
	src, err := r.source.Connect(ctx, "catchup")
	if err != nil {
		return mark, false, err
	}
	defer src.CloseNow()
	if mark, err = r.capture.Now(ctx, src); err != nil {
		return mark, false, err
	}
	dst, err := r.target.Connect(ctx, "catchup")
	if err != nil {
		return mark, false, err
	}
	defer dst.CloseNow()
	carried, err = r.carried(ctx, dst)
	return mark, carried, err
}

// await waits until the daemon has passed the mark, and sets the sequences, which the daemon does only now and then. carried is
// false if the daemon has gone before.
func (r *Replicator) await(ctx context.Context, mark change.Position) (carried bool, err error) {
	dst, err := r.target.Connect(ctx, "catchup")
	if err != nil {
		return false, err
	}
	defer dst.CloseNow()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	var since time.Time
	for {
		if carried, err = r.carried(ctx, dst); err != nil || !carried {
			return carried, err
		}
		passed, err := r.passed(ctx, dst, mark, &since)
		switch {
		case err != nil:
			return true, err
		case passed:
			return true, r.setSequences(ctx, dst)
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-ticker.C:
		}
	}
}

// setSequences sets the target's sequences to what the source's are now.
func (r *Replicator) setSequences(ctx context.Context, dst *pg.Conn) error {
	src, err := r.source.Connect(ctx, "catchup")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return err
	}
	s := &stream{r: r, src: src, dst: dst}
	for _, relation := range relations {
		s.all = append(s.all, &table{name: relation.Name})
	}
	return s.syncSequences(ctx)
}

// passed says whether the daemon has brought the target to the mark, as goal.reached does; since when is kept for it.
func (r *Replicator) passed(ctx context.Context, dst *pg.Conn, mark change.Position, since *time.Time) (bool, error) {
	stream, err := r.store.Stream(ctx, dst)
	if errors.Is(err, state.ErrMissing) { // the daemon is still installing
		return false, nil
	}
	if err != nil {
		return false, err
	}
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return false, err
	}
	together := true
	for _, relation := range relations {
		switch {
		case relation.State == state.Quarantined, relation.State == state.Streaming && relation.Position.IsZero():
		case relation.State != state.Streaming, !relation.Position.Snapshot.Covers(mark.Snapshot):
			return false, nil
		default:
			together = false
		}
	}
	if !stream.Position.Snapshot.Covers(mark.Snapshot) {
		return false, nil
	}
	if since.IsZero() {
		*since = time.Now()
	}
	return together || time.Since(*since) > togetherWithin, nil
}
