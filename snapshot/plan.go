// Package snapshot copies tables, at first and whenever one is to be copied once more: it plans a table as chunks, copies them, each in a short transaction of its own on
// either side, and builds afterwards what was dropped for speed. A chunk is recorded as done in the target
// transaction that brings its rows, so a crash loses no more than the chunks in flight.
//
// Chunks are copied from different snapshots. That is sound because every change since before the first of them is
// recorded by capture, which the package knows nothing of: it must not read deltas.
package snapshot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// Table is one table to be copied. Source carries the key that is captured; columns to be left out are marked
// as generated in it.
type Table struct {
	Number int
	Source *catalog.Table
	Target *catalog.Table
	Method state.Method
}

// columns are those copied, the key's first.
func (t Table) columns() []string {
	names := t.Source.KeyNames()
	isKey := map[string]bool{}
	for _, name := range names {
		isKey[name] = true
	}
	for _, c := range t.Source.Stored() {
		if !isKey[c.Name] {
			names = append(names, c.Name)
		}
	}
	return names
}

// Chunk is a part of a table: all of it, a range of key values, or a range of blocks, of the target's table in a sweep. Low is
// included, High is not; nil is unbounded.
type Chunk struct {
	Chunk     int
	Kind      string // "table", "key", "block", "sweep"
	Low, High *int64
	Filenode  *int64 // of the heap whose blocks are counted
}

// The kinds of chunks.
const (
	wholeTable = "table"
	keyRange   = "key"
	blockRange = "block"
	sweep      = "sweep"
)

// IsSweep says whether the chunk is one of the target's blocks, in which rows are looked for that the source does not have.
func (c Chunk) IsSweep() bool { return c.Kind == sweep }

// Loader copies the tables of one stream.
type Loader struct {
	Store     *state.Store
	ChunkSize int64         // bytes of table, its TOAST included, that a chunk shall have
	ChunkTime time.Duration // a chunk that takes several times as long is split
}

// Sizes are what planning a copy goes by.
type Sizes struct {
	Filenode    int64 // of the heap, read before its size
	Heap, Total int64 // bytes; Total with TOAST, without indexes
	Rows        int64 // the planner's estimate, 0 where it has none
}

// Measure reads the size of a table on the source.
func (l *Loader) Measure(ctx context.Context, src *pg.Conn, t Table) (Sizes, error) {
	s := Sizes{Rows: t.Source.Rows}
	err := src.QueryRow(ctx, "SELECT coalesce(pg_catalog.pg_relation_filenode($1::oid), 0)::bigint, coalesce(pg_catalog.pg_relation_size($1::oid), 0), coalesce(pg_catalog.pg_table_size($1::oid), 0)",
		t.Source.OID).Scan(&s.Filenode, &s.Heap, &s.Total)
	return s, err
}

// Plan divides a table into chunks. A table without a key is one chunk, because its deltas are told apart from its
// rows by one snapshot; so is a small one.
func (l *Loader) Plan(ctx context.Context, src *pg.Conn, t Table, sizes Sizes) ([]Chunk, error) {
	if t.Source.Key == nil || sizes.Total <= l.ChunkSize || sizes.Heap <= pg.BlockSize {
		return []Chunk{{Chunk: 1, Kind: wholeTable}}, nil
	}
	wanted := (sizes.Total + l.ChunkSize - 1) / l.ChunkSize
	clustered, err := l.clustered(ctx, src, t)
	if err != nil {
		return nil, fmt.Errorf("plan the copy of %s: %w", t.Source.Name, err)
	}
	if !clustered {
		return sizes.blocks(wanted), nil
	}
	var low, high *int64
	key := pg.Ident(t.Source.KeyNames()[0])
	err = src.Read(ctx, "", func(ctx context.Context) error {
		return src.QueryRow(ctx, fmt.Sprintf("SELECT min(%s)::bigint, max(%s)::bigint FROM ONLY %s", key, key, t.Source.SQL())).Scan(&low, &high)
	})
	if err != nil {
		return nil, fmt.Errorf("plan the copy of %s: %w", t.Source.Name, err)
	}
	if low == nil || *high-*low < wanted || *high-*low < 0 { // empty, few values, or a span beyond bigint
		return sizes.blocks(wanted), nil
	}
	return divide(keyRange, *low, *high, wanted), nil // the last chunk has no upper bound
}

// completeWithin bounds the statement that counts a table's rows before its copy.
const completeWithin = 5 * time.Second

func (s Sizes) blocks(wanted int64) []Chunk {
	chunks := divide(blockRange, 0, s.Heap/pg.BlockSize, wanted)
	for i := range chunks {
		chunks[i].Filenode = &s.Filenode
	}
	return chunks
}

// clustered says whether the heap's order follows a key that is one integer: then a range of the key is a run of the heap, and reading it by
// the index costs half of what reading blocks does (before 14). Not where the index is known to lack rows, and not for a repair, which
// is asked for when something is wrong.
func (l *Loader) clustered(ctx context.Context, src *pg.Conn, t Table) (bool, error) {
	key := t.Source.KeyColumns()
	if len(key) != 1 {
		return false, nil
	}
	switch key[0].BaseType {
	case "smallint", "integer", "bigint":
	default:
		return false, nil
	}
	var correlation float64
	err := src.QueryRow(ctx, "SELECT coalesce(max(abs(correlation)), 0)::float8 FROM pg_catalog.pg_stats WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND NOT inherited",
		t.Source.Schema, t.Source.Relation, key[0].Name).Scan(&correlation)
	if err != nil || correlation <= 0.9 || t.Method == state.Repair {
		return false, err
	}
	complete, known, err := t.Source.Complete(ctx, src, completeWithin)
	return complete || !known, err
}

// divide cuts the range from low to before high into about as many chunks as wanted. Of a key's range the outermost are
// unbounded: nothing may fall beside.
func divide(kind string, low, high, wanted int64) []Chunk {
	if kind == keyRange && low >= high {
		return []Chunk{{Chunk: 1, Kind: wholeTable}}
	}
	width := max((high-low)/wanted, 1)
	var chunks []Chunk
	for at := low; at < high; at += width {
		end := at + width
		chunk := Chunk{Chunk: len(chunks) + 1, Kind: kind, Low: &at, High: &end}
		if kind == keyRange && at == low {
			chunk.Low = nil
		}
		if end >= high || end < at {
			if kind == keyRange {
				chunk.High = nil
			} else {
				chunk.High = &high
			}
			return append(chunks, chunk)
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

// query selects the chunk's rows, behind what is to be selected first.
func (t Table) query(c Chunk, version int, first ...string) string {
	names := t.columns()
	for i, name := range names {
		names[i] = pg.Ident(name)
	}
	columns := strings.Join(append(first, names...), ", ")
	if columns == "" {
		columns = "''::text" // COPY writes it as it writes a row without columns; 9.2 has no empty select list
	}
	query := fmt.Sprintf("SELECT %s FROM ONLY %s", columns, t.Source.SQL())
	switch c.Kind {
	case keyRange:
		var bounds []string
		key := pg.Ident(t.Source.KeyNames()[0])
		if c.Low != nil {
			bounds = append(bounds, fmt.Sprintf("%s >= %d", key, *c.Low))
		}
		if c.High != nil {
			bounds = append(bounds, fmt.Sprintf("%s < %d", key, *c.High))
		}
		if len(bounds) > 0 {
			query += " WHERE " + strings.Join(bounds, " AND ")
		}
	case blockRange:
		query += " WHERE " + pg.InBlocks(version, "ctid", *c.Low, *c.High)
	}
	return query
}
