package catalog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

// The index of a key may lack rows of its table: a collation was changed under it, or a bug has built it so (CREATE INDEX CONCURRENTLY
// before 9.2.3). Whoever looks a row up by its key does not find it then, and whoever reads the table does.

// unchangingSQL: nothing in the system can change the order of the columns $2 of the table $1: no collation but C decides it.
const unchangingSQL = `SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute
	WHERE attrelid = $1 AND attnum = ANY ($2) AND attcollation NOT IN (0, 950, 951) AND NOT (attcollation = 100
	  AND (SELECT datcollate IN ('C', 'POSIX') FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))`

// Complete says whether the index has as many rows as the heap, in one snapshot. known is false where that cannot be told within the time,
// or says too little: an index whose order was changed under it has all rows and finds few. Nothing speaks for an index that is not the
// one which is counted, or not the one that look-ups go by, as where another one is smaller: it does not count as complete.
func (t *Table) Complete(ctx context.Context, conn *pg.Conn, within time.Duration) (complete, known bool, err error) {
	var unchanging bool
	if err := conn.QueryRow(ctx, unchangingSQL, t.OID, t.Key.Columns).Scan(&unchanging); err != nil || !unchanging {
		return false, false, err
	}
	keys := make([]string, len(t.Key.Columns))
	for i, name := range t.KeyNames() {
		keys[i] = pg.Ident(name)
	}
	// A column that no index has makes the first read the heap; only an index has the second's order without sorting.
	query := fmt.Sprintf("SELECT (SELECT count(ctid) FROM ONLY %[1]s) = (SELECT count(*) FROM (SELECT 1 FROM ONLY %[1]s ORDER BY %[2]s OFFSET 0) i)",
		t.SQL(), strings.Join(keys, ", "))
	settings := fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off",
		within.Milliseconds())
	if by, err := t.LookedUpBy(ctx, conn); err != nil || by != t.Key.Index {
		return false, true, err
	}
	err = conn.Read(ctx, settings, func(ctx context.Context) error {
		if by, err := conn.IndexesOf(ctx, query); err != nil || len(by) != 1 || by[0] != t.Key.Index {
			return err
		}
		return conn.QueryRow(ctx, query).Scan(&complete)
	})
	if pg.State(err) == pg.QueryCanceled && ctx.Err() == nil {
		return false, false, nil
	}
	return complete, err == nil, err
}

// Unindexed is a row that a look-up by its key does not find.
type Unindexed struct {
	CTID string
	Key  []string // the text of each column
}

// lookingUp are the settings of a batch that matter for which index its look-ups go by.
const lookingUp = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"

// LookedUpBy is the index that a look-up by the key goes by: that of the key, unless the planner likes another one better; "" if there is no such one.
func (t *Table) LookedUpBy(ctx context.Context, conn *pg.Conn) (index string, err error) {
	err = conn.Read(ctx, lookingUp, func(ctx context.Context) error {
		by, err := conn.IndexesOf(ctx, t.unindexedSQL(conn.Version, 0, 1))
		if len(by) == 1 {
			index = by[0]
		}
		return err
	})
	return index, err
}

// Unindexed reads which rows in a run of blocks, to excluded, a look-up by their keys does not find.
func (t *Table) Unindexed(ctx context.Context, conn *pg.Conn, from, to int64) (found []Unindexed, err error) {
	err = conn.Read(ctx, lookingUp, func(ctx context.Context) error {
		return conn.Each(ctx, t.unindexedSQL(conn.Version, from, to), nil, func(rows pgx.Rows) error {
			u := Unindexed{Key: make([]string, len(t.Key.Columns))}
			fields := []any{&u.CTID}
			for i := range u.Key {
				fields = append(fields, &u.Key[i])
			}
			err := rows.Scan(fields...)
			found = append(found, u)
			return err
		})
	})
	return found, err
}

// unindexedSQL reads the heap apart, lest the planner takes the index for the way to it as well; and IS FALSE, because a comparison by = would be
// a way to the row beside the index.
func (t *Table) unindexedSQL(version int, from, to int64) string {
	keys, fields, on := []string{"ctid"}, []string{"h.ctid::text"}, []string{}
	for i, c := range t.KeyColumns() {
		name := pg.Ident(c.Name)
		keys = append(keys, fmt.Sprintf("%s AS k%d", name, i+1))
		fields = append(fields, fmt.Sprintf("h.k%d::text", i+1))
		on = append(on, fmt.Sprintf("%s %s %s", c.Comparable("i."+name), t.Key.Equal[i], c.Comparable(fmt.Sprintf("h.k%d", i+1))))
	}
	return fmt.Sprintf("SELECT %s FROM (SELECT %s FROM ONLY %[3]s WHERE %[4]s OFFSET 0) h WHERE NOT EXISTS (SELECT 1 FROM ONLY %[3]s i WHERE %[5]s AND (i.ctid <> h.ctid) IS FALSE)",
		strings.Join(fields, ", "), strings.Join(keys, ", "), t.SQL(), pg.InBlocks(version, "ctid", from, to), strings.Join(on, " AND "))
}
