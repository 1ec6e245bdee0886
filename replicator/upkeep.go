package replicator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/snapshot"
)

// upkeep remembers when what was last done.
type upkeep struct {
	sequences, drift, foreignKeys time.Time
	set                           map[catalog.Name]sequenceValue // as the target has them
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
	foreignKeysEvery = 10 * time.Second
)

// maintain does what is due between two batches. view is the one just applied, nil if nothing had happened.
func (s *stream) maintain(ctx context.Context, view *capture.View) error {
	if err := s.purge(ctx, view); err != nil {
		return err
	}
	if time.Since(s.upkeep.drift) > driftEvery {
		s.upkeep.drift = time.Now()
		if err := s.lookForDrift(ctx); err != nil {
			return err
		}
	}
	if time.Since(s.upkeep.sequences) > sequenceEvery {
		s.upkeep.sequences = time.Now()
		err := s.syncSequences(ctx)
		switch state := pg.State(err); {
		case state == pg.QueryCanceled, state == pg.UndefinedTable: // locked, or dropped meanwhile: next time
			s.r.log.Debug("sequences can not be read now", "error", err)
		case err != nil:
			return err
		}
	}
	if s.goal.mark == nil && !s.validating.Load() && time.Since(s.upkeep.foreignKeys) > foreignKeysEvery && s.consistent() {
		s.upkeep.foreignKeys = time.Now()
		return s.foreignKeys(ctx)
	}
	return nil
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

// lookForDrift sets tables aside that others have changed on the source so that their deltas can not be trusted, and
// reports tables that have come.
func (s *stream) lookForDrift(ctx context.Context) error {
	now, err := catalog.Load(ctx, s.src)
	if err != nil {
		return err
	}
	var captured []capture.Table
	for _, t := range s.all {
		if !s.aside[t.number] {
			captured = append(captured, t.captured)
		}
	}
	drift, err := s.r.capture.Drift(ctx, s.src, captured, now)
	if err != nil {
		return err
	}
	for number, why := range drift {
		t := s.tables[number]
		if t == nil { // it is being copied, or drains: whoever does so has to let go of it first
			return fmt.Errorf("%w: %s", errAnew, why)
		}
		if err := s.setAside(ctx, t, why, false); err != nil {
			return err
		}
	}
	return s.lookForNew(now)
}

// lookForNew reports tables that have come and that the configuration includes, or begins anew to take them in, once each.
func (s *stream) lookForNew(now *catalog.Catalog) error {
	for name, t := range now.Tables {
		known := slices.ContainsFunc(s.all, func(k *table) bool { return k.name == name })
		if t.Kind != catalog.Ordinary || known || s.r.reported[name] || !s.r.config.Tables.Selects(name.Schema, name.Relation) {
			continue
		}
		s.r.reported[name] = true
		if s.r.config.Tables.New == config.AddNew {
			return fmt.Errorf("%w: %s has come", errAnew, name)
		}
		s.r.log.Warn("the configuration includes a table that is not replicated; create it on the target, then: pgibex add "+name.String(), "table", name.String())
	}
	return nil
}

// foreignKeys makes those that were dropped for the copy, when the target's tables show one state of the source. Each is
// added unchecked, between two batches, and then checked on the side.
func (s *stream) foreignKeys(ctx context.Context) error {
	definitions, err := s.addForeignKeys(ctx)
	if pg.State(err) == pg.LockNotAvailable {
		s.r.log.Warn("a foreign key waits for a lock on the target; will try again", "error", err)
		return nil
	}
	if err == nil && len(definitions) > 0 {
		s.validating.Store(true)
		s.drains.Go(func() error {
			defer s.validating.Store(false)
			return s.r.validate(ctx, definitions)
		})
	}
	return err
}

// addForeignKeys adds those that are not there, unchecked, and returns those to be checked.
func (s *stream) addForeignKeys(ctx context.Context) (added []snapshot.Definition, err error) {
	definitions, err := s.r.loader.Definitions(ctx, s.dst, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range definitions {
		err := s.r.loader.AddForeignKey(ctx, s.dst, d)
		if pg.Rejected(err) { // the table it refers to may be in quarantine, without its primary key
			err = s.r.failForeignKey(ctx, s.dst, d, err)
		} else if err == nil {
			added = append(added, d)
		}
		if err != nil {
			return nil, err
		}
	}
	return added, nil
}

// validate checks foreign keys. One that does not hold is said, and stays as it is: rows that the source has are not
// refused on the target.
func (r *Replicator) validate(ctx context.Context, definitions []snapshot.Definition) error {
	dst, err := r.target.Connect(ctx, "validate")
	if err != nil {
		return err
	}
	defer dst.CloseNow()
	for _, d := range definitions {
		err := r.loader.ValidateForeignKey(ctx, dst, d)
		if pg.Rejected(err) && ctx.Err() == nil {
			err = r.failForeignKey(ctx, dst, d, err)
		}
		if err != nil {
			return err
		}
	}
	if len(definitions) > 0 {
		r.log.Info("foreign keys built", "count", len(definitions))
	}
	return nil
}

// failForeignKey notes and says that a foreign key can not be built.
func (r *Replicator) failForeignKey(ctx context.Context, dst *pg.Conn, d snapshot.Definition, cause error) error {
	r.log.Warn("a foreign key of the target can not be built, or stays NOT VALID; it is tried again at the next start", "error", cause)
	return r.loader.Fail(ctx, dst, d, cause)
}

type sequenceValue struct {
	last   int64
	called bool
}

// syncSequences sets the target's sequences that have moved. Sequences move outside of transactions, on either side.
func (s *stream) syncSequences(ctx context.Context) error {
	sequences, err := s.selectedSequences(ctx)
	if err != nil || len(sequences) == 0 {
		return err
	}
	if s.upkeep.set == nil {
		target, err := readSequences(ctx, s.dst, sequences)
		if err != nil {
			return err
		}
		s.upkeep.set = target
	}
	values, err := readSequences(ctx, s.src, sequences)
	if err != nil {
		return err
	}
	for name, value := range values {
		if s.upkeep.set[name] == value {
			continue
		}
		if _, err := s.dst.Exec(ctx, "SELECT pg_catalog.setval($1::text::pg_catalog.regclass, $2, $3)", name.SQL(), value.last, value.called); err != nil {
			return fmt.Errorf("set sequence %s: %w", name, err)
		}
		s.upkeep.set[name] = value
	}
	return nil
}

// selectedSequences are those that exist on both sides and belong to a table of the stream, or to none and are
// included by the configuration themselves.
func (s *stream) selectedSequences(ctx context.Context) ([]catalog.Name, error) {
	source, err := catalog.Sequences(ctx, s.src)
	if err != nil {
		return nil, err
	}
	target, err := catalog.Sequences(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	var names []catalog.Name
	for _, sequence := range source {
		owned := sequence.Owner != catalog.Name{}
		mine := owned && slices.ContainsFunc(s.all, func(t *table) bool { return t.name == sequence.Owner }) ||
			!owned && s.r.config.Tables.Selects(sequence.Schema, sequence.Relation)
		there := slices.ContainsFunc(target, func(other catalog.Sequence) bool { return other.Name == sequence.Name })
		switch {
		case mine && there:
			names = append(names, sequence.Name)
		case mine && !s.upkeep.reported[sequence.String()]:
			s.upkeep.report(sequence.String())
			s.r.log.Warn("a sequence is missing on the target and is not set; create it there", "sequence", sequence.Name.String())
		}
	}
	return names, nil
}

func readSequences(ctx context.Context, conn *pg.Conn, names []catalog.Name) (map[catalog.Name]sequenceValue, error) {
	values := map[catalog.Name]sequenceValue{}
	for some := range slices.Chunk(names, 100) {
		selects := make([]string, len(some))
		for i, name := range some {
			selects[i] = fmt.Sprintf("SELECT %d, last_value, is_called FROM %s", i, name.SQL())
		}
		err := conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			// TRUNCATE … RESTART IDENTITY and ALTER SEQUENCE lock a sequence until they are committed.
			if err := conn.Run(ctx, "SET LOCAL statement_timeout = '1s'"); err != nil {
				return err
			}
			rows, err := conn.Query(ctx, strings.Join(selects, " UNION ALL "))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var i int
				var value sequenceValue
				if err := rows.Scan(&i, &value.last, &value.called); err != nil {
					return err
				}
				values[some[i]] = value
			}
			return rows.Err()
		})
		if err != nil {
			return nil, fmt.Errorf("read sequences of the %s: %w", conn.Side, err)
		}
	}
	return values, nil
}
