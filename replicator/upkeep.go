package replicator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/state"
)

// upkeep remembers when what was last done.
type upkeep struct {
	sequences, drift, foreignKeys time.Time
	sequenceCount                 int
	counted                       time.Time
	applied                       bool                       // something, since it was counted
	locked                        map[catalog.Name]time.Time // sequences, and since when that is known
	idle                          map[int]idleness
	reported                      map[string]bool
}

// report notes that something was said, which is said once.
func (u *upkeep) report(name string) {
	if u.reported == nil {
		u.reported = map[string]bool{}
	}
	u.reported[name] = true
}

// idleness is since when a table's active segment has not grown.
type idleness struct {
	size  int64
	since time.Time
}

const (
	// switchSize is the size in bytes of an active segment from which another is made active: a poll reads all of it.
	switchSize = 1 << 20
	// idleSwitch: a segment that has not grown for so long is left as well, so that a quiet table costs a poll nothing.
	idleSwitch       = time.Minute
	driftEvery       = 30 * time.Second
	sequenceEvery    = 5 * time.Second
	maxSequenceEvery = time.Minute
	foreignKeysEvery = 10 * time.Second
)

// maintain does what is due between two batches. view is the one just applied, nil if nothing had happened.
func (s *stream) maintain(ctx context.Context, view *capture.View) error {
	if err := s.purge(ctx, view); err != nil {
		return err
	}
	if s.upkeep.applied && time.Since(s.upkeep.counted) > countEvery {
		if err := s.recount(ctx); err != nil {
			return err
		}
	}
	if time.Since(s.upkeep.drift) > driftEvery {
		s.upkeep.drift = time.Now()
		if err := s.lookForDrift(ctx); err != nil {
			return err
		}
	}
	if time.Since(s.upkeep.sequences) > sequencePause(s.upkeep.sequenceCount) {
		s.upkeep.sequences = time.Now()
		if _, err := s.setSequences(ctx); err != nil {
			return err
		}
	}
	if s.goal.mark == nil && !s.validating.Load() && time.Since(s.upkeep.foreignKeys) > foreignKeysEvery && s.consistent() {
		s.upkeep.foreignKeys = time.Now()
		return s.foreignKeys(ctx)
	}
	return nil
}

// sequencePause is the time between two looks at so many sequences. One costs the source some 0.15 ms of CPU, of which it is to be a fiftieth.
func sequencePause(count int) time.Duration {
	return min(max(sequenceEvery, time.Duration(count)*7500*time.Microsecond), maxSequenceEvery)
}

// countEvery bounds how old a copy of the source may be without being told from the source itself.
const countEvery = 10 * time.Second

// recount writes to both sides that the target has more of the source. A copy of the source from before, put back, may by then have given the
// numbers of the transactions that it lacks to others, and nothing else would tell. Tables that are apart do not keep it from that; where one
// of them is about to change a segment it is for the next time.
func (s *stream) recount(ctx context.Context) error {
	if done, err := s.r.capture.Retake(ctx, s.src); err != nil || !done {
		return err
	}
	s.upkeep.counted, s.upkeep.applied = time.Now(), false
	return s.r.store.SetSourceGeneration(ctx, s.dst, s.r.capture.Generation(), s.position.WAL)
}

// consistent says whether all tables equal the source at one snapshot.
func (s *stream) consistent() bool {
	if s.waiting > 0 || len(s.draining) > 0 {
		return false
	}
	for _, t := range s.tables {
		if !t.position.IsZero() || t.state != state.Streaming {
			return false
		}
	}
	return true
}

// purge empties segments that are applied and switches those that have grown.
func (s *stream) purge(ctx context.Context, view *capture.View) error {
	if s.upkeep.idle == nil {
		s.upkeep.idle = map[int]idleness{}
	}
	if err := s.r.capture.LookForReaders(ctx, s.src, s.logs()); err != nil {
		return err
	}
	for _, t := range s.tables {
		if t.state != state.Streaming {
			continue
		}
		applied := t.at(s.persisted).Snapshot
		if view != nil {
			if err := s.r.capture.ForgetTruncations(ctx, s.src, view, t.log, applied); err != nil {
				return err
			}
		}
		if err := s.r.capture.Empty(ctx, s.src, t.log, applied); err != nil {
			return err
		}
		size := t.log.ActiveSize()
		if idle := s.upkeep.idle[t.number]; idle.size != size {
			s.upkeep.idle[t.number] = idleness{size, time.Now()}
		}
		if size >= switchSize || size > 0 && time.Since(s.upkeep.idle[t.number].since) > idleSwitch {
			if err := s.r.capture.Switch(ctx, s.src, t.log); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookForDrift sets tables aside that others have changed on either side so that they cannot follow the source, begins again where the
// target's columns are others and still fit, and reports tables that have come.
func (s *stream) lookForDrift(ctx context.Context) error {
	now := &sides{src: s.src, dst: s.dst}
	err := now.read(ctx, s.r.capture)
	if err != nil {
		return err
	}
	var again error
	for _, t := range s.all {
		var err error
		why, target := now.judge(s.relation(t)), now.target.Tables[t.name]
		switch {
		case why == nil && t.load.Target != nil && reshaped(t.load.Target, target):
			again = fmt.Errorf("%w: the columns of %s on the target are others", errAnew, t.name)
		case why == nil:
		case s.aside[t.number]:
			err = s.r.judgeAgain(ctx, s.dst, t, t.at(s.position), why)
		case s.tables[t.number] == nil: // it is being copied, or drains: whoever does so has to let go of it first
			again = fmt.Errorf("%w: %w", errAnew, why)
		default:
			err = s.setAside(ctx, t, why, false)
		}
		if err != nil {
			return fmt.Errorf("set %s aside: %w", t.name, err)
		}
	}
	if again != nil {
		return again
	}
	if now.warnings, err = firing(ctx, s.dst, now.target, s.carries); err != nil {
		return err
	}
	s.r.warn(now)
	return s.lookForNew(ctx, now.source)
}

func (s *stream) carries(name catalog.Name) bool {
	return slices.ContainsFunc(s.all, func(known *table) bool { return known.name == name })
}

// relation is a table as this process has it. One that another goroutine has at the moment counts as one being copied: its key may be missing.
func (s *stream) relation(t *table) state.Relation {
	relation := state.Relation{Number: t.number, Name: t.name, State: state.Copying, TargetOID: t.oid}
	if t.load.Target != nil {
		relation.TargetOID = t.load.Target.OID
	}
	switch {
	case s.aside[t.number]:
		relation.State, relation.Reason, relation.Remedy = state.Quarantined, t.reason, ""
	case s.tables[t.number] != nil:
		relation.State = t.state
	}
	return relation
}

// lookForNew reports tables that have come and that the configuration includes, or begins anew to take them in, once each.
func (s *stream) lookForNew(ctx context.Context, now *catalog.Catalog) error {
	for _, name := range s.r.leftOut(now, s.carries) {
		if s.r.reported[name] {
			continue
		}
		if s.r.config.Tables.New == config.AddNew {
			var there bool
			if err := s.dst.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", name.SQL()).Scan(&there); err != nil {
				return err
			}
			if there {
				s.r.reported[name] = true
				return fmt.Errorf("%w: %s has come", errAnew, name)
			}
			if s.upkeep.reported[name.String()] {
				continue
			}
			s.upkeep.report(name.String())
		} else {
			s.r.reported[name] = true
		}
		s.r.log.Warn("the configuration includes a table that is not replicated; create it on the target, then: pgibex add "+name.String(), "table", name.String())
	}
	return nil
}
