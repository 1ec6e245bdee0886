package snapshot

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// A table in use is repaired chunk by chunk: first the source's rows are merged into it, by whoever calls, then it is swept: its
// own blocks are read, and the rows whose keys the source does not have any more are deleted. Chunk and sweep are marked as a
// batch's rows are. Readers see rows as they were or as they are, never an empty table.

// Rows reads a chunk's rows, each behind the mark of one that is there.
func (l *Loader) Rows(src *pg.Conn, t Table, c Chunk, clock Clock) change.CopyFunc {
	return func(ctx context.Context, w io.Writer) error {
		defer src.Rollback(ctx)
		if _, err := t.open(ctx, src, c, clock); err != nil {
			return err
		}
		return src.CopyRows(ctx, t.query(c, src.Version, "true"), 1, t.Source.KeyNames(), w)
	}
}

// Done notes a chunk as done, in the transaction of the target that merges its rows.
func (l *Loader) Done(number int, c Chunk) func(context.Context, *pg.Conn) error {
	return func(ctx context.Context, dst *pg.Conn) error { return l.done(ctx, dst, number, c, Copied{}) }
}

// Sweeps plans the sweep of a table whose other chunks are all done, or reads what is left of it.
func (l *Loader) Sweeps(ctx context.Context, dst *pg.Conn, t Table) (todo []Chunk, err error) {
	err = dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		if err := dst.Run(ctx, "LOCK TABLE ONLY "+t.Target.SQL()+" IN ACCESS SHARE MODE"); err != nil {
			return err
		}
		var heap, bytes int64
		if err := dst.QueryRow(ctx, filenodeSQL, t.Target.OID).Scan(&heap, &bytes); err != nil {
			return err
		}
		// What was planned for a heap that has been rewritten since counts for nothing.
		_, err := dst.Exec(ctx, l.Store.SQL("DELETE FROM {{schema}}.chunk WHERE number = $1 AND kind = 'sweep' AND filenode <> $2"), t.Number, heap)
		if err != nil {
			return err
		}
		var planned bool
		var last int
		err = dst.QueryRow(ctx, l.Store.SQL("SELECT coalesce(bool_or(kind = 'sweep'), false), coalesce(max(chunk), 0) FROM {{schema}}.chunk WHERE number = $1"), t.Number).Scan(&planned, &last)
		if err != nil || planned || bytes == 0 {
			return err
		}
		chunks := divide(sweep, 0, bytes/pg.BlockSize, (bytes+sweepSize-1)/sweepSize)
		for i := range chunks {
			chunks[i].Chunk += last
			chunks[i].Filenode = &heap
		}
		return l.insertChunks(ctx, dst, t.Number, chunks)
	})
	if err == nil {
		todo, _, err = l.Todo(ctx, dst, t.Number)
	}
	return todo, err
}

const filenodeSQL = "SELECT coalesce(pg_catalog.pg_relation_filenode($1::oid), 0)::bigint, coalesce(pg_catalog.pg_relation_size($1::oid), 0)"

// sweepSize is how many bytes of the target's heap are swept in one transaction.
const sweepSize = 8 << 20

// lookedUp is how many keys one statement asks the source for.
const lookedUp = 5000

// Gone reads the keys in a run of the target's blocks that the source has no row for, each behind the mark of one that is gone. The source's
// rows that its index does not find are spared. ErrRewritten if the blocks are those of another heap by now.
func (l *Loader) Gone(src, dst *pg.Conn, t Table, c Chunk, spared *Spared) change.CopyFunc {
	return func(ctx context.Context, w io.Writer) error {
		var same bool
		err := src.QueryRow(ctx, "SELECT $1::text::pg_catalog.regclass::oid = $2::oid", t.Source.SQL(), t.Source.OID).Scan(&same)
		if err != nil {
			return err
		}
		if !same {
			return change.ErrReplaced
		}
		s := sweeper{src: src, table: t, spared: spared, keys: make([][]string, len(t.Source.KeyColumns())), to: w}
		return dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			if err := dst.Run(ctx, "LOCK TABLE ONLY "+t.Target.SQL()+" IN ACCESS SHARE MODE"); err != nil {
				return err
			}
			var heap, bytes int64
			if err := dst.QueryRow(ctx, filenodeSQL, t.Target.OID).Scan(&heap, &bytes); err != nil {
				return err
			}
			if heap != *c.Filenode {
				return ErrRewritten
			}
			if err := dst.Each(ctx, t.keysSQL(c, dst), nil, func(rows pgx.Rows) error { return s.take(ctx, rows) }); err != nil {
				return err
			}
			return s.ask(ctx)
		})
	}
}

// keysSQL reads the keys of a run of the target's blocks, as text in the bytes that the source has for it.
func (t Table) keysSQL(c Chunk, dst *pg.Conn) string {
	var fields []string
	for _, column := range t.Source.KeyColumns() {
		field := catalog.KeyValue(column, *t.Target.Column(column.Name), pg.Ident(column.Name)) + "::text"
		if dst.Encoding != "" {
			field = fmt.Sprintf("pg_catalog.convert_to(%s, %s)", field, pg.Literal(dst.Encoding))
		}
		fields = append(fields, field)
	}
	return fmt.Sprintf("SELECT %s FROM ONLY %s WHERE %s", strings.Join(fields, ", "), t.Target.SQL(), pg.InBlocks(dst.Version, "ctid", *c.Low, *c.High))
}

// missingSQL numbers, of the keys given as one array of text for each column, those that the source has no row for, by its index or at one
// of the places given.
func (t Table) missingSQL(places []string) string {
	given, on := []string{"pg_catalog.unnest($1::int[]) AS n"}, []string{}
	for i, column := range t.Source.KeyColumns() {
		text := fmt.Sprintf("pg_catalog.unnest($%d::text[])", i+2)
		given = append(given, fmt.Sprintf("%s::%s AS k%d", text, column.BaseType, i+1))
		on = append(on, fmt.Sprintf("%s %s g.k%d", column.Comparable("t."+pg.Ident(column.Name)), t.Source.Key.Equal[i], i+1))
		if catalog.SameText(column, *t.Target.Column(column.Name)) { // format: a cast strips the blanks of a char(n)
			given = append(given, fmt.Sprintf("%s AS t%d", text, i+1))
			on = append(on, fmt.Sprintf("pg_catalog.format('%%s', t.%s) = g.t%d", pg.Ident(column.Name), i+1))
		}
	}
	query := fmt.Sprintf("SELECT g.n FROM (SELECT %s OFFSET 0) g LEFT JOIN ONLY %s t ON %s WHERE t.ctid IS NULL",
		strings.Join(given, ", "), t.Source.SQL(), strings.Join(on, " AND "))
	if len(places) > 0 {
		// Read apart, or the planner might look there by the index.
		query += fmt.Sprintf(" AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM ONLY %s WHERE ctid = ANY (%s::pg_catalog.tid[]) OFFSET 0) t WHERE %s)",
			t.Source.SQL(), pg.Literal(`{"`+strings.Join(places, `","`)+`"}`), strings.Join(on, " AND "))
	}
	return query
}

// sweeper asks the source for the keys it is given, many at a time, and writes those that are gone.
type sweeper struct {
	src    *pg.Conn
	table  Table
	spared *Spared
	keys   [][]string // of each column
	to     io.Writer
}

func (s *sweeper) take(ctx context.Context, rows pgx.Rows) error {
	values, fields := make([][]byte, len(s.keys)), make([]any, len(s.keys))
	for i := range values {
		fields[i] = &values[i]
	}
	if err := rows.Scan(fields...); err != nil {
		return err
	}
	for i, value := range values {
		s.keys[i] = append(s.keys[i], string(value))
	}
	if len(s.keys[0]) < lookedUp {
		return nil
	}
	return s.ask(ctx)
}

func (s *sweeper) ask(ctx context.Context) error {
	err := s.askFor(ctx, 0, len(s.keys[0]))
	for i := range s.keys {
		s.keys[i] = s.keys[i][:0]
	}
	return err
}

// askFor asks for some of the keys. One that the source's type can not hold has no row there.
func (s *sweeper) askFor(ctx context.Context, from, to int) error {
	if from == to {
		return nil
	}
	numbers := make([]int32, to-from)
	for i := range numbers {
		numbers[i] = int32(from + i)
	}
	args := []any{numbers}
	for _, keys := range s.keys {
		args = append(args, keys[from:to])
	}
	gone, err := s.missing(ctx, args)
	if err == nil && len(gone) > 0 && !s.spared.known { // seldom: only now it is worth knowing
		if err := s.spared.look(ctx, s.src, s.table); err != nil {
			return err
		}
		gone, err = s.missing(ctx, args)
	}
	switch {
	case err == nil:
		for _, n := range gone {
			if err := s.gone(n); err != nil {
				return err
			}
		}
		return nil
	case !strings.HasPrefix(pg.State(err), "22"):
		return err
	case to-from == 1:
		return s.gone(from)
	}
	half := from + (to-from)/2
	if err := s.askFor(ctx, from, half); err != nil {
		return err
	}
	return s.askFor(ctx, half, to)
}

func (s *sweeper) missing(ctx context.Context, args []any) (gone []int, err error) {
	err = s.src.Read(ctx, "", func(ctx context.Context) error {
		return s.src.Each(ctx, s.table.missingSQL(s.spared.places), args, func(rows pgx.Rows) error {
			var n int
			err := rows.Scan(&n)
			gone = append(gone, n)
			return err
		})
	})
	return gone, err
}

// Spared are the places of the source's rows that a look-up by their keys does not find: their keys are not gone. It is filled when the first
// key of a table's sweep seems to be gone, and how far it is filled is kept where that was given up for somebody else.
type Spared struct {
	known  bool
	next   int64 // block
	places []string
}

// Places are how many rows are spared.
func (s *Spared) Places() int { return len(s.places) }

// sparedRun is how many blocks one statement looks at.
const sparedRun = 2048

func (s *Spared) look(ctx context.Context, src *pg.Conn, t Table) error {
	complete, known, err := t.Source.Complete(ctx, src, completeWithin)
	if err != nil {
		return err
	}
	var blocks int64
	if !known || !complete {
		err := src.QueryRow(ctx, "SELECT coalesce(pg_catalog.pg_relation_size($1::oid) / $2::bigint, 0)", t.Source.OID, pg.BlockSize).Scan(&blocks)
		if err != nil {
			return err
		}
	}
	for ; s.next < blocks; s.next += sparedRun {
		found, err := t.Source.Unindexed(ctx, src, s.next, min(s.next+sparedRun, blocks))
		if err != nil {
			return err
		}
		for _, u := range found {
			s.places = append(s.places, u.CTID)
		}
	}
	s.known = true
	return nil
}

func (s *sweeper) gone(n int) error {
	row := make([]string, len(s.keys))
	for i := range row {
		row[i] = pg.CopyField(s.keys[i][n])
	}
	_, err := io.WriteString(s.to, change.MarkGone+strings.Join(row, "\t")+"\n")
	return err
}
