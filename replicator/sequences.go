package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/sequence"
	"github.com/pgibex/pgibex/internal/state"
)

// wanted are the sequences of the source that belong to a stream of these tables: those that a column of theirs owns or draws from, and
// free ones that the configuration includes. One that it excludes by its very name is left out.
func (r *Replicator) wanted(carried func(catalog.Name) bool) func(*sequence.Sequence) bool {
	ofTables := r.wantedBy(carried)
	return func(s *sequence.Sequence) bool {
		return ofTables(s) || s.Free() && r.config.Tables.Selects(s.Schema, s.Relation)
	}
}

// wantedBy are those of wanted that a column of the tables owns or draws from.
func (r *Replicator) wantedBy(carried func(catalog.Name) bool) func(*sequence.Sequence) bool {
	return func(s *sequence.Sequence) bool {
		return !r.config.Tables.ExcludesByName(s.Schema, s.Relation) && (carried(s.Owner) || slices.ContainsFunc(s.Users, carried))
	}
}

// lockedFor is how long a sequence may be locked before that is said: most locks pass at once.
const lockedFor = 4 * time.Second

// setSequences sets the target's sequences where the source's have moved since they were last read. Sequences move outside of transactions,
// on either side. One that cannot be set is set aside with its reason until it can. locked says whether one is locked, and was not for long.
func (s *stream) setSequences(ctx context.Context) (locked bool, err error) {
	r := s.r
	now, err := r.capture.Now(ctx, s.src)
	if err != nil {
		return false, err
	}
	memories, err := r.store.Sequences(ctx, s.dst)
	if err != nil {
		return false, err
	}
	carried := make(map[catalog.Name]bool, len(s.all))
	for _, t := range s.all {
		carried[t.name] = true
	}
	pairs, err := sequence.Look(ctx, s.src, s.dst, r.wanted(func(name catalog.Name) bool { return carried[name] }))
	if err != nil {
		return false, err
	}
	s.upkeep.sequenceCount = len(pairs)
	aside := map[catalog.Name]error{}
	var set, note []*sequence.Pair
	for _, p := range pairs {
		m := memories[p.Name()]
		if why := p.Problem(); why != nil {
			aside[p.Name()] = why
			continue
		}
		switch verdict := p.Decide(m); {
		case verdict == sequence.Set:
			set = append(set, p)
		case m.Reason != "" || m.Setting != nil || m.Source == nil || *m.Source != p.Source.Value:
			if verdict == sequence.Ahead && m.Source == nil {
				r.log.Warn("a sequence of the target is ahead of the source's and is left as it stands", "sequence", p.Name().String(),
					"source", p.Source.Value.String(), "target", p.Target.Value.String())
			}
			note = append(note, p)
		}
	}
	if err := s.set(ctx, set, aside); err != nil {
		return false, err
	}
	locked = s.upkeep.forgiveLocked(aside, memories)
	err = r.store.Within(ctx, s.dst, func(ctx context.Context) error {
		if err := r.store.NoteSequences(ctx, s.dst, note); err != nil {
			return err
		}
		for name, why := range aside {
			if m := memories[name]; m.Reason == why.Error() && m.Remedy == hint.Of(why) {
				continue
			}
			if err := r.store.SetAsideSequence(ctx, s.dst, name, why); err != nil {
				return err
			}
		}
		if err := r.store.ForgetReasons(ctx, s.dst, pairs); err != nil || locked {
			return err
		}
		return r.store.SequencesRead(ctx, s.dst, now.Clock)
	})
	if err == nil {
		r.tellSequences(aside, memories, pairs)
	}
	return locked, err
}

// set sets sequences, as many at once as the target's locks allow, and puts aside those that the target refuses.
func (s *stream) set(ctx context.Context, pairs []*sequence.Pair, aside map[catalog.Name]error) error {
	const together = 100
	for some := range slices.Chunk(pairs, together) {
		if err := s.r.store.IntendSequences(ctx, s.dst, some); err != nil {
			return err
		}
		err := s.r.store.SetSequences(ctx, s.dst, some)
		if err != nil && sequence.Concerns(s.dst, err) {
			err = s.setSingly(ctx, some, aside)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) setSingly(ctx context.Context, pairs []*sequence.Pair, aside map[catalog.Name]error) error {
	for i, p := range pairs {
		err := s.r.store.SetSequences(ctx, s.dst, pairs[i:i+1])
		switch {
		case err == nil:
		case !sequence.Concerns(s.dst, err):
			return err
		case pg.State(err) == pg.LockNotAvailable:
			aside[p.Name()] = hint.With(fmt.Errorf("%w on the target", sequence.ErrLocked), "it is set once the lock is gone")
		default:
			aside[p.Name()] = hint.With(fmt.Errorf("cannot be set to %s on the target: %w", p.Source.Value, err), "mend the cause on the target; it is tried again every few seconds")
		}
	}
	return nil
}

// forgiveLocked takes those out of aside that are locked, but not for long, and says whether there are any.
func (u *upkeep) forgiveLocked(aside map[catalog.Name]error, memories map[catalog.Name]sequence.Memory) (some bool) {
	since := map[catalog.Name]time.Time{}
	for name, why := range aside {
		if !errors.Is(why, sequence.ErrLocked) {
			continue
		}
		since[name] = time.Now()
		if before, there := u.locked[name]; there {
			since[name] = before
		}
		if time.Since(since[name]) < lockedFor && memories[name].Reason == "" {
			delete(aside, name)
			some = true
		}
	}
	u.locked = since
	return some
}

// tellSequences says which sequences are set aside, or are no longer, where that has changed.
func (r *Replicator) tellSequences(aside map[catalog.Name]error, memories map[catalog.Name]sequence.Memory, pairs []*sequence.Pair) {
	for _, p := range pairs {
		before, why := memories[p.Name()].Reason, aside[p.Name()]
		switch {
		case why != nil && why.Error() != before:
			r.log.Warn("a sequence is not set on the target; everything else goes on", "sequence", p.Name().String(), "reason", why.Error(), "remedy", hint.Of(why))
		case why == nil && before != "" && p.Problem() == nil:
			r.log.Info("a sequence is set again", "sequence", p.Name().String(), "was", before)
		}
	}
}

// setSequencesLast sets them exactly, as far as they can be: locks are waited for as long as they are forgiven.
func (s *stream) setSequencesLast(ctx context.Context) error {
	for {
		locked, err := s.setSequences(ctx)
		if err != nil || !locked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lookAtSequences reads both sides, and what the stream remembers.
func (r *Replicator) lookAtSequences(ctx context.Context, src, dst *pg.Conn, relations []state.Relation) ([]*sequence.Pair, map[catalog.Name]sequence.Memory, error) {
	memories, err := r.store.Sequences(ctx, dst)
	if err != nil {
		return nil, nil, err
	}
	pairs, err := sequence.Look(ctx, src, dst, r.wanted(carriedBy(relations)))
	return pairs, memories, err
}

// sequencesSet says whether no sequence of the target has to be set, as both sides are now.
func (r *Replicator) sequencesSet(ctx context.Context, dst *pg.Conn) (bool, error) {
	src, err := r.source.Connect(ctx, "catchup")
	if err != nil {
		return false, err
	}
	defer src.CloseNow()
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return false, err
	}
	pairs, memories, err := r.lookAtSequences(ctx, src, dst, relations)
	return !slices.ContainsFunc(pairs, func(p *sequence.Pair) bool {
		return p.Problem() != nil || p.Decide(memories[p.Name()]) == sequence.Set
	}), err
}

// unsetSequence is one that the stream ought to carry and does not.
type unsetSequence struct {
	catalog.Name
	why error
}

func (u unsetSequence) String() string {
	text := fmt.Sprintf("%s: sequence %s", u.Name, u.why)
	if remedy := hint.Of(u.why); remedy != "" {
		text += "; " + remedy
	}
	return text
}

// unsetSequences are, by name, the sequences that cannot be carried over as both sides are now, or could not when it was last tried.
func (r *Replicator) unsetSequences(ctx context.Context, src, dst *pg.Conn, relations []state.Relation) (unset []unsetSequence, err error) {
	pairs, memories, err := r.lookAtSequences(ctx, src, dst, relations)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if why := lacking(p, memories[p.Name()]); why != nil {
			unset = append(unset, unsetSequence{p.Name(), why})
		}
	}
	return unset, nil
}

// lacking says why a sequence is not set. One that is locked just now may well be.
func lacking(p *sequence.Pair, m sequence.Memory) error {
	why := p.Problem()
	if why != nil && !errors.Is(why, sequence.ErrLocked) {
		return why
	}
	if m.Reason != "" && (why != nil || p.Decide(m) == sequence.Set) {
		return hint.With(errors.New(m.Reason), "%s", m.Remedy)
	}
	return nil
}
