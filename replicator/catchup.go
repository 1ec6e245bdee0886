package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/hint"
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
// the source, or will not soon: then each table is whole.
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
	return s.consistent() || s.leaving() && !s.drainsUnderWay()
}

// leaving says whether the stream is about to end although tables have positions of their own.
func (s *stream) leaving() bool {
	return !s.caughtUp.IsZero() && time.Since(s.caughtUp) > togetherWithin
}

// CaughtUp is what a catch-up did.
type CaughtUp struct {
	Position    change.Position // up to which the target has everything
	Took        time.Duration
	By          string   // who did it: this process, or the daemon that carries the stream
	ForeignKeys int      // of the target, still to be built: its tables do not show one state of the source
	Checks      []string // of the target, that are put off as long as a daemon carries the stream, or the tables do not show one state
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
	result.Position, result.Took = stream.Position, time.Since(start)
	for _, relation := range relations {
		if relation.State != state.Quarantined && !relation.Position.IsZero() {
			result.Position = mark
		}
	}
	failed, err := r.constraintsLeft(ctx, dst, result)
	if err != nil {
		return nil, err
	}
	unset, err := r.notSet(ctx, dst, relations)
	if err != nil {
		return nil, err
	}
	quarantined, missing, err := r.incomplete(ctx, dst, relations)
	if err != nil {
		return nil, err
	}
	unset = append(unset, failed...)
	if len(quarantined) > 0 {
		return result, &listError{"tables in quarantine are not caught up", append(quarantined, unset...)}
	}
	if missing = append(missing, unset...); len(missing) > 0 {
		return result, &listError{"the target does not have everything", missing}
	}
	return result, nil
}

// constraintsLeft notes which constraints the target lacks still, and names what could not be built, with the remedies.
func (r *Replicator) constraintsLeft(ctx context.Context, dst *pg.Conn, result *CaughtUp) (failed []string, err error) {
	definitions, err := r.loader.Definitions(ctx, dst, 0)
	if err != nil {
		return nil, err
	}
	result.ForeignKeys = len(definitions)
	checks, err := r.loader.Checks(ctx, dst, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range checks {
		if d.Failure == "" {
			result.Checks = append(result.Checks, d.PutOff())
		}
	}
	problems, err := r.unbuilt(ctx, dst)
	for _, p := range problems {
		failed = append(failed, p.Reason+"; "+p.Remedy)
	}
	return failed, err
}

// notSet names the sequences that are not set, with reason and remedy.
func (r *Replicator) notSet(ctx context.Context, dst *pg.Conn, relations []state.Relation) (lines []string, err error) {
	src, err := r.source.Connect(ctx, "catchup")
	if err != nil {
		return nil, err
	}
	defer src.CloseNow()
	unset, err := r.unsetSequences(ctx, src, dst, relations)
	for _, s := range unset {
		lines = append(lines, s.String())
	}
	return lines, err
}

// incomplete says why tables may lack something: those in quarantine, and those of which the daemon, which looks for that now and then only,
// does not know it yet.
func (r *Replicator) incomplete(ctx context.Context, dst *pg.Conn, relations []state.Relation) (quarantined, reasons []string, err error) {
	src, err := r.source.Connect(ctx, "catchup")
	if err != nil {
		return nil, nil, err
	}
	defer src.CloseNow()
	now := &sides{src: src, dst: dst}
	if err := now.read(ctx, r.capture); err != nil {
		return nil, nil, err
	}
	for _, relation := range relations {
		why := now.judge(relation)
		switch {
		case why == nil:
		case relation.State == state.Quarantined:
			quarantined = append(quarantined, fmt.Sprintf("%s: %s; %s", relation.Name, why, hint.Of(why)))
		default:
			reasons = append(reasons, fmt.Sprintf("%s: %s; %s", relation.Name, why, hint.Of(why)))
		}
	}
	omitted, err := r.omitted(ctx, src, now.source, carriedBy(relations))
	if err != nil {
		return nil, nil, err
	}
	for _, o := range omitted {
		if o.rows {
			reasons = append(reasons, o.String())
		} else {
			r.log.Warn(o.String())
		}
	}
	slices.Sort(reasons)
	return quarantined, reasons, nil
}

func carriedBy(relations []state.Relation) func(catalog.Name) bool {
	return func(name catalog.Name) bool {
		return slices.ContainsFunc(relations, func(relation state.Relation) bool { return relation.Name == name })
	}
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
