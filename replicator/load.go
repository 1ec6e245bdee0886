package replicator

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/snapshot"
)

// loading is a table on its way from captured to copied.
type loading struct {
	*table
	several bool // chunks, of different snapshots
	left    int  // jobs of the present step
	gone    bool // quarantined
}

// job is a piece of work of the load: a chunk to copy, an index to build, a table to repair, or, with none of these, a table to
// finish.
type job struct {
	t       *loading
	chunk   *snapshot.Chunk
	careful bool // a row of the chunk was rejected: find out which
	index   *snapshot.Definition
	repair  bool // all chunks of a table in use
}

// uncopied are the tables that belong to the loader at first.
func uncopied(tables []*table) []*table {
	return slices.DeleteFunc(slices.Clone(tables), func(t *table) bool {
		return t.state != state.Captured && t.state != state.Copying
	})
}

// load copies the tables that are not copied yet, resuming where an earlier attempt stopped, and hands each to the stream.
func (r *Replicator) load(ctx context.Context, todo []*table, copied chan<- *table) error {
	if len(todo) == 0 {
		return nil
	}
	start := time.Now()
	q, p := newQueue(), r.newProgress()
	p.add(Progress{Tables: len(todo)})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.planLoad(ctx, todo, q, p, copied) })
	for range r.config.Copy.Workers {
		group.Go(func() error {
			w := &loadWorker{r: r, q: q, progress: p, copied: copied}
			defer w.close()
			return w.work(ctx)
		})
	}
	stop := context.AfterFunc(ctx, q.close)
	defer stop()
	if err := group.Wait(); err != nil {
		return err
	}
	r.log.Info("all tables are copied", "tables", len(todo), "took", time.Since(start).Round(time.Millisecond).String())
	return nil
}

// loadWorker does jobs over a session on either side.
type loadWorker struct {
	r        *Replicator
	q        *queue
	progress *progress
	copied   chan<- *table
	src, dst *pg.Conn
}

func (w *loadWorker) close() {
	w.src.CloseNow()
	w.dst.CloseNow()
}

func (w *loadWorker) connect(ctx context.Context) (err error) {
	if w.src == nil || w.src.IsClosed() {
		if w.src, err = w.r.source.Connect(ctx, "copy"); err != nil {
			return err
		}
		if err := snapshot.Session(ctx, w.src); err != nil {
			return err
		}
	}
	if w.dst == nil || w.dst.IsClosed() {
		if w.dst, err = w.r.target.Connect(ctx, "copy"); err != nil {
			return err
		}
		// Sorting for an index is what a copy waits for in the end. No lock is waited for without saying so.
		return w.dst.Run(ctx, "SET maintenance_work_mem = '256MB'; SET lock_timeout = '5s'")
	}
	return nil
}

func (w *loadWorker) work(ctx context.Context) error {
	for {
		j, ok := w.q.pop()
		if !ok {
			return ctx.Err()
		}
		err := w.connect(ctx)
		if err == nil {
			err = w.do(ctx, j)
		}
		w.q.done()
		if err != nil {
			return err
		}
	}
}

func (w *loadWorker) do(ctx context.Context, j job) error {
	if w.q.isGone(j.t) {
		return nil
	}
	var err error
	switch {
	case j.chunk != nil:
		err = w.copyChunk(ctx, j)
	case j.index != nil:
		err = w.buildIndex(ctx, *j.index)
	case j.repair:
		if err = w.repair(ctx, j.t); err == nil {
			err = w.build(ctx, j.t) // what could not be built before
		}
		return w.rejected(ctx, j, err)
	default:
		return w.rejected(ctx, j, w.finish(ctx, j.t))
	}
	if err != nil {
		return w.rejected(ctx, j, err)
	}
	if !w.q.stepDone(j.t) {
		return nil
	}
	if j.chunk != nil {
		w.q.push(job{t: j.t})
		return nil
	}
	return w.handOver(ctx, j.t)
}

// copyChunk copies one chunk, or splits it when it takes too long.
func (w *loadWorker) copyChunk(ctx context.Context, j job) error {
	done := w.r.courtesy.reading()
	copied, err := w.r.loader.Copy(ctx, w.src, w.dst, j.t.load, *j.chunk, j.careful, w.r.capture)
	done()
	if errors.Is(err, snapshot.ErrTooLong) {
		if err := w.connect(ctx); err != nil {
			return err
		}
		halves, err := w.r.loader.Split(ctx, w.dst, j.t.number, *j.chunk)
		if err != nil {
			return err
		}
		w.progress.add(Progress{Chunks: len(halves) - 1})
		w.q.addStep(j.t, len(halves)) // the chunk itself counts as done
		for _, half := range halves {
			w.q.push(job{t: j.t, chunk: &half})
		}
		return nil
	}
	if err != nil {
		return err
	}
	w.r.metrics.CopiedRows.Add(float64(copied.Rows))
	w.r.metrics.CopiedBytes.Add(float64(copied.Bytes))
	w.r.endings.through(j.t.number)
	w.progress.add(Progress{ChunksDone: 1, Rows: copied.Rows, Bytes: copied.Bytes})
	w.r.log.Debug("chunk copied", "table", j.t.name.String(), "chunk", j.chunk.Chunk, "rows", copied.Rows, "bytes", copied.Bytes, "took", copied.Took)
	return nil
}

// finish settles a table whose chunks are all there, and builds its indexes.
func (w *loadWorker) finish(ctx context.Context, t *loading) error {
	definitions, err := w.r.loader.Definitions(ctx, w.dst, t.number)
	if err != nil {
		return err
	}
	if t.several && len(definitions) > 0 {
		if err := w.r.loader.Settle(ctx, w.dst, t.load, w.changedKeys(t)); err != nil {
			return err
		}
	}
	return w.build(ctx, t)
}

// build builds the unique indexes of a table that are missing, and queues the others.
func (w *loadWorker) build(ctx context.Context, t *loading) error {
	definitions, err := w.r.loader.Definitions(ctx, w.dst, t.number)
	if err != nil {
		return err
	}
	var queued []job
	for _, d := range definitions {
		if d.Unique() { // one after the other: each ends with a lock that the others would be waiting for as well
			if err := w.r.loader.Build(ctx, w.dst, d); err != nil {
				return err
			}
			continue
		}
		queued = append(queued, job{t: t, index: &d})
	}
	if len(queued) == 0 {
		return w.handOver(ctx, t)
	}
	w.q.addStep(t, len(queued))
	for _, j := range queued {
		w.q.push(j)
	}
	return nil
}

// buildIndex builds an index. One that cannot be built for a reason of its own is noted, and the table does without.
func (w *loadWorker) buildIndex(ctx context.Context, d snapshot.Definition) error {
	err := w.r.loader.Build(ctx, w.dst, d)
	if !d.Dispensable(err) || ctx.Err() != nil {
		return err
	}
	w.r.log.Warn("an index of the target cannot be built, and its table does without", "error", err)
	return w.r.loader.Fail(ctx, w.dst, d, err)
}

// changedKeys reads, in a snapshot of its own, what has changed since the table's copy began.
func (w *loadWorker) changedKeys(t *loading) change.CopyFunc {
	return func(ctx context.Context, to io.Writer) error {
		view, err := w.r.capture.Open(ctx, w.src, nil)
		if err != nil {
			return err
		}
		defer view.Close(ctx)
		return view.ChangedKeys(t.log, t.position.Snapshot)(ctx, to)
	}
}

// handOver gives the table to the stream, with statistics for whoever queries it from now on.
func (w *loadWorker) handOver(ctx context.Context, t *loading) error {
	if err := w.dst.Run(ctx, "ANALYZE "+t.load.Target.SQL()); pg.Rejected(err) || pg.Conflict(err) && ctx.Err() == nil {
		w.r.log.Warn("a copied table has no statistics; ANALYZE it", "table", t.name.String(), "error", err)
	} else if err != nil {
		return err
	}
	if err := w.r.store.SetCopied(ctx, w.dst, t.number); err != nil {
		return err
	}
	if t.load.Source.Key == nil { // its copy has set the position
		relations, err := w.r.store.Relations(ctx, w.dst)
		if err != nil {
			return err
		}
		for _, relation := range relations {
			if relation.Number == t.number {
				t.position = relation.Position
			}
		}
	}
	t.state = state.Copied
	t.setMethod(state.Load)
	w.r.log.Info("table copied", "table", t.name.String())
	w.progress.add(Progress{TablesDone: 1})
	w.copied <- t.table
	return nil
}

// rejected deals with an error that a table is to blame for: the first time it is looked for the row, then the table
// is set aside. Any other error is returned.
func (w *loadWorker) rejected(ctx context.Context, j job, err error) error {
	if pg.Conflict(err) && pg.State(err) == pg.LockNotAvailable && ctx.Err() == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
		if err := w.r.locks.nameNow(ctx, w.dst, j.t.table, j.chunk == nil); err != nil {
			return err
		}
		w.q.putOff(j)
		return nil
	}
	if j.chunk != nil && pg.Conflict(err) && pg.State(err) == pg.QueryCanceled && ctx.Err() == nil { // given up for somebody who waits for the table
		w.q.push(j)
		return nil
	}
	if pg.Ended(err) { // of the source's session it is as well: an index of the table may do it
		if _, guilty := w.r.endings.blame(&apply.EndedError{Table: j.t.number, Err: err}); guilty && ctx.Err() == nil {
			return w.setAside(ctx, j, endsSessions(j.t.name, err))
		}
		return err
	}
	if err == nil || !pg.Rejected(err) && !errors.Is(err, change.ErrReplaced) || ctx.Err() != nil {
		return err
	}
	if j.chunk != nil && !j.careful {
		j.careful = true
		w.q.push(j)
		return nil
	}
	if connectErr := w.connect(ctx); connectErr != nil {
		return connectErr
	}
	is, why, err := w.r.relax(ctx, w.src, w.dst, j.t.table, err, lonePatience)
	switch {
	case err != nil:
		return err
	case is == relaxed:
		w.q.push(j)
		return nil
	case is == inUse:
		if err := w.r.locks.nameNow(ctx, w.dst, j.t.table, true); err != nil {
			return err
		}
		w.q.putOff(j)
		return nil
	}
	return w.setAside(ctx, j, why)
}

// setAside quarantines a table that is being copied.
func (w *loadWorker) setAside(ctx context.Context, j job, why error) error {
	if !w.q.setGone(j.t) {
		return nil // another chunk's worker has done it
	}
	if err := w.connect(ctx); err != nil {
		return err
	}
	if err := w.r.quarantine(ctx, w.dst, j.t.table, j.t.position, why, false); err != nil {
		return err
	}
	w.progress.add(Progress{TablesDone: 1})
	w.copied <- j.t.table
	return nil
}
