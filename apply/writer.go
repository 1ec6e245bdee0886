package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// Writer applies changes over one session of the target. After an error its session is closed, and opened
// anew when it is next used.
type Writer struct {
	server pg.Server
	role   string
	store  *state.Store
	conn   *pg.Conn
	open   bool // a transaction

	lockTimeout string

	staged []int // tables whose staging tables the session has, the least recently used first

	// Careful tables take the slower way that finds the row at fault.
	careful map[int]bool
	// replaced tables are written to by deleting and inserting: an upsert of theirs has met a unique key in transit.
	replaced map[int]bool
	// singly has what a table's own code does looked for after each table: the commit was refused, or the session changed, which does
	// not say by whom.
	singly bool
}

// NewWriter returns a writer of batches, whose session is called role. It connects when first used.
func NewWriter(server pg.Server, role string, store *state.Store) *Writer {
	return &Writer{server: server, role: role, store: store, lockTimeout: batchLockTimeout, careful: map[int]bool{}, replaced: map[int]bool{}}
}

// NewPieceWriter returns a writer of one table's pieces.
func NewPieceWriter(server pg.Server, role string, store *state.Store) *Writer {
	w := NewWriter(server, role, store)
	w.lockTimeout = pieceLockTimeout
	return w
}

// Singly has the next batch find out which table's code does something to the session or to the commit.
func (w *Writer) Singly() { w.singly = true }

// Close ends the session.
func (w *Writer) Close() {
	w.conn.CloseNow()
	w.conn, w.open, w.staged = nil, false, nil
}

// Stats counts what was applied.
type Stats struct {
	Rows    int64 // written: inserted, updated or deleted
	Bytes   int64 // of COPY text
	Written bool  // something was committed
}

// plans: a join with a staging table goes through the key's index, whatever the planner may guess of a table it knows nothing of.
const plans = `SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_bitmapscan = off;
	SET temp_buffers = '32MB'; `

// A batch waits for a lock only so long: all its tables do. What concerns one table may wait longer.
const (
	batchLockTimeout = "1s"
	pieceLockTimeout = "5s"
)

func (w *Writer) begin(ctx context.Context) error {
	if w.open {
		return nil
	}
	if w.conn == nil || w.conn.IsClosed() {
		conn, err := w.server.Connect(ctx, w.role)
		if err != nil {
			return err
		}
		w.conn, w.staged = conn, nil
		if err := conn.Run(ctx, plans+"SET lock_timeout = '"+w.lockTimeout+"'"); err != nil {
			return err
		}
	}
	if err := w.conn.Run(ctx, pg.Begin); err != nil {
		return err
	}
	w.open = true
	return nil
}

func (w *Writer) commit(ctx context.Context) error {
	tag, err := w.conn.Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		err = fmt.Errorf("commit on the target answered %s", tag)
	}
	w.open = false
	return err
}

// Batch applies a batch in one transaction, moves the stream's position to the batch's and lets the joined tables share
// it. A batch in which nothing turns out to have changed is not written, unless the position must be: force.
//
// An error that one table is to blame for is a *TableError, a lock that is not to be had on one a *BusyError.
func (w *Writer) Batch(ctx context.Context, batch change.Batch, tables map[int]*Table, joined []int, force bool) (Stats, error) {
	var stats Stats
	err := w.batch(ctx, batch, tables, joined, force, &stats)
	if err != nil {
		w.Close()
		return Stats{}, err
	}
	clear(w.careful)
	w.singly = false
	return stats, nil
}

func (w *Writer) batch(ctx context.Context, batch change.Batch, tables map[int]*Table, joined []int, force bool, stats *Stats) error {
	if err := w.truncate(ctx, batch.Parts, tables); err != nil {
		return err
	}
	for _, part := range batch.Parts {
		err := w.part(ctx, part, tables[part.Table], stats)
		if err == nil && w.singly && w.open {
			err = w.conn.Run(ctx, "SET CONSTRAINTS ALL IMMEDIATE")
			if err == nil {
				err = w.conn.Untouched(ctx)
			}
		}
		switch {
		case err == nil:
		case !w.singly && ofTransaction(err): // what another table's code has done may be why
			w.singly = true
			return &DeferredError{err}
		default:
			return Blame(tables[part.Table], err)
		}
	}
	if batch.Settle != nil { // the source has been read, and is let go before the target is waited for
		if err := batch.Settle(ctx); err != nil {
			return err
		}
	}
	if !w.open && !force && len(joined) == 0 {
		return nil
	}
	return w.finish(ctx, batch.Position, joined, stats)
}

// finish notes what a batch has brought, and commits.
func (w *Writer) finish(ctx context.Context, position change.Position, joined []int, stats *Stats) error {
	err := w.begin(ctx)
	if err == nil && stats.Rows > 0 {
		err = w.conn.Untouched(ctx)
	}
	if err == nil {
		err = w.store.Advance(ctx, w.conn, position, joined)
	}
	if err == nil {
		stats.Written = true
		err = w.commit(ctx)
	}
	switch {
	case (pg.Rejected(err) || pg.Conflict(err)) && !w.singly:
		w.singly = true
		return &DeferredError{err}
	case pg.Ended(err):
		return &EndedError{Err: err}
	}
	return err
}

// ofTransaction says whether an error may come of what other tables' code has made of the transaction: read-only, or short of time.
func ofTransaction(err error) bool {
	return pg.State(err) == pg.ReadOnly || pg.Conflict(err) && pg.State(err) == pg.QueryCanceled
}

func (w *Writer) part(ctx context.Context, part change.Part, t *Table, stats *Stats) error {
	switch {
	case part.Rows != nil:
		return w.merge(ctx, t, part.Rows, false, stats)
	case part.Whole != nil:
		n, err := w.copyInto(ctx, t, t.copyAll, part.Whole, stats)
		stats.Rows += n
		return err
	}
	return w.images(ctx, t, part, stats)
}

// Piece applies one piece of a table's backlog in a transaction of its own, together with what record notes of it.
func (w *Writer) Piece(ctx context.Context, t *Table, rows change.CopyFunc, record func(context.Context, *pg.Conn) error) (Stats, error) {
	var stats Stats
	err := w.piece(ctx, t, rows, record, &stats)
	if err != nil {
		w.Close()
		return Stats{}, err
	}
	clear(w.careful)
	return stats, nil
}

func (w *Writer) piece(ctx context.Context, t *Table, rows change.CopyFunc, record func(context.Context, *pg.Conn) error, stats *Stats) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.store.Hold(ctx, w.conn); err != nil {
		return err
	}
	if rows != nil {
		err := w.merge(ctx, t, rows, true, stats)
		if err == nil {
			err = w.conn.Untouched(ctx)
		}
		if err != nil {
			return Blame(t, err)
		}
	}
	if err := record(ctx, w.conn); err != nil {
		return err
	}
	return Blame(t, w.commit(ctx))
}

// Truncate empties a table in a transaction of its own, together with what record notes of it.
func (w *Writer) Truncate(ctx context.Context, t *Table, record func(context.Context, *pg.Conn) error) error {
	_, err := w.Piece(ctx, t, nil, func(ctx context.Context, conn *pg.Conn) error {
		if err := w.truncate(ctx, []change.Part{{Table: t.Number, Truncated: true}}, map[int]*Table{t.Number: t}); err != nil {
			return err
		}
		return record(ctx, conn)
	})
	return err
}

// truncate empties the truncated tables together, as foreign keys between them demand. Where that is not possible (a
// foreign key from elsewhere, a reader whose lock would have to be waited for, a right or a trigger that one of them has) their rows are
// deleted, table by table.
func (w *Writer) truncate(ctx context.Context, parts []change.Part, tables map[int]*Table) error {
	var truncated []*Table
	var names []string
	for _, part := range parts {
		if part.Truncated {
			truncated = append(truncated, tables[part.Table])
			names = append(names, "ONLY "+tables[part.Table].Name.SQL())
		}
	}
	if len(truncated) == 0 {
		return nil
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	err := w.conn.Run(ctx, "SAVEPOINT truncating; TRUNCATE "+strings.Join(names, ", ")+"; RELEASE truncating")
	if !pg.Rejected(err) && !pg.Conflict(err) {
		return err
	}
	if err := w.conn.Run(ctx, "ROLLBACK TO truncating"); err != nil {
		return err
	}
	for i, t := range truncated {
		if err := w.conn.Run(ctx, "DELETE FROM "+names[i]); err != nil {
			return Blame(t, err)
		}
	}
	return nil
}

// stagedTables bounds the staging tables of a session: each of them is emptied at every commit.
const stagedTables = 64

// stage makes sure that the staging tables of t are there, and empty.
func (w *Writer) stage(ctx context.Context, t *Table) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	if i := slices.Index(w.staged, t.Number); i >= 0 {
		w.staged = append(slices.Delete(w.staged, i, i+1), t.Number)
		return nil
	}
	sql := t.create
	if len(w.staged) >= stagedTables {
		oldest := w.staged[0]
		w.staged = slices.Delete(w.staged, 0, 1)
		sql = fmt.Sprintf("DROP TABLE IF EXISTS pg_temp.stage_%d, pg_temp.gone_%d; ", oldest, oldest) + sql
	}
	if err := w.conn.Run(ctx, sql); err != nil {
		return err
	}
	w.staged = append(w.staged, t.Number)
	return nil
}

// copyInto runs one COPY from the source into a table, which is staged before the first row arrives.
func (w *Writer) copyInto(ctx context.Context, t *Table, sql string, from change.CopyFunc, stats *Stats) (int64, error) {
	var n int64
	counter := &byteCounter{}
	err := pg.Pipe(ctx, func(ctx context.Context, to io.Writer) error {
		counter.Writer = to
		return from(ctx, counter)
	}, func(ctx context.Context, r io.Reader) (err error) {
		if err := w.stage(ctx, t); err != nil {
			return err
		}
		n, err = w.conn.CopyIn(ctx, sql, r)
		return err
	})
	stats.Bytes += counter.bytes
	return n, err
}

type byteCounter struct {
	io.Writer
	bytes int64
}

func (c *byteCounter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return c.Writer.Write(p)
}

// images applies the difference between what was inserted into a table without a key and what was removed from it.
func (w *Writer) images(ctx context.Context, t *Table, part change.Part, stats *Stats) error {
	inserted, err := w.copyInto(ctx, t, t.copyRows, part.Inserted, stats)
	if err != nil {
		return err
	}
	removed, err := w.copyInto(ctx, t, t.copyGone, part.Deleted, stats)
	if err != nil || inserted+removed == 0 {
		return err
	}
	if removed == 0 {
		return w.exec(ctx, t.insert, stats)
	}
	// Here alone a look through the whole table is what is wanted: there is no key to look anything up by.
	if err := w.conn.Run(ctx, "SET LOCAL enable_hashjoin = on; SET LOCAL enable_seqscan = on"); err != nil {
		return err
	}
	var wanted, deleted int64
	if err := w.conn.QueryRow(ctx, t.net[0]).Scan(&wanted, &deleted); err != nil {
		return err
	}
	if deleted != wanted {
		return &DivergedError{Missing: wanted - deleted}
	}
	stats.Rows += deleted
	if err := w.exec(ctx, t.net[1], stats); err != nil {
		return err
	}
	return w.conn.Run(ctx, "SET LOCAL enable_hashjoin = off; SET LOCAL enable_seqscan = off")
}

func (w *Writer) exec(ctx context.Context, sql string, stats *Stats) error {
	tag, err := w.conn.Exec(ctx, sql)
	stats.Rows += tag.RowsAffected()
	return err
}

// DivergedError means that rows which the source removed are not on the target: somebody else has written there.
type DivergedError struct{ Missing int64 }

func (e *DivergedError) Error() string {
	return fmt.Sprintf("%d rows that the source deleted are not on the target: something else has written to it", e.Missing)
}

// TableError is an error that the data or the definition of one table is to blame for. The same would happen again.
type TableError struct {
	Table int
	Err   error
}

func (e *TableError) Unwrap() error { return e.Err }
func (e *TableError) Error() string { return e.Err.Error() }

// BusyError means that others are at work on one table: a lock was not to be had in time, or a deadlock was broken at our cost. The table
// is to be tried again on its own.
type BusyError struct {
	Table int
	Err   error
}

func (e *BusyError) Unwrap() error { return e.Err }
func (e *BusyError) Error() string { return e.Err.Error() }

// DeferredError means that a commit was refused, or that the session is not what it was, which does not say by which table's code. The next
// batch finds out.
type DeferredError struct{ Err error }

func (e *DeferredError) Unwrap() error { return e.Err }
func (e *DeferredError) Error() string { return e.Err.Error() }

// EndedError means that the server has ended the session while it wrote to one table, or (0) committed a batch: it was told to, or code of the
// table has done that.
type EndedError struct {
	Table int
	Err   error
}

func (e *EndedError) Unwrap() error { return e.Err }
func (e *EndedError) Error() string { return e.Err.Error() }

// Blame makes an error a *TableError if it is one that the same would meet again, a *BusyError if others are at work on the table, or an
// *EndedError.
func Blame(t *Table, err error) error {
	var diverged *DivergedError
	var row *pg.RowError
	switch {
	case pg.Rejected(err) || errors.As(err, &diverged) || errors.As(err, &row):
		return &TableError{Table: t.Number, Err: err}
	case pg.Conflict(err):
		return &BusyError{Table: t.Number, Err: err}
	case pg.Ended(err):
		return &EndedError{Table: t.Number, Err: err}
	}
	return err
}
