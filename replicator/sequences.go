package replicator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

type sequenceValue struct {
	last   int64
	called bool
}

// syncSequences sets the target's sequences that have moved. Sequences move outside of transactions, on either side.
func (s *stream) syncSequences(ctx context.Context) error {
	sequences, err := s.selectedSequences(ctx)
	if err != nil || len(sequences) == 0 {
		return err
	}
	if s.upkeep.set == nil {
		target, err := readSequences(ctx, s.dst, sequences)
		if err != nil {
			return err
		}
		s.upkeep.set = target
	}
	values, err := readSequences(ctx, s.src, sequences)
	if err != nil {
		return err
	}
	for name, value := range values {
		if s.upkeep.set[name] == value {
			continue
		}
		if _, err := s.dst.Exec(ctx, "SELECT pg_catalog.setval($1::text::pg_catalog.regclass, $2, $3)", name.SQL(), value.last, value.called); err != nil {
			return fmt.Errorf("set sequence %s: %w", name, err)
		}
		s.upkeep.set[name] = value
	}
	return nil
}

// selectedSequences are those that exist on both sides and belong to a table of the stream, or to none and are
// included by the configuration themselves.
func (s *stream) selectedSequences(ctx context.Context) ([]catalog.Name, error) {
	source, err := catalog.Sequences(ctx, s.src)
	if err != nil {
		return nil, err
	}
	target, err := catalog.Sequences(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	var names []catalog.Name
	for _, sequence := range source {
		owned := sequence.Owner != catalog.Name{}
		mine := owned && slices.ContainsFunc(s.all, func(t *table) bool { return t.name == sequence.Owner }) ||
			!owned && s.r.config.Tables.Selects(sequence.Schema, sequence.Relation)
		there := slices.ContainsFunc(target, func(other catalog.Sequence) bool { return other.Name == sequence.Name })
		switch {
		case mine && there:
			names = append(names, sequence.Name)
		case mine && !s.upkeep.reported[sequence.String()]:
			s.upkeep.report(sequence.String())
			s.r.log.Warn("a sequence is missing on the target and is not set; create it there", "sequence", sequence.Name.String())
		}
	}
	return names, nil
}

func readSequences(ctx context.Context, conn *pg.Conn, names []catalog.Name) (map[catalog.Name]sequenceValue, error) {
	values := map[catalog.Name]sequenceValue{}
	for some := range slices.Chunk(names, 100) {
		selects := make([]string, len(some))
		for i, name := range some {
			selects[i] = fmt.Sprintf("SELECT %d, last_value, is_called FROM %s", i, name.SQL())
		}
		err := conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			// TRUNCATE … RESTART IDENTITY and ALTER SEQUENCE lock a sequence until they are committed.
			if err := conn.Run(ctx, "SET LOCAL statement_timeout = '1s'"); err != nil {
				return err
			}
			rows, err := conn.Query(ctx, strings.Join(selects, " UNION ALL "))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var i int
				var value sequenceValue
				if err := rows.Scan(&i, &value.last, &value.called); err != nil {
					return err
				}
				values[some[i]] = value
			}
			return rows.Err()
		})
		if err != nil {
			return nil, fmt.Errorf("read sequences of the %s: %w", conn.Side, err)
		}
	}
	return values, nil
}
