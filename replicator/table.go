package replicator

import (
	"context"
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
	oid      uint32          // of the target's table that has its rows, as the state has it

	load    snapshot.Table
	apply   *apply.Table
	log     *capture.Log
	backlog int64 // bytes, while it drains
	drains  bool  // a drain is under way

	conflicts int // in a row, of a table without a key
}

// known puts together what both sides know of each table, and sets aside those that drifted while nobody looked.
func (r *Replicator) known(ctx context.Context, s *sides) ([]*table, error) {
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	if err := s.load(ctx, r.capture); err != nil { // to install may have taken hours
		return nil, err
	}
	byNumber := map[int]capture.Table{}
	for _, c := range s.captured {
		byNumber[c.Number] = c
	}
	var tables []*table
	logged := map[int]*catalog.Table{}
	for _, relation := range relations {
		t := &table{number: relation.Number, name: relation.Name, state: relation.State, reason: relation.Reason, method: relation.Method, position: relation.Position, oid: relation.TargetOID}
		tables = append(tables, t)
		why := s.judge(relation)
		if t.state == state.Quarantined {
			if err := r.judgeAgain(ctx, s.dst, t, t.at(s.position), why); err != nil {
				return nil, err
			}
			continue
		}
		if why != nil {
			if err := r.quarantine(ctx, s.dst, t, t.at(s.position), why, false); err != nil {
				return nil, err
			}
			continue
		}
		t.wire(byNumber[t.number], s)
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
	if target == nil {
		return nil
	}
	for _, c := range target.Columns {
		if c.Generated {
			names = append(names, c.Name)
		}
	}
	return names
}

// judgeAgain replaces the reason of a table in quarantine by what is wrong with it now: the remedy is another.
func (r *Replicator) judgeAgain(ctx context.Context, dst *pg.Conn, t *table, at change.Position, why error) error {
	if why == nil || why.Error() == t.reason {
		return nil
	}
	return r.quarantine(ctx, dst, t, at, why, false)
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
