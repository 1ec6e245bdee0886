package sequence

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

var (
	//go:embed sql/load.sql
	loadSQL string
	//go:embed sql/locks.sql
	locksSQL string
	//go:embed sql/taken.sql
	takenSQL string
)

// Load reads which sequences a database has, without their values and, before 10, without their properties.
func Load(ctx context.Context, conn *pg.Conn) ([]*Sequence, error) {
	query := loadSQL
	if conn.Version >= 100000 {
		query = strings.NewReplacer(
			"/*properties*/", "LEFT JOIN pg_catalog.pg_sequence p ON p.seqrelid = s.oid", "/*type*/'bigint'", "coalesce(pg_catalog.format_type(p.seqtypid, NULL), '')",
			"/*increment*/0", "p.seqincrement", "/*min*/0", "p.seqmin", "/*max*/0", "p.seqmax", "/*start*/0", "p.seqstart", "/*cache*/0", "p.seqcache", "/*cycle*/false", "p.seqcycle",
		).Replace(query)
	}
	var sequences []*Sequence
	err := conn.Each(ctx, query, nil, func(rows pgx.Rows) error {
		var s Sequence
		var schemas, tables []string
		err := rows.Scan(&s.OID, &s.Schema, &s.Relation, &s.role, &s.Owner.Schema, &s.Owner.Relation, &s.Column, &s.ColumnType, &s.visible, &s.readable, &s.settable,
			&schemas, &tables, &s.Type, &s.Increment, &s.Min, &s.Max, &s.Start, &s.CacheSize, &s.Cycle)
		for i := range schemas {
			s.Users = append(s.Users, catalog.Name{Schema: schemas[i], Relation: tables[i]})
		}
		sequences = append(sequences, &s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sequences of the %s: %w", conn.Side, err)
	}
	return sequences, nil
}

// Look reads the source's sequences that are wanted, and those of the target that belong to them. What is wrong with one keeps none of the
// others from being read.
func Look(ctx context.Context, src, dst *pg.Conn, wanted func(*Sequence) bool) ([]*Pair, error) {
	source, err := Load(ctx, src)
	if err != nil {
		return nil, err
	}
	source = slices.DeleteFunc(source, func(s *Sequence) bool { return !wanted(s) })
	if len(source) == 0 {
		return nil, nil
	}
	target, err := Load(ctx, dst)
	if err != nil {
		return nil, err
	}
	pairs := match(source, target)
	if err := read(ctx, src, source); err != nil {
		return nil, err
	}
	target = nil
	for _, p := range pairs {
		if p.Target != nil {
			target = append(target, p.Target)
		}
	}
	if err := read(ctx, dst, target); err != nil {
		return nil, err
	}
	// What was dropped or renamed in the midst of it is for the next look.
	pairs = slices.DeleteFunc(pairs, func(p *Pair) bool { return p.Source.vanished() || p.Target.vanished() })
	return pairs, lookForTaken(ctx, dst, pairs)
}

// vanished says whether the sequence was there when the catalog was read, and not when it was itself.
func (s *Sequence) vanished() bool {
	return s != nil && (pg.State(s.failure) == pg.UndefinedTable || pg.State(s.failure) == internalError)
}

// internalError is what a server says of a relation that is dropped while a statement opens it.
const internalError = "XX000"

// Modes of locks on a sequence that keep others from reading it, or from setting it: TRUNCATE … RESTART IDENTITY and ALTER SEQUENCE.
var (
	closedToReaders = []string{"AccessExclusiveLock"}
	closedToWriters = []string{"AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock"}
)

// together is how many sequences one statement reads.
const together = 100

// read reads where the sequences stand. Those that are locked or closed to us are left out, for they would fail the others.
func read(ctx context.Context, conn *pg.Conn, sequences []*Sequence) error {
	if len(sequences) == 0 {
		return nil
	}
	byOID := make(map[uint32]*Sequence, len(sequences))
	for _, s := range sequences {
		byOID[s.OID] = s
	}
	modes := closedToReaders
	if conn.Side == pg.Target {
		modes = closedToWriters
	}
	err := conn.Each(ctx, locksSQL, []any{modes}, func(rows pgx.Rows) error {
		var oid uint32
		var by string
		err := rows.Scan(&oid, &by)
		if s := byOID[oid]; s != nil {
			s.lockedBy = by
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read locks on sequences of the %s: %w", conn.Side, err)
	}
	open := slices.DeleteFunc(slices.Clone(sequences), func(s *Sequence) bool { return !s.visible || !s.readable || s.lockedBy != "" })
	for some := range slices.Chunk(open, together) {
		if err := readSome(ctx, conn, some); err != nil {
			return fmt.Errorf("read sequences of the %s: %w", conn.Side, err)
		}
	}
	return nil
}

// readSome reads sequences by one statement or, where that fails because of one of them, each by its own.
func readSome(ctx context.Context, conn *pg.Conn, sequences []*Sequence) error {
	selects := make([]string, len(sequences))
	for i, s := range sequences {
		// OFFSET 0 keeps the planner from taking all into one plan, at a cost that grows with the square of their number.
		selects[i] = fmt.Sprintf("(SELECT %d, last_value, is_called%s FROM %s OFFSET 0)", i, properties(conn), s.SQL())
	}
	// Somebody may have locked one just now, or put a view in its place.
	err := conn.Read(ctx, "SET LOCAL statement_timeout = '1s'", func(ctx context.Context) error {
		return conn.Each(ctx, strings.Join(selects, " UNION ALL "), nil, func(rows pgx.Rows) error {
			var i int
			into := []any{&i, new(int64), new(bool)}
			var p Properties
			if conn.Version < 100000 {
				into = append(into, &p.Increment, &p.Min, &p.Max, &p.Start, &p.CacheSize, &p.Cycle)
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			s := sequences[i]
			s.Value = Value{*into[1].(*int64), *into[2].(*bool)}
			if conn.Version < 100000 {
				p.Type = s.Type
				s.Properties = p
			}
			return nil
		})
	})
	switch {
	case err == nil || !Concerns(conn, err):
		return err
	case len(sequences) > 1:
		for i := range sequences {
			if err := readSome(ctx, conn, sequences[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	sequences[0].failure = err
	return nil
}

// properties are the columns that a sequence has of them.
func properties(conn *pg.Conn) string {
	if conn.Version >= 100000 {
		return ""
	}
	return ", increment_by, min_value, max_value, start_value, cache_value, is_cycled"
}

// Concerns says whether a statement on sequences failed because of one of them, and the session goes on.
func Concerns(conn *pg.Conn, err error) bool {
	state := pg.State(err)
	switch {
	case state == "" || conn.IsClosed():
		return false
	case state == pg.QueryCanceled, state == pg.LockNotAvailable, // locked
		state == internalError,         // dropped in the midst of it
		strings.HasPrefix(state, "58"): // its file is damaged
		return true
	}
	return !pg.Transient(err)
}

// lookForTaken finds out what stands in the place of the sequences that the target lacks.
func lookForTaken(ctx context.Context, dst *pg.Conn, pairs []*Pair) error {
	var schemas, relations []string
	byName := map[catalog.Name]*Pair{}
	for _, p := range pairs {
		if p.Target == nil {
			schemas, relations = append(schemas, p.Source.Schema), append(relations, p.Source.Relation)
			byName[p.Source.Name] = p
		}
	}
	if len(schemas) == 0 {
		return nil
	}
	err := dst.Each(ctx, takenSQL, []any{schemas, relations}, func(rows pgx.Rows) error {
		var name catalog.Name
		var schema bool
		var kind catalog.Kind
		err := rows.Scan(&name.Schema, &name.Relation, &schema, &kind)
		if p := byName[name]; p != nil {
			p.noSchema, p.taken = !schema, kind
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look for names on the target: %w", err)
	}
	return nil
}
