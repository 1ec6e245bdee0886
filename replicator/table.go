package replicator

import (
	"context"
	"errors"
	"fmt"

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
	drift, err := r.capture.Drift(ctx, s.src, s.captured, s.source)
	if err != nil {
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
			continue
		}
		captured, there := byNumber[t.number]
		why := drift[t.number]
		switch {
		case !there:
			why = "the source no longer captures it"
		case captured.Name != t.name:
			why = fmt.Sprintf("the source captures %s under its number", captured.Name)
		}
		if why == "" {
			why = s.misfit(captured, t.state, t.method)
		}
		if why != "" {
			if err := r.quarantine(ctx, s.dst, t, t.at(s.position), errors.New(why), false); err != nil {
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

// misfit says why a captured table can not be written to the target as the target is now.
func (s *sides) misfit(captured capture.Table, in state.State, how state.Method) string {
	target := s.target.Tables[captured.Name]
	if target == nil {
		return captured.Name.String() + ": is missing on the target; create it there"
	}
	source := captured.Captured(s.source.Tables[captured.Name], generated(target)...)
	if problems, _ := catalog.Fit(source, target); len(problems) > 0 {
		return problems[0]
	}
	if (in == state.Captured || in == state.Copying) && how != state.Repair { // its indexes may be dropped for the copy
		return ""
	}
	return catalog.Keyless(source, target)
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
