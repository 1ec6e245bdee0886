package apply

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/pg"
)

// RowError names the row that the target rejects.
type RowError struct {
	Key    string // (id)=(42)
	Column string // "" where the server does not say
	Err    error
}

func (e *RowError) Unwrap() error { return e.Err }

func (e *RowError) Error() string {
	text := "the target rejects the row " + e.Key
	if e.Column != "" {
		text += ", column " + e.Column
	}
	var pgErr *pgconn.PgError
	if errors.As(e.Err, &pgErr) {
		return fmt.Sprintf("%s: %s (SQLSTATE %s)", text, pgErr.Message, pgErr.Code)
	}
	return text + ": " + e.Err.Error()
}

// copyContext is where COPY says what it was reading: COPY stage_7, line 5, column note: "…"
var copyContext = regexp.MustCompile(`COPY [^,]+, line (\d+)(?:, column ([^:]+))?`)

// rowError adds to an error of COPY the key of the line it names.
func rowError(t *Table, err error, keys *[]string) error {
	var pgErr *pgconn.PgError
	if keys == nil || !errors.As(err, &pgErr) || !pg.Rejected(err) {
		return err
	}
	match := copyContext.FindStringSubmatch(pgErr.Where)
	if match == nil {
		return err
	}
	line, convErr := strconv.Atoi(match[1])
	if convErr != nil || line < 1 || line > len(*keys) {
		return err
	}
	return &RowError{Key: t.describe((*keys)[line-1]), Column: match[2], Err: err}
}

// describe puts a key, given as fields of COPY, the way the server's own messages do.
func (t *Table) describe(fields string) string {
	return fmt.Sprintf("(%s)=(%s)", strings.Join(t.keyNames, ", "), strings.ReplaceAll(fields, "\t", ", "))
}

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
	rejected := &RowError{Key: t.describe(strings.Join(key, "\t")), Err: cause}
	var pgErr *pgconn.PgError
	if errors.As(cause, &pgErr) {
		rejected.Column = pgErr.ColumnName
	}
	return rejected
}
