package replicator

import (
	"context"
	"errors"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/snapshot"
)

// repair brings a table in use to what the source has, without emptying it: chunk by chunk the source's rows are merged into it,
// then what the source does not have is deleted. Its deltas since the repair began are applied afterwards, as after any copy.
func (w *loadWorker) repair(ctx context.Context, t *loading) error {
	writer := apply.NewPieceWriter(w.r.target, "repair", w.r.store)
	defer writer.Close()
	chunks, _, err := w.r.loader.Todo(ctx, w.dst, t.number)
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if c.IsSweep() {
			break
		}
		rows := func() change.CopyFunc { return w.r.loader.Rows(w.src, t.load, c, w.r.capture) }
		if err := w.repairChunk(ctx, t, c, writer, rows); err != nil {
			return err
		}
	}
	if chunks, err = w.r.loader.Sweeps(ctx, w.dst, t.load); err != nil {
		return err
	}
	w.progress.add(Progress{Chunks: len(chunks)})
	spared := &snapshot.Spared{}
	for _, c := range chunks {
		gone := func() change.CopyFunc { return w.r.loader.Gone(w.src, w.dst, t.load, c, spared) }
		if err := w.repairChunk(ctx, t, c, writer, gone); err != nil {
			return err
		}
	}
	if n := spared.Places(); n > 0 {
		w.r.log.Warn("an index of the source does not find rows of its table; pgibex verify names them", "table", t.name.String(), "index", t.load.Source.Key.Index, "rows", n)
	}
	return nil
}

// repairChunk merges what one chunk brings. The sessions may be others after an error.
func (w *loadWorker) repairChunk(ctx context.Context, t *loading, c snapshot.Chunk, writer *apply.Writer, rows func() change.CopyFunc) error {
	for {
		done := w.r.courtesy.reading()
		stats, err := writer.Piece(ctx, t.apply.Sparing(), rows(), w.r.loader.Done(t.number, c))
		done()
		var tableErr *apply.TableError
		switch {
		case err == nil:
			w.progress.add(Progress{ChunksDone: 1, Rows: stats.Rows, Bytes: stats.Bytes})
			w.r.metrics.CopiedRows.Add(float64(stats.Rows))
			w.r.metrics.CopiedBytes.Add(float64(stats.Bytes))
			return nil
		case ctx.Err() != nil:
			return err
		case pg.Conflict(err), errors.As(err, &tableErr) && writer.Soften(t.number, err):
			if err := w.connect(ctx); err != nil {
				return err
			}
			if !pg.Conflict(err) {
				continue
			}
			if err := w.r.locks.nameNow(ctx, w.dst, t.table, false); err != nil {
				return err
			}
		default:
			return err
		}
	}
}
