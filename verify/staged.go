package verify

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

// counter counts rows on their way: each Write is one.
type counter struct {
	to   io.Writer
	rows int64
}

func (c *counter) Write(row []byte) (int, error) {
	c.rows++
	return c.to.Write(row)
}

// compareStaged compares a table whose keys have no order that both sides agree on: key and hash of each row of the source
// go to a temporary table on the target, which joins them with its own by the equality of its own index.
func (j *job) compareStaged(ctx context.Context) error {
	source, target := j.table.source, j.table.target
	fields := make([]string, len(target.key))
	for i, alias := range target.aliases("") {
		fields[i] = alias + " " + target.key[i].Base
	}
	query := fmt.Sprintf("SELECT %s, %s FROM %s", strings.Join(source.keys("t."), ", "), source.hash(), source.rows())
	return j.stage(ctx, strings.Join(fields, ", ")+", h uuid", func(ctx context.Context) error {
		return j.readBlocks(ctx, query)
	}, stagedSQL(source, target))
}

// stagedSQL gives the keys of the rows that differ, as their types' output functions write them: a cast to text would strip the
// blanks of a char(n); the source's type can read them. The join reads each side once, by hash or merge: a nested loop can not do
// a full join. DISTINCT, because a row that moves to another block while the source is read may be read twice.
func stagedSQL(source, target *side) string {
	keys := make([]string, len(target.key))
	for i, alias := range target.aliases("") {
		key := fmt.Sprintf("coalesce(s.%s, d.%s)", alias, alias)
		keys[i] = fmt.Sprintf("format('%%s', %s)", catalog.KeyValue(source.key[i], target.key[i], key))
	}
	return fmt.Sprintf("SELECT DISTINCT %s FROM pg_temp.verify_source s FULL JOIN (SELECT %s, %s::uuid AS h FROM %s OFFSET 0) d ON %s WHERE s.h IS DISTINCT FROM d.h",
		strings.Join(keys, ", "), as(target.keys("t."), target.aliases("")), target.hash(), target.rows(), target.sameKey(target.aliases("d."), "s."))
}

// compareImages compares a table without a key as a multiset of rows. It has to be read in one snapshot: a row that moves while its
// blocks are read one after the other could not be told from two.
func (j *job) compareImages(ctx context.Context) error {
	source, target := j.table.source, j.table.target
	query := fmt.Sprintf("SELECT %s FROM %s", source.hash(), source.rows())
	differing := fmt.Sprintf(`SELECT replace(coalesce(s.h, d.h)::text, '-', '')
		FROM (SELECT h, count(*) AS n FROM pg_temp.verify_source GROUP BY h) s
		FULL JOIN (SELECT h, count(*) AS n FROM (SELECT %s::uuid AS h FROM %s OFFSET 0) i GROUP BY h) d ON d.h = s.h
		WHERE s.n IS DISTINCT FROM d.n`, target.hash(), target.rows())
	return j.stage(ctx, "h uuid", func(ctx context.Context) error {
		rows, err := j.send(ctx, query)
		j.advance(rows)
		return err
	}, differing)
}

// stage fills the temporary table, and suspects the keys that the query finds.
func (j *job) stage(ctx context.Context, fields string, fill func(context.Context) error, differing string) error {
	err := j.target.Run(ctx, "CLOSE ALL; "+dropStage+"; CREATE TEMP TABLE verify_source ("+fields+")")
	if err != nil {
		return err
	}
	if err := fill(ctx); err != nil {
		return err
	}
	for _, sql := range []string{"ANALYZE pg_temp.verify_source", "DECLARE differing CURSOR WITH HOLD FOR " + differing, dropStage} {
		if err := j.target.Run(ctx, sql); err != nil {
			return err
		}
	}
	for done := false; !done; {
		var keys [][]string
		err := j.target.Each(ctx, fmt.Sprintf("FETCH %d FROM differing", settleAt), nil, func(rows pgx.Rows) error {
			key := make([]string, len(rows.RawValues()))
			for i, value := range rows.RawValues() {
				key[i] = string(value)
			}
			keys = append(keys, key)
			return nil
		})
		if err != nil {
			return err
		}
		if err := j.suspect(ctx, keys...); err != nil {
			return err
		}
		done = len(keys) < settleAt
	}
	return j.target.Run(ctx, "CLOSE ALL")
}

const dropStage = "DROP TABLE IF EXISTS pg_temp.verify_source"

// send copies the rows of a query on the source to the temporary table, and returns their number.
func (j *job) send(ctx context.Context, query string) (int64, error) {
	count := counter{}
	err := pg.Pipe(ctx, func(ctx context.Context, w io.Writer) error {
		count.to = w
		return j.source.Read(ctx, "", func(ctx context.Context) error {
			return j.source.CopyOut(ctx, "COPY ("+query+") TO STDOUT", &count)
		})
	}, func(ctx context.Context, r io.Reader) error {
		_, err := j.target.CopyIn(ctx, "COPY pg_temp.verify_source FROM STDIN", r)
		return err
	})
	return count.rows, err
}

const (
	firstBlocks = 256
	maxBlocks   = 8192 // as a list of ctids these are 14 MB
)

// readBlocks sends the rows in short statements, a run of blocks each; all at once where they are few. What is written behind the last one meanwhile becomes
// a candidate like any other change.
func (j *job) readBlocks(ctx context.Context, query string) error {
	var blocks, bytes int64
	err := j.source.QueryRow(ctx, "SELECT coalesce(pg_relation_size($1::oid) / $2::bigint, 0), coalesce(pg_table_size($1::oid), 0)",
		j.table.source.OID, pg.BlockSize).Scan(&blocks, &bytes)
	if err != nil {
		return err
	}
	if bytes <= firstBytes {
		rows, err := j.send(ctx, query)
		j.advance(rows)
		return err
	}
	run := startAt(firstBlocks, blocks, bytes)
	for from := int64(0); from < blocks; {
		to := min(from+run, blocks)
		began := time.Now()
		rows, err := j.send(ctx, query+" WHERE "+pg.InBlocks(j.source.Version, "t.ctid", from, to))
		if err != nil {
			return err
		}
		j.advance(rows)
		from, run = to, min(adapt(run, time.Since(began)), maxBlocks)
	}
	return nil
}
