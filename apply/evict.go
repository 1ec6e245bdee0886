package apply

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed sql/exclusive.sql
var exclusiveSQL string

// evict deletes the rows of the table that a staged row would conflict with although they are others: they hold a
// value that belongs to the staged row by now, so they have changed on the source too, and come with a later piece. That is so
// only where the source excludes the same; what is unique on the target alone is no reason to lose a row.
func (w *Writer) evict(ctx context.Context, t *Table) error {
	query := exclusiveSQL
	if w.conn.Version >= 110000 {
		query = strings.ReplaceAll(query, "/*nkeys*/i.indnatts", "i.indnkeyatts")
	}
	if w.conn.Version >= 120000 { // such a collation may find equal what the source tells apart
		query += " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_collation WHERE oid = ANY (i.indcollation) AND NOT collisdeterministic)"
	}
	rows, err := w.conn.Query(ctx, query, t.Name.SQL(), append([]string{}, t.exclusives...))
	if err != nil {
		return err
	}
	var statements []string
	for rows.Next() {
		var expressions, operators []string
		var predicate string
		if err := rows.Scan(&expressions, &operators, &predicate); err != nil {
			rows.Close()
			return err
		}
		statements = append(statements, evictSQL(t, expressions, operators, predicate))
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	return w.conn.Run(ctx, strings.Join(statements, "; "))
}

func evictSQL(t *Table, expressions, operators []string, predicate string) string {
	var fields, on []string
	for i, expression := range expressions {
		fields = append(fields, fmt.Sprintf("(%s) AS c%d", expression, i))
		on = append(on, fmt.Sprintf("there.c%d %s here.c%d", i, operators[i], i))
	}
	list := strings.Join(fields, ", ")
	// In a WITH of its own: a name that the staging table lacks must be an error, not a column of the table deleted from.
	return fmt.Sprintf(`WITH doomed AS (
		SELECT there.ctid FROM (SELECT ctid, %s FROM ONLY %s WHERE %s) there
		  JOIN (SELECT %s FROM pg_temp.stage_%d WHERE %s) here ON %s)
		DELETE FROM ONLY %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM doomed))`,
		list, t.Name.SQL(), predicate, list, t.Number, predicate, strings.Join(on, " AND "), t.Name.SQL())
}
