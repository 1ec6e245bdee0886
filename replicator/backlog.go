package replicator

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// drain applies a table's backlog piece by piece, several workers at once. Each piece is a short transaction on either side,
// and records how far it went; when all are done, the table's position is that of the snapshot in which the backlog was measured.
//
// The pieces may come in any order, and may have keys in common: each reads its rows in a snapshot newer than that position. If
// one of them overwrites a row with an older image, what changed in between is in the deltas after that position.
type drain struct {
	r      *Replicator
	table  *table
	slots  chan struct{} // workers at once, over all tables
	to     change.Position
	single sync.RWMutex // held by a piece that is tried once more: it must not meet others
}

// drainWorker applies pieces over a session on either side.
type drainWorker struct {
	*drain
	slot   *slot
	src    *pg.Conn
	writer *apply.Writer
	blocks int64 // of a piece

	conflicts int // in a row
}

// A piece begins small and grows or shrinks towards the time it shall take.
const (
	smallestPiece = 16 // blocks of 8 kB
	firstPiece    = 256
	largestPiece  = 1024
	longestPiece  = 4 * time.Second
)

func (d *drain) newWorker(held *slot) *drainWorker {
	return &drainWorker{drain: d, slot: held, writer: apply.NewPieceWriter(d.r.target, "drain", d.r.store), blocks: firstPiece}
}

func (d *drainWorker) close() {
	d.src.CloseNow()
	d.writer.Close()
}

// run drains with a slot that the caller has taken, and gives it back.
func (d *drain) run(ctx context.Context, held *slot) error {
	defer held.give()
	first := d.newWorker(held)
	defer first.close()
	if err := first.connect(ctx); err != nil {
		return err
	}
	to, ranges, err := first.resume(ctx)
	if err != nil {
		return err
	}
	var view *capture.View
	if to.IsZero() {
		if view, to, ranges, err = first.begin(ctx); err != nil {
			return err
		}
	}
	if err := d.share(ctx, first, ranges); err != nil {
		return err
	}
	err = first.record(ctx, func(ctx context.Context, conn *pg.Conn) error {
		if _, err := conn.Exec(ctx, d.r.store.SQL("DELETE FROM {{schema}}.drain WHERE number = $1"), d.table.number); err != nil {
			return err
		}
		return d.r.store.SetDrained(ctx, conn, d.table.number, to)
	})
	if err != nil {
		return err
	}
	if view != nil {
		view.Read()
	}
	d.to = to
	return nil
}

// share has the ranges applied by the first worker, and by as many others as there are slots free for.
func (d *drain) share(ctx context.Context, first *drainWorker, ranges []capture.Range) error {
	left := make(chan capture.Range, len(ranges))
	for _, r := range ranges {
		left <- r
	}
	close(left)
	done := make(chan struct{}) // nothing left to take
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(done)
		defer first.slot.give() // the others may wait for one
		return first.work(ctx, left)
	})
	for range min(cap(d.slots), len(ranges)) - 1 {
		group.Go(func() error {
			held := &slot{slots: d.slots}
			if got, err := held.take(ctx, done); !got {
				return err
			}
			defer held.give()
			w := d.newWorker(held)
			defer w.close()
			return w.work(ctx, left)
		})
	}
	return group.Wait()
}

func (d *drainWorker) work(ctx context.Context, left <-chan capture.Range) error {
	for r := range left {
		if err := d.connect(ctx); err != nil {
			return err
		}
		if err := d.drainRange(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (d *drainWorker) connect(ctx context.Context) (err error) {
	if d.src == nil || d.src.IsClosed() {
		d.src, err = d.r.source.Connect(ctx, "drain")
	}
	return err
}

// resume reads what is left of a drain that an earlier attempt began; a zero position if there is none.
func (d *drainWorker) resume(ctx context.Context) (to change.Position, ranges []capture.Range, err error) {
	err = d.record(ctx, func(ctx context.Context, conn *pg.Conn) error {
		rows, err := conn.Query(ctx, d.r.store.SQL("SELECT segment, next_block, end_block, position, position_clock FROM {{schema}}.drain WHERE number = $1 ORDER BY segment, next_block"), d.table.number)
		if err != nil {
			return err
		}
		var text string
		ranges, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r capture.Range, err error) {
			err = row.Scan(&r.Segment, &r.From, &r.To, &text, &to.Clock)
			return r, err
		})
		if err != nil || len(ranges) == 0 {
			return err
		}
		to.Snapshot, err = change.ParseSnapshot(text)
		return err
	})
	return to, ranges, err
}

// begin measures the backlog and records it. When the table was truncated meanwhile, the target's is emptied in the same
// transaction: whatever the pieces bring was written afterwards.
func (d *drainWorker) begin(ctx context.Context) (*capture.View, change.Position, []capture.Range, error) {
	t := d.table
	logs := map[int]*capture.Log{t.number: t.log}
	if err := d.r.capture.LookForWriters(ctx, d.src, logs); err != nil {
		return nil, change.Position{}, nil, err
	}
	view, err := d.r.capture.Open(ctx, d.src, logs)
	if err != nil {
		return nil, change.Position{}, nil, err
	}
	ranges := divideRanges(view.Backlog(t.log), cap(d.slots))
	truncated := view.Truncated(t.log, t.position.Snapshot)
	if err := view.Settle(ctx); err != nil {
		return nil, change.Position{}, nil, err
	}
	note := func(ctx context.Context, conn *pg.Conn) error {
		for _, r := range ranges {
			_, err := conn.Exec(ctx, d.r.store.SQL("INSERT INTO {{schema}}.drain (number, segment, next_block, end_block, position, position_clock) VALUES ($1, $2, $3, $4, $5, $6)"),
				t.number, r.Segment, r.From, r.To, view.Position.Snapshot.String(), view.Position.Clock)
			if err != nil {
				return err
			}
		}
		return nil
	}
	if truncated {
		err = d.patiently(ctx, func() error { return d.writer.Truncate(ctx, t.apply, note) })
	} else {
		err = d.record(ctx, note)
	}
	return view, view.Position, ranges, err
}

// record writes to the target's state in a transaction of its own.
func (d *drainWorker) record(ctx context.Context, note func(context.Context, *pg.Conn) error) error {
	_, err := d.writer.Piece(ctx, d.table.apply, nil, note)
	return err
}

// divideRanges cuts each range into about n of a piece or more, so that as many workers have something to do.
func divideRanges(ranges []capture.Range, n int) (divided []capture.Range) {
	for _, r := range ranges {
		size := max((r.To-r.From+int64(n)-1)/int64(n), firstPiece)
		for from := r.From; from < r.To; from += size {
			divided = append(divided, capture.Range{Segment: r.Segment, From: from, To: min(from+size, r.To)})
		}
	}
	return divided
}

func (d *drainWorker) drainRange(ctx context.Context, whole capture.Range) error {
	alone := false
	for next := whole.From; next < whole.To; {
		piece := capture.Range{Segment: whole.Segment, From: next, To: min(next+d.blocks, whole.To)}
		start := time.Now()
		err := d.tryPiece(ctx, piece, whole.To, alone)
		took := time.Since(start)
		var tableErr *apply.TableError
		var gaveWay *capture.BusyError
		var busy *apply.BusyError
		switch {
		case err == nil:
			next, alone, d.conflicts = piece.To, false, 0
		case errors.As(err, &gaveWay) && ctx.Err() == nil:
			took = longestPiece // a smaller one may be through before the next comes
			if err := d.connect(ctx); err != nil {
				return err
			}
		case errors.As(err, &busy) && ctx.Err() == nil:
			alone = alone || pg.State(err) == pg.DeadlockDetected
			if err := d.conflict(ctx, err); err != nil {
				return err
			}
			if err := d.connect(ctx); err != nil {
				return err
			}
			took = longestPiece / 2 // it says nothing of the piece's size
		case errors.As(err, &tableErr) && ctx.Err() == nil && d.writer.Soften(d.table.number, err):
			alone = true
			if err := d.connect(ctx); err != nil {
				return err
			}
		default:
			return err
		}
		switch {
		case took >= longestPiece:
			d.blocks = max(d.blocks/2, smallestPiece)
		case took < longestPiece/4:
			d.blocks = min(d.blocks*2, largestPiece)
		}
	}
	return nil
}

// tryPiece applies a piece beside those of the other workers, or alone: a unique value that a row of one gives to a row of
// another may be in the way of both.
func (d *drainWorker) tryPiece(ctx context.Context, piece capture.Range, end int64, alone bool) error {
	if alone {
		d.single.Lock()
		defer d.single.Unlock()
	} else {
		d.single.RLock()
		defer d.single.RUnlock()
	}
	defer d.r.courtesy.reading()()
	return d.piece(ctx, piece, end)
}

func (d *drainWorker) piece(ctx context.Context, piece capture.Range, end int64) error {
	start := time.Now()
	read := d.r.capture.Piece(d.src, d.table.log, piece, d.table.position.Snapshot)
	rows := func(ctx context.Context, w io.Writer) error {
		// Only now, when the target's transaction has begun: the source's lock is not to wait for anything there.
		if err := d.r.capture.BeginPiece(ctx, d.src, d.table.log); err != nil {
			return err
		}
		err := read(ctx, w)
		d.src.Rollback(ctx) // the table's lock is given back before the target merges
		if pg.State(err) == pg.QueryCanceled {
			// It was given up for a request that waits for the table.
			err = &capture.BusyError{Table: d.table.number, Err: err}
		}
		return err
	}
	stats, err := d.writer.Piece(ctx, d.table.apply, rows, func(ctx context.Context, conn *pg.Conn) error {
		_, err := conn.Exec(ctx, d.r.store.SQL("UPDATE {{schema}}.drain SET next_block = $4 WHERE number = $1 AND segment = $2 AND end_block = $3"), d.table.number, piece.Segment, end, piece.To)
		return err
	})
	if err != nil {
		d.src.Rollback(ctx)
		if errors.Is(err, change.ErrReplaced) {
			return &apply.TableError{Table: d.table.number, Err: err}
		}
		return err
	}
	d.r.endings.through(d.table.number)
	d.r.observe(stats, start)
	return nil
}

// drainLeft says how many blocks each table that drains has still to go, from the target's state.
func drainLeft(ctx context.Context, store *state.Store, conn *pg.Conn) (map[int]int64, error) {
	rows, err := conn.Query(ctx, store.SQL("SELECT number, sum(end_block - next_block)::bigint FROM {{schema}}.drain GROUP BY number"))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	left := map[int]int64{}
	for rows.Next() {
		var number int
		var blocks int64
		if err := rows.Scan(&number, &blocks); err != nil {
			return nil, err
		}
		left[number] = blocks
	}
	return left, rows.Err()
}
