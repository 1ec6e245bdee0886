package verify

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

// keyRange is a run of integer keys, both ends included.
type keyRange struct{ from, to int64 }

var everything = keyRange{math.MinInt64, math.MaxInt64}

// sum is what the rows of a range amount to, in any order: their number, and two sums of 32 bits of their hashes.
type sum struct{ rows, first, second int64 }

const (
	stripeRows = 500_000 // of a table that is compared by several workers, each gets about as many at a time
	maxStripes = 64

	firstChunk = 2_000    // rows; chunks grow from there while they are read fast enough
	firstBytes = 64 << 20 // and are smaller at first where rows are so large that these would be more
)

// A statement on the source is to take between these: its snapshot holds back vacuum.
const (
	shortChunk = time.Second
	longChunk  = 5 * time.Second
)

// stripes cuts the keys evenly, which need not cut the rows evenly: there are more stripes than workers.
func (t *table) stripes(ctx context.Context, conn *pg.Conn) ([]keyRange, error) {
	n := min(t.source.Rows/stripeRows, maxStripes)
	if n < 2 {
		return []keyRange{everything}, nil
	}
	var low, high *int64
	k := t.source.keys("t.")[0]
	err := conn.Read(ctx, "", func(ctx context.Context) error {
		return conn.QueryRow(ctx, fmt.Sprintf("SELECT min(%s)::bigint, max(%s)::bigint FROM %s", k, k, t.source.rows())).Scan(&low, &high)
	})
	if err != nil || low == nil || high == nil {
		return []keyRange{everything}, err
	}
	return cut(keyRange{*low, *high}, n), nil
}

// cut divides a range into n, the outer ones open to where the target may have keys that the source has not.
func cut(r keyRange, n int64) []keyRange {
	width := (uint64(r.to) - uint64(r.from)) / uint64(n) // right even where the difference overflows an int64
	if width == 0 {
		return []keyRange{everything}
	}
	stripes := make([]keyRange, n)
	from := int64(math.MinInt64)
	for i := range stripes {
		end := int64(uint64(r.from) + uint64(i+1)*width)
		stripes[i] = keyRange{from, end}
		from = end + 1
	}
	stripes[n-1].to = math.MaxInt64
	return stripes
}

// compareRanges reads sums over ranges of the key on both sides, and the rows of the ranges whose sums differ.
func (j *job) compareRanges(ctx context.Context) error {
	var size int64
	if err := j.source.QueryRow(ctx, "SELECT coalesce(pg_table_size($1::oid), 0)", j.table.source.OID).Scan(&size); err != nil {
		return err
	}
	rows := startAt(firstChunk, j.table.source.Rows, size)
	for rest := j.keys; ; {
		rows = min(rows, j.options.ChunkRows)
		began := time.Now()
		source, end, err := j.sumUpTo(ctx, rest, rows)
		if err != nil {
			return err
		}
		rows = adapt(rows, time.Since(began))
		chunk := keyRange{rest.from, end}
		target, err := j.sumOf(ctx, chunk)
		if err != nil {
			return err
		}
		j.advance(source.rows)
		if source != target {
			if err := j.compareRows(ctx, chunk); err != nil {
				return err
			}
		}
		if chunk.to >= rest.to {
			return nil
		}
		rest.from = chunk.to + 1
	}
}

// startAt is the size of a first chunk, in rows or blocks, of a table that has so many of them in so many bytes, TOAST included.
func startAt(most, units, bytes int64) int64 {
	if bytes <= firstBytes {
		return most
	}
	return min(most, max(1, int64(float64(firstBytes)*float64(units)/float64(bytes))))
}

// adapt makes the next chunk take about as long as one should.
func adapt(size int64, took time.Duration) int64 {
	switch {
	case took < shortChunk:
		return size * 2
	case took > longChunk:
		return max(size/4, 1)
	}
	return size
}

// byRange pins the plan: what has never been analyzed must not be read as a whole for every range of it.
const byRange = "SET LOCAL enable_seqscan = off"

// sumUpTo sums up the first rows of the range on the source, and says where they end.
func (j *job) sumUpTo(ctx context.Context, r keyRange, limit int64) (s sum, end int64, err error) {
	err = j.source.Read(ctx, byRange, func(ctx context.Context) error {
		var last *int64
		err := j.source.QueryRow(ctx, sumSQL(j.table.source, r, fmt.Sprintf("ORDER BY k LIMIT %d", limit))).Scan(&s.rows, &s.first, &s.second, &last)
		if end = r.to; err == nil && s.rows == limit {
			end = *last
		}
		return err
	})
	return s, end, err
}

// sumOf sums up the range on the target.
func (j *job) sumOf(ctx context.Context, r keyRange) (s sum, err error) {
	err = j.target.Read(ctx, byRange, func(ctx context.Context) error {
		var last *int64
		return j.target.QueryRow(ctx, sumSQL(j.table.target, r, "OFFSET 0")).Scan(&s.rows, &s.first, &s.second, &last)
	})
	return s, err
}

// sumSQL keeps the subselect apart by its last clause, so that each row is hashed once. Sums of integer are bigint, which are much
// cheaper than the numeric that sums of bigint are.
func sumSQL(s *side, r keyRange, last string) string {
	return fmt.Sprintf(`SELECT count(*), coalesce(sum(('x' || substr(h, 1, 8))::bit(32)::integer), 0),
		coalesce(sum(('x' || substr(h, 9, 8))::bit(32)::integer), 0), max(k)::bigint
		FROM (%s %s) c`, rowsSQL(s, r), last)
}

// rowsSQL are key and hash of the rows of a range. The bounds are quoted, because a minus sign is not part of a number.
func rowsSQL(s *side, r keyRange) string {
	k := s.keys("t.")[0]
	return fmt.Sprintf("SELECT %s AS k, %s AS h FROM %s WHERE %s >= '%d'::bigint AND %s <= '%d'::bigint", k, s.hash(), s.rows(), k, r.from, k, r.to)
}

// compareRows reads the rows of a range on both sides, side by side, and suspects those that differ. When these become many they are
// settled first, in which both sessions are needed, and reading goes on behind.
func (j *job) compareRows(ctx context.Context, r keyRange) error {
	for {
		found, next, err := j.compareSome(ctx, r)
		if err != nil {
			return err
		}
		if err := j.suspect(ctx, found...); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		r.from = *next
	}
}

// compareSome stops at settleAt differing keys, and says where to go on.
func (j *job) compareSome(ctx context.Context, r keyRange) (found [][]string, next *int64, err error) {
	err = j.source.Read(ctx, byRange, func(ctx context.Context) error {
		return j.target.Read(ctx, byRange, func(ctx context.Context) error {
			source, err := openCursor(ctx, j.source, j.table.source, r)
			if err != nil {
				return err
			}
			defer source.rows.Close()
			target, err := openCursor(ctx, j.target, j.table.target, r)
			if err != nil {
				return err
			}
			defer target.rows.Close()
			found, next, err = merge(source, target)
			return err
		})
	})
	return found, next, err
}

func merge(source, target *cursor) (found [][]string, next *int64, err error) {
	for {
		if source.stopped() {
			return found, source.next(), nil
		}
		if target.stopped() {
			return found, target.next(), nil
		}
		if !source.there && !target.there {
			return found, nil, nil
		}
		key := target.key
		if source.there && (!target.there || source.key <= target.key) {
			key = source.key
		}
		if len(found) == settleAt {
			return found, &key, nil
		}
		inSource, inTarget := source.there && source.key == key, target.there && target.key == key
		if !inSource || !inTarget || source.hash != target.hash {
			found = append(found, []string{strconv.FormatInt(key, 10)})
		}
		if inSource {
			if err := source.step(); err != nil {
				return nil, nil, err
			}
		}
		if inTarget {
			if err := target.step(); err != nil {
				return nil, nil, err
			}
		}
	}
}

// cursorRows bounds what one cursor reads: closing it early would read the rest of the range, which on the target may be any number.
const cursorRows = 100_000

// cursor goes through the rows of a range in the order of the key.
type cursor struct {
	rows  pgx.Rows
	there bool
	read  int // rows
	key   int64
	hash  string
}

func openCursor(ctx context.Context, conn *pg.Conn, s *side, r keyRange) (*cursor, error) {
	query := fmt.Sprintf("SELECT k::bigint, h FROM (%s ORDER BY k LIMIT %d) c", rowsSQL(s, r), cursorRows)
	rows, err := conn.Query(ctx, query) //nolint:rowserrcheck // step does
	if err != nil {
		return nil, err
	}
	c := &cursor{rows: rows}
	if err := c.step(); err != nil {
		rows.Close()
		return nil, err
	}
	return c, nil
}

func (c *cursor) step() error {
	if c.there = c.rows.Next(); !c.there {
		return c.rows.Err()
	}
	c.read++
	return c.rows.Scan(&c.key, &c.hash)
}

// stopped says whether there may be more behind the last row that was read.
func (c *cursor) stopped() bool { return !c.there && c.read == cursorRows }

// next is the key to go on with; nil behind the largest that there is.
func (c *cursor) next() *int64 {
	if c.key == math.MaxInt64 {
		return nil
	}
	next := c.key + 1
	return &next
}
