package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/internal/pg"
)

// trap is the table that the target's triggers write to; the source has none.
const trap = "trigger_fired"

// contents is what a side holds.
type contents struct {
	tables    map[string]fingerprint
	sequences map[string]counter
}

type fingerprint struct {
	rows int64
	hash string // of all rows
}

type counter struct {
	LastValue int64
	IsCalled  bool
}

func (c contents) rows() (n int64) {
	for _, f := range c.tables {
		n += f.rows
	}
	return n
}

// readBoth reads both sides at once. It is the independent look: it shares no query with pgibex verify.
func readBoth(ctx context.Context, sourceDSN, targetDSN string) (source, target contents, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { source, err = read(ctx, sourceDSN); return err })
	group.Go(func() (err error) { target, err = read(ctx, targetDSN); return err })
	err = group.Wait()
	return source, target, err
}

func read(ctx context.Context, dsn string) (c contents, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return c, err
	}
	defer closeConn(ctx, conn)
	if c.tables, err = readTables(ctx, conn); err != nil {
		return c, err
	}
	c.sequences, err = readSequences(ctx, conn)
	return c, err
}

// column is a row of columns.sql.
type column struct {
	Table, Name string
	Float       bool
}

func readTables(ctx context.Context, conn *pgx.Conn) (map[string]fingerprint, error) {
	rows, err := conn.Query(ctx, script("columns"))
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	listed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	columns := map[string][]string{}
	for _, c := range listed {
		expression := pg.Ident(c.Name)
		if c.Float {
			expression = "float8send(" + expression + ")"
		}
		columns[c.Table] = append(columns[c.Table], expression)
	}
	tables := map[string]fingerprint{}
	for table, expressions := range columns {
		sql := pg.Fill(script("fingerprint"), "columns", strings.Join(expressions, ", "), "table", pg.Ident(table))
		var f fingerprint
		if err := conn.QueryRow(ctx, sql).Scan(&f.rows, &f.hash); err != nil {
			return nil, fmt.Errorf("reading %s: %w", table, err)
		}
		tables[table] = f
	}
	return tables, nil
}

func readSequences(ctx context.Context, conn *pgx.Conn) (map[string]counter, error) {
	rows, err := conn.Query(ctx, script("sequences"))
	if err != nil {
		return nil, fmt.Errorf("listing the sequences: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("listing the sequences: %w", err)
	}
	sequences := map[string]counter{}
	for _, name := range names {
		var c counter
		if err := conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+pg.Ident(name)).Scan(&c.LastValue, &c.IsCalled); err != nil {
			return nil, fmt.Errorf("reading sequence %s: %w", name, err)
		}
		sequences[name] = c
	}
	return sequences, nil
}

// differences names each table and sequence that is not the same on both sides, and what should not have happened.
func differences(source, target contents) (found []error) {
	for _, name := range slices.Sorted(maps.Keys(source.tables)) {
		s := source.tables[name]
		switch t, ok := target.tables[name]; {
		case !ok:
			found = append(found, fmt.Errorf("table %s is missing on the target", name))
		case s.rows != t.rows:
			found = append(found, fmt.Errorf("table %s has %d rows on the source, %d on the target", name, s.rows, t.rows))
		case s.hash != t.hash:
			found = append(found, fmt.Errorf("table %s has %d rows on both sides, but not the same", name, s.rows))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(source.sequences)) {
		if s, t := source.sequences[name], target.sequences[name]; s != t {
			found = append(found, fmt.Errorf("sequence %s is at %d (is_called %t) on the source, at %d (is_called %t) on the target",
				name, s.LastValue, s.IsCalled, t.LastValue, t.IsCalled))
		}
	}
	if fired := target.tables[trap].rows; fired > 0 {
		found = append(found, fmt.Errorf("a trigger of the target fired %d times: see its table %s", fired, trap))
	}
	return found
}
