package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/pg"
)

// locate finds, after a merge has failed, a staged row that makes it fail, by halving.
func (w *Writer) locate(ctx context.Context, t *Table, cause error) error {
	if err := w.conn.Run(ctx, "ROLLBACK TO merging"); err != nil {
		return err
	}
	stage := fmt.Sprintf("pg_temp.stage_%d", t.Number)
	var at []string
	if err := w.conn.QueryRow(ctx, "SELECT ARRAY(SELECT ctid::text FROM "+stage+" ORDER BY ctid)").Scan(&at); err != nil {
		return err
	}
	sql := t.upsert
	if sql == "" || w.replaced[t.Number] {
		sql = t.insert
	}
	for len(at) > 1 {
		half := at[:len(at)/2]
		within := fmt.Sprintf(" FROM %s WHERE ctid >= '%s' AND ctid <= '%s'", stage, half[0], half[len(half)-1])
		err := w.conn.Run(ctx, strings.Replace(sql, " FROM "+stage, within, 1))
		if rollbackErr := w.conn.Run(ctx, "ROLLBACK TO merging"); rollbackErr != nil {
			return rollbackErr
		}
		switch {
		case err == nil:
			at = at[len(half):]
		case pg.Rejected(err):
			cause, at = err, half
		default:
			return err
		}
	}
	if len(at) == 0 {
		return cause
	}
	key := make([]string, t.keyFields)
	targets := make([]any, t.keyFields)
	fields := make([]string, t.keyFields)
	for i, name := range t.keyNames {
		targets[i], fields[i] = &key[i], pg.Ident(name)+"::text"
	}
	err := w.conn.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE ctid = '%s'", strings.Join(fields, ", "), stage, at[0])).Scan(targets...)
	if err != nil {
		return err
	}
	rejected := &pg.RowError{Key: pg.DescribeKey(t.keyNames, strings.Join(key, "\t")), Err: cause}
	if pgErr, ok := errors.AsType[*pgconn.PgError](cause); ok {
		rejected.Column = pgErr.ColumnName
	}
	return rejected
}
