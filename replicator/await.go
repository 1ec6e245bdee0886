package replicator

import (
	"context"
	"errors"
	"time"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// await waits until the daemon has passed the mark, and has set the sequences since, which it does now and then. carried is false if the
// daemon has gone before.
func (r *Replicator) await(ctx context.Context, mark change.Position) (carried bool, err error) {
	dst, err := r.target.Connect(ctx, "catchup")
	if err != nil {
		return false, err
	}
	defer dst.CloseNow()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	p := passage{mark: mark, draining: map[int]string{}}
	told, looked, passed, asked := map[int]string{}, time.Now(), false, false
	for {
		if carried, err = r.carried(ctx, dst); err != nil || !carried {
			return carried, err
		}
		if !passed {
			if passed, err = r.passed(ctx, dst, &p); err != nil {
				return true, err
			}
		}
		switch {
		case !passed && time.Since(looked) > time.Second:
			looked = time.Now()
			if err := r.tellLocked(ctx, dst, told); err != nil {
				return true, err
			}
		case passed && !asked:
			asked = true
			if set, err := r.sequencesSet(ctx, dst); err != nil || set {
				return true, err
			}
		}
		if passed {
			stream, err := r.store.Stream(ctx, dst)
			if err != nil || !stream.SequencesAt.Before(mark.Clock) {
				return true, err
			}
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-ticker.C:
		}
	}
}

// tellLocked names who holds tables that the daemon waits for, each time others do.
func (r *Replicator) tellLocked(ctx context.Context, dst *pg.Conn, told map[int]string) error {
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return err
	}
	locked, err := r.lockedBy(ctx, dst, relations)
	if err != nil {
		return err
	}
	for _, relation := range relations {
		holders := locked[relation.Number]
		if who := transactions(holders); who != told[relation.Number] {
			told[relation.Number] = who
			if who != "" {
				r.log.Warn("waiting for a table that is locked on the target", "table", relation.Name.String(), "by", words(holders))
			}
		}
	}
	return nil
}

// passage is how the target comes to have everything up to a mark while a daemon carries the stream.
type passage struct {
	mark     change.Position
	since    time.Time      // each table has had it
	draining map[int]string // tables that were in the midst of a drain after togetherWithin, with their positions then
}

// passed says whether the daemon has brought the target to the mark, as goal.reached does: whether it shows one state of the source there
// or beyond, or each table has been whole there.
func (r *Replicator) passed(ctx context.Context, dst *pg.Conn, p *passage) (bool, error) {
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
	var apart []state.Relation
	for _, relation := range relations {
		switch {
		case relation.State == state.Quarantined, relation.State == state.Streaming && relation.Position.IsZero():
		case relation.State != state.Streaming, !relation.Position.Snapshot.Covers(p.mark.Snapshot):
			return false, nil
		default:
			apart = append(apart, relation)
		}
	}
	if !stream.Position.Snapshot.Covers(p.mark.Snapshot) {
		return false, nil
	}
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if len(apart) == 0 || time.Since(p.since) <= togetherWithin {
		return len(apart) == 0, nil
	}
	return r.whole(ctx, dst, p, apart)
}

// whole says whether each of the tables was out of a drain since it had everything: in the midst of one it lacks rows that it had before, and
// while the application writes at full speed the next may follow at once.
func (r *Replicator) whole(ctx context.Context, dst *pg.Conn, p *passage, apart []state.Relation) (bool, error) {
	left, err := drainLeft(ctx, r.store, dst)
	if err != nil {
		return false, err
	}
	all := true
	for _, relation := range apart {
		if _, draining := left[relation.Number]; !draining {
			continue
		}
		now := relation.Position.Snapshot.String()
		if _, met := p.draining[relation.Number]; !met {
			p.draining[relation.Number] = now
		}
		all = all && p.draining[relation.Number] != now
	}
	return all, nil
}
