package apply

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// router sends each row where its mark says: rows that are there go on to the staging table, the keys of those
// that are gone are kept, to be staged behind them. Each Write is one row.
type router struct {
	to        io.Writer
	keyFields int
	gone      bytes.Buffer
	goneRows  int64
	bytes     int64
	log       *pg.RowLog // of the rows that are there
}

func (r *router) Write(row []byte) (int, error) {
	r.bytes += int64(len(row))
	if len(row) < len(change.MarkPresent) {
		return 0, fmt.Errorf("a row without a mark: %q", row)
	}
	mark, fields := row[:len(change.MarkPresent)], row[len(change.MarkPresent):]
	if string(mark) == change.MarkGone {
		r.gone.Write(pg.KeyFields(fields, r.keyFields))
		r.gone.WriteByte('\n')
		r.goneRows++
		return len(row), nil
	}
	r.log.Add(fields)
	if _, err := r.to.Write(fields); err != nil {
		return 0, err
	}
	return len(row), nil
}

// merge stages the rows and merges them into the table: first what is gone is deleted, then what is there is upserted. Within a
// piece rows may stand in the way that a later piece moves (a unique value that changed hands); those are evicted.
func (w *Writer) merge(ctx context.Context, t *Table, rows change.CopyFunc, piece bool, stats *Stats) error {
	route := &router{keyFields: t.keyFields}
	if w.careful[t.Number] {
		route.log = pg.NewRowLog(t.columnNames, t.keyFields)
	}
	var present int64
	err := pg.Pipe(ctx, func(ctx context.Context, to io.Writer) error {
		route.to = to
		return rows(ctx, route)
	}, func(ctx context.Context, r io.Reader) (err error) {
		if err := w.stage(ctx, t); err != nil {
			return err
		}
		present, err = w.conn.CopyIn(ctx, t.copyRows, r)
		return err
	})
	if err != nil {
		return route.log.Locate(err)
	}
	stats.Bytes += route.bytes
	if route.goneRows > 0 {
		if err := w.stage(ctx, t); err != nil {
			return err
		}
		if _, err := w.conn.CopyIn(ctx, t.copyGone, &route.gone); err != nil {
			return err
		}
		if err := w.exec(ctx, t.remove, stats); err != nil {
			return err
		}
	}
	if present == 0 {
		return nil
	}
	return w.write(ctx, t, piece, stats)
}

// write merges the staged rows.
func (w *Writer) write(ctx context.Context, t *Table, piece bool, stats *Stats) error {
	sql := t.upsert
	if sql == "" || w.replaced[t.Number] {
		if _, err := w.conn.Exec(ctx, t.remove2); err != nil {
			return err
		}
		if piece {
			if err := w.evict(ctx, t); err != nil {
				return err
			}
		}
		sql = t.insert
	}
	if !w.careful[t.Number] {
		return w.exec(ctx, sql, stats)
	}
	if err := w.conn.Run(ctx, "SAVEPOINT merging"); err != nil {
		return err
	}
	err := w.exec(ctx, sql, stats)
	if !pg.Rejected(err) {
		return err
	}
	return w.locate(ctx, t, err)
}

// Soften chooses how a table is to be written to after an error: a unique key in transit, or an index that has become deferrable, asks for
// rows to be deleted and inserted, anything else for a second look that finds the row at fault. It says whether there is anything left to try.
func (w *Writer) Soften(number int, err error) bool {
	state := pg.State(err)
	if (state == pg.UniqueViolation || state == pg.ExclusionViolation || state == pg.NotInRequiredState) && !w.replaced[number] {
		w.replaced[number] = true
		return true
	}
	if w.careful[number] {
		delete(w.careful, number)
		return false
	}
	w.careful[number] = true
	return true
}
