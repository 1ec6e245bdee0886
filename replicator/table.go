package replicator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/snapshot"
)

// table is one table of the stream as this process knows it. At any time it belongs to one goroutine: the loader while it
// is captured or copying, then the stream, and in between a drain.
type table struct {
	number   int
	name     catalog.Name
	state    state.State
	reason   string
	method   state.Method    // how it is copied
	position change.Position // its own; zero while it shares the stream's

	captured capture.Table
	load     snapshot.Table
	apply    *apply.Table
	log      *capture.Log
	backlog  int64 // bytes, while it drains
	drains   bool  // a drain is under way

	conflicts int // in a row, of a table without a key
}

// known puts together what both sides know of each table, and sets aside those that drifted while nobody looked.
func (r *Replicator) known(ctx context.Context, s *sides) ([]*table, error) {
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	if err := s.loadSource(ctx, r.capture); err != nil { // to install may have taken hours
		return nil, err
	}
	byNumber := map[int]capture.Table{}
	for _, c := range s.captured {
		byNumber[c.Number] = c
	}
	var tables []*table
	logged := map[int]*catalog.Table{}
	for _, relation := range relations {
		t := &table{number: relation.Number, name: relation.Name, state: relation.State, reason: relation.Reason, method: relation.Method, position: relation.Position}
		tables = append(tables, t)
		if t.state == state.Quarantined {
			if err := r.judgeAgain(ctx, s.dst, t, t.at(s.position), s.drift[t.number]); err != nil {
				return nil, err
			}
			continue
		}
		captured, there := byNumber[t.number]
		why := s.unfit(t, captured, there)
		if why == nil {
			if why = moved(relation); why == nil {
				why = s.misfit(captured, t.state, t.method)
			}
		}
		if why != nil {
			if err := r.quarantine(ctx, s.dst, t, t.at(s.position), why, false); err != nil {
				return nil, err
			}
			continue
		}
		t.wire(captured, s)
		logged[t.number] = t.load.Source
	}
	logs, err := r.capture.Logs(ctx, s.src, logged)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		t.log = logs[t.number]
		if t.log == nil && t.state != state.Quarantined {
			return nil, fmt.Errorf("%s: its delta segments have gone: %w", t.name, capture.ErrChanged)
		}
	}
	return tables, nil
}

// wire joins the source's table, as captured, with the target's.
func (t *table) wire(captured capture.Table, s *sides) {
	target := s.target.Tables[t.name]
	source := captured.Captured(s.source.Tables[t.name], generated(target)...)
	t.captured = captured
	t.load = snapshot.Table{Number: t.number, Source: source, Target: target, Method: t.method}
	t.wireApply(s.target)
}

// wireApply makes the statements that apply deltas. While the table is being copied the index they go by may be missing.
func (t *table) wireApply(target *catalog.Catalog) {
	t.load.Target = target.Tables[t.name]
	if catalog.Keyless(t.load.Source, t.load.Target) == "" {
		t.apply = apply.NewTable(t.number, t.load.Source, t.load.Target)
	}
}

func (t *table) setMethod(method state.Method) { t.method, t.load.Method = method, method }

// generated are the columns that the target computes itself.
func generated(target *catalog.Table) (names []string) {
	for _, c := range target.Columns {
		if c.Generated {
			names = append(names, c.Name)
		}
	}
	return names
}

// unfit says why a table cannot be followed as the source is now, with what mends it.
func (s *sides) unfit(t *table, captured capture.Table, there bool) error {
	switch {
	case !there:
		return notCaptured(t.name)
	case captured.Name != t.name:
		return hint.With(fmt.Errorf("the source captures %s under its number", captured.Name), "pgibex resync %s", t.name)
	case s.drift[t.number] != nil:
		return s.drift[t.number]
	}
	return nil
}

func notCaptured(name catalog.Name) error {
	return hint.With(errors.New("the source no longer captures it"), "pgibex resync %s", name)
}

// misfit says why a captured table cannot be written to the target as the target is now.
func (s *sides) misfit(captured capture.Table, in state.State, how state.Method) error {
	target := s.target.Tables[captured.Name]
	if target == nil {
		return goneThere(captured.Name)
	}
	source := captured.Captured(s.source.Tables[captured.Name], generated(target)...)
	why := ""
	if problems, _ := catalog.Fit(source, target); len(problems) > 0 {
		why = problems[0]
	} else if in != state.Captured && in != state.Copying || how == state.Repair { // else its indexes may be dropped for the copy
		why = catalog.Keyless(source, target)
	}
	if why == "" {
		return nil
	}
	return hint.With(errors.New(why), "when that is mended: pgibex resync %s", captured.Name)
}

// What is told of a table while a command works on it.
const (
	beingCaptured = "it is being captured anew"
	beingRemoved  = "it is being removed from the stream"
)

// judgeAgain replaces the reason of a table in quarantine by what others have done to it on the source since: its remedy is another.
func (r *Replicator) judgeAgain(ctx context.Context, dst *pg.Conn, t *table, at change.Position, drift error) error {
	if drift == nil || drift.Error() == t.reason || strings.HasSuffix(t.reason, beingCaptured) || strings.HasSuffix(t.reason, beingRemoved) {
		return nil
	}
	return r.quarantine(ctx, dst, t, at, drift, false)
}

// quarantine sets a table aside with a reason, and says so. at is the position up to which it has been applied.
func (r *Replicator) quarantine(ctx context.Context, dst *pg.Conn, t *table, at change.Position, why error, resumable bool) error {
	if hint.Of(why) == "" {
		why = hint.With(why, "mend the cause, then: pgibex resync %s; or exclude it, then: pgibex remove %s", t.name, t.name)
	}
	if err := r.store.Quarantine(ctx, dst, t.number, why, resumable, at); err != nil {
		return err
	}
	t.state, t.reason, t.position = state.Quarantined, why.Error(), at
	r.log.Error("table quarantined; the others go on without it", "table", t.name.String(), "reason", t.reason, "remedy", hint.Of(why))
	return nil
}

// at is the position up to which the table is applied, given the stream's.
func (t *table) at(stream change.Position) change.Position {
	if t.position.IsZero() {
		return stream
	}
	return t.position
}
