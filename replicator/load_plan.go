package replicator

import (
	"context"
	"slices"

	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/snapshot"
)

// planLoad plans the tables, the largest first, and queues their chunks as they are known.
func (r *Replicator) planLoad(ctx context.Context, tables []*table, q *queue, p *progress, copied chan<- *table) error {
	defer q.planned()
	src, err := r.source.Connect(ctx, "plan")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	dst, err := r.target.Connect(ctx, "plan")
	if err != nil {
		return err
	}
	defer dst.CloseNow()
	sizes := map[int]snapshot.Sizes{}
	for _, t := range tables {
		if sizes[t.number], err = r.loader.Measure(ctx, src, t.load); err != nil {
			return err
		}
	}
	slices.SortFunc(tables, func(a, b *table) int { return int(sizes[b.number].Total>>10) - int(sizes[a.number].Total>>10) })
	tables = slices.Clone(tables)
	for i := 0; i < len(tables); i++ {
		t := tables[i]
		err := r.planTable(ctx, src, dst, t, q, p)
		if pg.Conflict(err) && pg.State(err) == pg.LockNotAvailable && ctx.Err() == nil { // after the others, and again
			if err := r.locks.nameNow(ctx, dst, t, true); err != nil {
				return err
			}
			tables = append(tables, t)
			continue
		}
		if pg.Rejected(err) && ctx.Err() == nil { // dropped or altered meanwhile
			if err := r.quarantine(ctx, dst, t, t.position, err, false); err != nil {
				return err
			}
			p.add(Progress{TablesDone: 1})
			copied <- t
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// planTable queues what is left to copy of a table.
func (r *Replicator) planTable(ctx context.Context, src, dst *pg.Conn, t *table, q *queue, p *progress) error {
	if t.state == state.Captured {
		if t.method == state.Replace && t.load.Source.Key != nil { // it may be half a copy, its indexes dropped
			if err := r.loader.Discard(ctx, dst, t.load); err != nil {
				return err
			}
			t.setMethod(state.Load)
		}
		if err := r.beginCopy(ctx, src, dst, t); err != nil {
			return err
		}
	}
	chunks, several, err := r.loader.Todo(ctx, dst, t.number)
	if err != nil {
		return err
	}
	if len(chunks) > 0 && chunks[0].Filenode != nil && !chunks[0].IsSweep() {
		sizes, err := r.loader.Measure(ctx, src, t.load)
		if err != nil {
			return err
		}
		if sizes.Filenode != *chunks[0].Filenode {
			return r.copyAnew(ctx, src, dst, t, q, p)
		}
	}
	l := &loading{table: t, several: several}
	r.log.Info("copying table", "table", t.name.String(), "chunks", len(chunks), "method", t.method)
	p.add(Progress{Chunks: len(chunks)})
	if t.method == state.Repair {
		q.push(job{t: l, repair: true})
		return nil
	}
	l.left = len(chunks)
	if len(chunks) == 0 {
		q.push(job{t: l})
	}
	for _, chunk := range chunks {
		q.push(job{t: l, chunk: &chunk})
	}
	return nil
}

// copyAnew begins the copy of a table again whose heap is another than was planned.
func (r *Replicator) copyAnew(ctx context.Context, src, dst *pg.Conn, t *table, q *queue, p *progress) error {
	r.log.Warn("a table was rewritten on the source during its copy, which begins anew", "table", t.name.String())
	if t.method == state.Repair {
		err := r.store.Within(ctx, dst, func(ctx context.Context) error { return r.store.CopyAnew(ctx, dst, t.name, t.number, t.method) })
		if err != nil {
			return err
		}
	} else {
		if err := r.loader.Discard(ctx, dst, t.load); err != nil {
			return err
		}
		t.setMethod(state.Load)
	}
	t.state = state.Captured
	return r.planTable(ctx, src, dst, t, q, p)
}

// beginCopy plans the copy of a table. The position comes first: whatever is committed before it must lie within the table as
// it is measured then, and whatever is committed later is in the deltas.
func (r *Replicator) beginCopy(ctx context.Context, src, dst *pg.Conn, t *table) error {
	from, err := r.capture.Now(ctx, src)
	if err == nil {
		err = r.capture.Flush(ctx, src, from.WAL.LSN)
	}
	if err != nil {
		return err
	}
	sizes, err := r.loader.Measure(ctx, src, t.load)
	if err != nil {
		return err
	}
	done := r.courtesy.reading()
	chunks, err := r.loader.Plan(ctx, src, t.load, sizes)
	done()
	if err != nil {
		return err
	}
	if err := r.loader.Begin(ctx, src, dst, t.load, chunks, from); err != nil {
		return err
	}
	t.state, t.position = state.Copying, from
	return nil
}
