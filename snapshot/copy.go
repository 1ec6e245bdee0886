package snapshot

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

//go:embed sql/equality.sql
var equalitySQL string

// Session prepares a session of the source for copying: a range of the key is read through its index, however little
// the planner thinks of that.
func Session(ctx context.Context, src *pg.Conn) error {
	return src.Run(ctx, "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
}

// Begin records the plan of a table's copy and, where the table is empty, drops what would slow it down, all in one transaction. Everything
// committed on the source after the position must be captured.
func (l *Loader) Begin(ctx context.Context, src, dst *pg.Conn, t Table, chunks []Chunk, from change.Position) error {
	err := dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		if err := l.Store.SetCopying(ctx, dst, t.Number, from); err != nil {
			return err
		}
		if err := l.insertChunks(ctx, dst, t.Number, chunks); err != nil || t.Method != state.Load {
			return err
		}
		if err := l.putOff(ctx, dst, t); err != nil {
			return err
		}
		_, err := l.putOffChecks(ctx, src, dst, t, func(checkOf) bool { return true })
		return err
	})
	if err != nil {
		return fmt.Errorf("begin to copy %s: %w", t.Source.Name, err)
	}
	return nil
}

func (l *Loader) insertChunks(ctx context.Context, dst *pg.Conn, number int, chunks []Chunk) error {
	for _, c := range chunks {
		_, err := dst.Exec(ctx, l.Store.SQL("INSERT INTO {{schema}}.chunk (number, chunk, kind, low, high, filenode) VALUES ($1, $2, $3, $4, $5, $6)"),
			number, c.Chunk, c.Kind, c.Low, c.High, c.Filenode)
		if err != nil {
			return err
		}
	}
	return nil
}

// Todo reads which chunks of a table are not done, and whether it has more than one at all.
func (l *Loader) Todo(ctx context.Context, dst *pg.Conn, number int) (todo []Chunk, several bool, err error) {
	rows, err := dst.Query(ctx, l.Store.SQL("SELECT chunk, kind, low, high, filenode, done_at IS NOT NULL FROM {{schema}}.chunk WHERE number = $1 ORDER BY chunk"), number)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var c Chunk
		var done bool
		if err := rows.Scan(&c.Chunk, &c.Kind, &c.Low, &c.High, &c.Filenode, &done); err != nil {
			return nil, false, err
		}
		n++
		if !done {
			todo = append(todo, c)
		}
	}
	return todo, n > 1, rows.Err()
}

// Copied is what one chunk brought.
type Copied struct {
	Rows, Bytes int64 // Bytes of COPY text
	Took        time.Duration
}

// splitAfter is how many chunk times a chunk may take before it is split. The source's snapshot is held no longer.
const splitAfter = 4

// ErrTooLong means that a chunk took several times the time it may take; it has been given up, to be split.
var ErrTooLong = errors.New("the chunk takes too long")

// Clock tells the source's position, within the transaction that rows are read in, and sees to it, after that, that the source
// remembers what the position sees.
type Clock interface {
	Now(ctx context.Context, src *pg.Conn) (change.Position, error)
	Flush(ctx context.Context, src *pg.Conn, to change.LSN) error
}

// Copy copies one chunk and records it as done; of a table without a key also its position. With careful set an error names the
// key of the row at fault.
func (l *Loader) Copy(ctx context.Context, src, dst *pg.Conn, t Table, c Chunk, careful bool, clock Clock) (Copied, error) {
	start := time.Now()
	limited, cancel := ctx, context.CancelFunc(func() {})
	if c.splittable() {
		limited, cancel = context.WithTimeoutCause(ctx, splitAfter*l.ChunkTime, ErrTooLong)
	}
	defer cancel()
	copied, err := l.copyChunk(limited, src, dst, t, c, careful, clock)
	if err != nil {
		if ctx.Err() == nil && errors.Is(context.Cause(limited), ErrTooLong) {
			return copied, ErrTooLong
		}
		return copied, fmt.Errorf("copy %s: %w", t.Source.Name, err)
	}
	copied.Took = time.Since(start)
	return copied, nil
}

func (l *Loader) copyChunk(ctx context.Context, src, dst *pg.Conn, t Table, c Chunk, careful bool, clock Clock) (copied Copied, err error) {
	err = dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		// The target's lock first: waiting for it with the source's in hand would make the application wait as well.
		if err := dst.Run(ctx, lockTimeout+"; LOCK TABLE ONLY "+t.Target.SQL()+" IN ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		at, err := t.open(ctx, src, c, clock)
		if err != nil {
			return err
		}
		if t.Method == state.Replace { // its readers see the old rows until the new ones are there
			if err := dst.Run(ctx, "DELETE FROM ONLY "+t.Target.SQL()); err != nil {
				return err
			}
		}
		if copied, err = t.pipe(ctx, src, dst, c, careful); err == nil {
			err = dst.Untouched(ctx)
		}
		if err != nil {
			return err
		}
		if t.Source.Key == nil { // its deltas count from exactly this snapshot
			if err := clock.Flush(ctx, src, at.WAL.LSN); err != nil {
				return err
			}
			if err := l.Store.SetPosition(ctx, dst, t.Number, at); err != nil {
				return err
			}
		}
		return l.done(ctx, dst, t.Number, c, copied)
	})
	if err != nil {
		src.Rollback(ctx)
	}
	return copied, err
}

// done notes, in the transaction that brings a chunk's rows, that they are there.
func (l *Loader) done(ctx context.Context, dst *pg.Conn, number int, c Chunk, copied Copied) error {
	_, err := dst.Exec(ctx, l.Store.SQL("UPDATE {{schema}}.chunk SET done_at = now(), rows = $3, bytes = $4 WHERE number = $1 AND chunk = $2"),
		number, c.Chunk, copied.Rows, copied.Bytes)
	return err
}

// ErrRewritten means that the heap whose blocks were planned is no more: VACUUM FULL, CLUSTER or ALTER TABLE has put the
// rows elsewhere. The copy of the table is to begin anew.
var ErrRewritten = errors.New("the table was rewritten on the source since its copy was planned")

// open begins the source's transaction. The table is locked before the snapshot is taken: one that is rewritten in between
// looks empty in an older snapshot. Once it is locked, its name and its heap stay what they are.
func (t Table) open(ctx context.Context, src *pg.Conn, c Chunk, clock Clock) (at change.Position, err error) {
	if err := src.Run(ctx, pg.BeginSnapshot+"; LOCK TABLE ONLY "+t.Source.SQL()+" IN ACCESS SHARE MODE; "+pg.Reading); err != nil {
		return at, err
	}
	if at, err = clock.Now(ctx, src); err != nil {
		return at, err
	}
	var same bool
	var filenode int64
	err = src.QueryRow(ctx, "SELECT $1::text::pg_catalog.regclass::oid = $2::oid, coalesce(pg_catalog.pg_relation_filenode($2::oid), 0)::bigint", t.Source.SQL(), t.Source.OID).Scan(&same, &filenode)
	switch {
	case err != nil:
		return at, err
	case !same:
		return at, change.ErrReplaced
	case c.Filenode != nil && *c.Filenode != filenode:
		return at, ErrRewritten
	}
	return at, nil
}

// Discard empties a table whose copy is to begin anew as that of an empty one, and forgets its plan.
func (l *Loader) Discard(ctx context.Context, dst *pg.Conn, t Table) error {
	err := dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		err := dst.Run(ctx, lockTimeout+"; SAVEPOINT emptying; TRUNCATE ONLY "+t.Target.SQL())
		if pg.State(err) == pg.FeatureNotSupported { // a foreign key refers to it
			err = dst.Run(ctx, "ROLLBACK TO emptying; DELETE FROM ONLY "+t.Target.SQL())
		}
		if err != nil {
			return err
		}
		if err := l.Store.SetMethod(ctx, dst, t.Number, state.Load); err != nil {
			return err
		}
		_, err = dst.Exec(ctx, l.Store.SQL("DELETE FROM {{schema}}.chunk WHERE number = $1"), t.Number)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin the copy of %s anew: %w", t.Source.Name, err)
	}
	return nil
}

func (t Table) pipe(ctx context.Context, src, dst *pg.Conn, c Chunk, careful bool) (copied Copied, err error) {
	rows := &rowWriter{}
	if careful {
		rows.log = pg.NewRowLog(t.columns(), len(t.Source.KeyNames()))
	}
	err = pg.Pipe(ctx, func(ctx context.Context, w io.Writer) error {
		rows.to = w
		if err := src.CopyRows(ctx, t.query(c, src.Version), 0, t.Source.KeyNames(), rows); err != nil {
			return err
		}
		return src.Run(ctx, "ROLLBACK") // the table's lock is not kept while the target is busy
	}, func(ctx context.Context, r io.Reader) (err error) {
		if c.Kind != wholeTable { // a whole table is one snapshot, in which nothing conflicts
			unique, err := t.unique(ctx, dst)
			if err != nil {
				return err
			}
			if unique {
				copied.Rows, err = t.copyAround(ctx, dst, r)
				return err
			}
		}
		copied.Rows, err = dst.CopyIn(ctx, "COPY "+t.Target.SQL()+t.columnList()+" FROM STDIN", r)
		return err
	})
	copied.Bytes = rows.bytes
	return copied, rows.log.Locate(err)
}

// unique says whether the target's table has kept a unique index during its copy, because something depends on it (a view
// with GROUP BY on the primary key).
func (t Table) unique(ctx context.Context, dst *pg.Conn) (unique bool, err error) {
	err = dst.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index WHERE indrelid = $1 AND (indisunique OR indisexclusion))", t.Target.OID).Scan(&unique)
	return unique, err
}

// copyAround copies rows past those that are there: a row that stands in the way of another came with an earlier chunk, so
// both have changed since the copy began and come once more with the deltas.
func (t Table) copyAround(ctx context.Context, dst *pg.Conn, r io.Reader) (rows int64, err error) {
	columns := t.columnList()
	fields := strings.TrimSuffix(strings.TrimPrefix(columns, " ("), ")")
	overriding := ""
	for _, c := range t.Target.Columns {
		if c.Identity != "" {
			overriding = " OVERRIDING SYSTEM VALUE"
		}
	}
	err = dst.Run(ctx, fmt.Sprintf("CREATE TEMP TABLE chunk ON COMMIT DROP AS SELECT %s FROM ONLY %s WITH NO DATA", fields, t.Target.SQL()))
	if err != nil {
		return 0, err
	}
	if rows, err = dst.CopyIn(ctx, "COPY pg_temp.chunk"+columns+" FROM STDIN", r); err != nil {
		return 0, err
	}
	return rows, dst.Run(ctx, fmt.Sprintf("INSERT INTO %s%s%s SELECT %s FROM pg_temp.chunk ON CONFLICT DO NOTHING", t.Target.SQL(), columns, overriding, fields))
}

func (t Table) columnList() string {
	names := t.columns()
	if len(names) == 0 {
		return ""
	}
	for i, name := range names {
		names[i] = pg.Ident(name)
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// rowWriter counts, and logs rows where somebody wants to know which one was at fault.
type rowWriter struct {
	to    io.Writer
	bytes int64
	log   *pg.RowLog
}

func (w *rowWriter) Write(row []byte) (int, error) {
	w.bytes += int64(len(row))
	w.log.Add(row)
	return w.to.Write(row)
}

// splittable: an unbounded end has no middle; such a chunk is let run.
func (c Chunk) splittable() bool {
	return c.Low != nil && c.High != nil && *c.High-*c.Low > 1
}

// Split replaces a chunk by its halves; by nothing where it was given up too late, and is done.
func (l *Loader) Split(ctx context.Context, dst *pg.Conn, number int, c Chunk) (halves []Chunk, err error) {
	middle := *c.Low + (*c.High-*c.Low)/2
	lower, upper := c, c
	lower.High, upper.Low = &middle, &middle
	err = dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		// One at a time: each takes the next number.
		if _, err := dst.Exec(ctx, l.Store.SQL("SELECT 1 FROM {{schema}}.relation WHERE number = $1 FOR NO KEY UPDATE"), number); err != nil {
			return err
		}
		tag, err := dst.Exec(ctx, l.Store.SQL("UPDATE {{schema}}.chunk SET high = $3 WHERE number = $1 AND chunk = $2 AND done_at IS NULL"), number, c.Chunk, middle)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		halves = []Chunk{lower, upper}
		return dst.QueryRow(ctx, l.Store.SQL(`INSERT INTO {{schema}}.chunk (number, chunk, kind, low, high, filenode)
			SELECT $1, max(chunk) + 1, $2, $3, $4, $5 FROM {{schema}}.chunk WHERE number = $1 RETURNING chunk`),
			number, c.Kind, upper.Low, upper.High, c.Filenode).Scan(&halves[1].Chunk)
	})
	return halves, err
}

// Settle deletes the copied rows whose keys have changed since the copy began, before unique indexes are built: chunks of
// different snapshots may have brought one row twice, or a unique value that changed hands in two rows. What is left has
// not changed since before the first chunk, and what is deleted here comes back with the deltas.
func (l *Loader) Settle(ctx context.Context, dst *pg.Conn, t Table, keys change.CopyFunc) error {
	var columns, on []string
	for _, name := range t.Source.KeyNames() {
		column := t.Target.Column(name)
		var equal string // an extension may be in another schema than on the source, and the index is not built yet
		if err := dst.QueryRow(ctx, equalitySQL, column.BaseType).Scan(&equal); err != nil {
			return fmt.Errorf("settle what changed in %s during its copy: %w", t.Source.Name, err)
		}
		columns = append(columns, pg.Ident(name)+" "+column.Base)
		on = append(on, fmt.Sprintf("%s %s c.%s", column.Comparable("t."+pg.Ident(name)), equal, pg.Ident(name)))
	}
	err := dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		if err := dst.Run(ctx, "CREATE TEMP TABLE changed ("+strings.Join(columns, ", ")+") ON COMMIT DROP"); err != nil {
			return err
		}
		err := pg.Pipe(ctx, keys, func(ctx context.Context, r io.Reader) error {
			_, err := dst.CopyIn(ctx, "COPY pg_temp.changed FROM STDIN", r)
			return err
		})
		if err != nil {
			return err
		}
		return dst.Run(ctx, fmt.Sprintf("ANALYZE pg_temp.changed; DELETE FROM ONLY %s t USING pg_temp.changed c WHERE %s", t.Target.SQL(), strings.Join(on, " AND ")))
	})
	if err != nil {
		return fmt.Errorf("settle what changed in %s during its copy: %w", t.Source.Name, err)
	}
	return nil
}
