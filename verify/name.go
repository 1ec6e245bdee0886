package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

// imageLength is how much of a row without a key is shown, in characters.
const imageLength = 200

func (j *job) name(ctx context.Context, verdicts []verdict) ([]Difference, error) {
	if len(verdicts) == 0 {
		return nil, nil
	}
	candidates := make([]candidate, len(verdicts))
	for i, v := range verdicts {
		candidates[i] = v.candidate
	}
	if len(j.table.source.key) == 0 {
		return j.nameImages(ctx, verdicts, candidates)
	}
	source, err := columnHashes(ctx, j.source, j.table.source, candidates)
	if err != nil {
		return nil, err
	}
	target, err := columnHashes(ctx, j.target, j.table.target, candidates)
	if err != nil {
		return nil, err
	}
	differences := make([]Difference, len(verdicts))
	for i, v := range verdicts {
		d := Difference{Key: j.table.source.describe(v.key), Kind: v.kind(), Rows: 1}
		for c := 0; d.Kind == Different && c < min(len(source[i]), len(target[i])); c++ {
			if source[i][c] != target[i][c] {
				d.Columns = append(d.Columns, j.table.source.columns[c])
			}
		}
		differences[i] = d
	}
	return differences, nil
}

// columnHashes are a hash of each compared column, of each candidate that has a row.
func columnHashes(ctx context.Context, conn *pg.Conn, s *side, candidates []candidate) ([][]string, error) {
	columns := make([]string, len(s.values))
	for i, value := range s.values {
		columns[i] = s.md5("ROW(" + value + ")::text")
	}
	hashes := make([][]string, len(candidates))
	err := conn.Read(ctx, pinned, func(ctx context.Context) error {
		return byKey(ctx, conn, s, candidates, "ARRAY["+strings.Join(columns, ", ")+"]", hashes)
	})
	return hashes, err
}

func (j *job) nameImages(ctx context.Context, verdicts []verdict, candidates []candidate) ([]Difference, error) {
	images := map[string]string{}
	if err := readImages(ctx, j.source, j.table.source, candidates, images); err != nil {
		return nil, err
	}
	if err := readImages(ctx, j.target, j.table.target, candidates, images); err != nil {
		return nil, err
	}
	differences := make([]Difference, len(verdicts))
	for i, v := range verdicts {
		d := Difference{Key: images[v.key[0]], Kind: Missing, Rows: j.rows(v)}
		if surplus(v) < 0 {
			d.Kind = Unexpected
		}
		if d.Key == "" { // gone meanwhile
			d.Key = "md5 " + v.key[0]
		}
		differences[i] = d
	}
	return differences, nil
}

func readImages(ctx context.Context, conn *pg.Conn, s *side, candidates []candidate, images map[string]string) error {
	wanted := make([]string, len(candidates))
	for i, c := range candidates {
		wanted[i] = c.key[0]
	}
	// What is shown is the row as it reads, not the form that is compared.
	shown := make([]string, len(s.columns))
	for i, name := range s.columns {
		shown[i] = "t." + pg.Ident(name)
	}
	query := fmt.Sprintf("SELECT h, min(image) FROM (SELECT %s AS h, left(%s, %d) AS image FROM %s OFFSET 0) i WHERE h = ANY ($1) GROUP BY h",
		s.hash(), s.sent("ROW("+strings.Join(shown, ", ")+")::text"), imageLength, s.rows())
	return conn.Read(ctx, "", func(ctx context.Context) error {
		return conn.Each(ctx, query, []any{wanted}, func(rows pgx.Rows) error {
			var hash, image string
			if err := rows.Scan(&hash, &image); err != nil {
				return err
			}
			images[hash] = strings.ToValidUTF8(image, "") // one that was cut by bytes
			return nil
		})
	})
}
