package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// lookupKeys is how many keys one statement looks up.
const lookupKeys = 1000

// absent is the state of a key that has no row.
const absent = ""

// lookup reads the present state of the candidates' rows in one snapshot: the hash of each row, absent where there is none; of a table
// without a key, how many rows have the image.
func lookup(ctx context.Context, conn *pg.Conn, s *side, candidates []candidate) (states []string, at change.Snapshot, err error) {
	states = make([]string, len(candidates))
	err = conn.Read(ctx, pinned, func(ctx context.Context) error {
		if conn.Side == pg.Source {
			if at, err = snapshot(ctx, conn); err != nil {
				return err
			}
		}
		if len(s.key) == 0 {
			return countImages(ctx, conn, s, candidates, states)
		}
		return byKey(ctx, conn, s, candidates, s.hash(), states)
	})
	return states, at, err
}

func snapshot(ctx context.Context, conn *pg.Conn) (change.Snapshot, error) {
	var text string
	if err := conn.QueryRow(ctx, "SELECT txid_current_snapshot()::text").Scan(&text); err != nil {
		return change.Snapshot{}, err
	}
	return change.ParseSnapshot(text)
}

// byKey puts the value of each candidate's row in its place; those of candidates without a row stay as they are.
func byKey[T any](ctx context.Context, conn *pg.Conn, s *side, candidates []candidate, value string, values []T) error {
	query := lookupSQL(s, value)
	for from := 0; from < len(candidates); from += lookupKeys {
		piece := candidates[from:min(from+lookupKeys, len(candidates))]
		numbers := make([]int32, len(piece))
		for i := range piece {
			numbers[i] = int32(from + i)
		}
		args := []any{numbers}
		for k := range s.key {
			fields := make([]string, len(piece))
			for i, c := range piece {
				fields[i] = c.key[k]
			}
			args = append(args, fields)
		}
		err := conn.Each(ctx, query, args, func(rows pgx.Rows) error {
			var n int
			var v T
			if err := rows.Scan(&n, &v); err != nil {
				return err
			}
			values[n] = v
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookupSQL finds rows by keys given as text, one array for each column of the key. 9.2 has no unnest of several arrays;
// set-returning functions side by side in a select list are stepped together where their lengths are the same.
func lookupSQL(s *side, value string) string {
	given := []string{"unnest($1::int[]) AS n"}
	for i, alias := range s.aliases("") {
		given = append(given, fmt.Sprintf("%s::%s AS %s", s.received(fmt.Sprintf("unnest($%d::text[])", i+2)), s.key[i].BaseType, alias))
	}
	return fmt.Sprintf("SELECT g.n, %s FROM (SELECT %s OFFSET 0) g JOIN %s ON %s",
		value, strings.Join(given, ", "), s.rows(), s.sameKey(s.keys("t."), "g."))
}

func countImages(ctx context.Context, conn *pg.Conn, s *side, candidates []candidate, states []string) error {
	wanted := make([]string, len(candidates))
	index := make(map[string]int, len(candidates))
	for i, c := range candidates {
		wanted[i], index[c.key[0]] = c.key[0], i
	}
	query := fmt.Sprintf("SELECT h, count(*)::text FROM (SELECT %s AS h FROM %s OFFSET 0) i WHERE h = ANY ($1) GROUP BY h", s.hash(), s.rows())
	return conn.Each(ctx, query, []any{wanted}, func(rows pgx.Rows) error {
		var hash, count string
		if err := rows.Scan(&hash, &count); err != nil {
			return err
		}
		states[index[hash]] = count
		return nil
	})
}
