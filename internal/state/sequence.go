package state

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/sequence"
)

// Sequences reads what the stream remembers of sequences, by their names on the source.
func (s *Store) Sequences(ctx context.Context, conn *pg.Conn) (map[catalog.Name]sequence.Memory, error) {
	memories := map[catalog.Name]sequence.Memory{}
	err := conn.Each(ctx, s.SQL(`SELECT schema_name, sequence_name, last_value, is_called, setting_value, setting_called, coalesce(reason, ''), coalesce(remedy, '')
		FROM {{schema}}.sequence`), nil, func(rows pgx.Rows) error {
		var name catalog.Name
		var m sequence.Memory
		var last, setting *int64
		var called, settingCalled *bool
		err := rows.Scan(&name.Schema, &name.Relation, &last, &called, &setting, &settingCalled, &m.Reason, &m.Remedy)
		m.Source, m.Setting = value(last, called), value(setting, settingCalled)
		memories[name] = m
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sequences in the stream's state: %w", err)
	}
	return memories, nil
}

func value(last *int64, called *bool) *sequence.Value {
	if last == nil || called == nil {
		return nil
	}
	return &sequence.Value{Last: *last, Called: *called}
}

// columns are the pairs' names and the source's values, as parameters.
func columns(pairs []*sequence.Pair) []any {
	schemas, names := make([]string, len(pairs)), make([]string, len(pairs))
	values, called := make([]int64, len(pairs)), make([]bool, len(pairs))
	for i, p := range pairs {
		schemas[i], names[i], values[i], called[i] = p.Source.Schema, p.Source.Relation, p.Source.Value.Last, p.Source.Value.Called
	}
	return []any{schemas, names, values, called}
}

// IntendSequences notes what the target's sequences are about to be set to: to set one is not undone with the transaction that does it, and
// after a crash it must be told from what something else has done.
func (s *Store) IntendSequences(ctx context.Context, conn *pg.Conn, pairs []*sequence.Pair) error {
	return s.Within(ctx, conn, func(ctx context.Context) error {
		return s.sequences(ctx, conn, `INSERT INTO {{schema}}.sequence AS s (schema_name, sequence_name, setting_value, setting_called)
			SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[])
			ON CONFLICT (schema_name, sequence_name) DO UPDATE SET setting_value = excluded.setting_value, setting_called = excluded.setting_called`, columns(pairs)...)
	})
}

// SetSequences sets the target's sequences to where the source's stand, and notes that.
func (s *Store) SetSequences(ctx context.Context, conn *pg.Conn, pairs []*sequence.Pair) error {
	oids := make([]uint32, len(pairs))
	for i, p := range pairs {
		oids[i] = p.Target.OID
	}
	return s.Within(ctx, conn, func(ctx context.Context) error {
		if err := conn.Run(ctx, "SET LOCAL lock_timeout = '500ms'"); err != nil {
			return err
		}
		values := columns(pairs)
		err := s.sequences(ctx, conn, "SELECT setval(oid::regclass, v, called) FROM unnest($1::oid[], $2::bigint[], $3::boolean[]) AS u (oid, v, called)", oids, values[2], values[3])
		if err != nil {
			return err
		}
		return s.NoteSequences(ctx, conn, pairs)
	})
}

// NoteSequences notes, within a transaction, that the target's sequences are as they are to be while the source's stand where they do.
func (s *Store) NoteSequences(ctx context.Context, conn *pg.Conn, pairs []*sequence.Pair) error {
	return s.sequences(ctx, conn, `INSERT INTO {{schema}}.sequence AS s (schema_name, sequence_name, last_value, is_called)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[])
		ON CONFLICT (schema_name, sequence_name) DO UPDATE SET last_value = excluded.last_value, is_called = excluded.is_called,
			setting_value = NULL, setting_called = NULL, reason = NULL, remedy = NULL`, columns(pairs)...)
}

// SetAsideSequence notes, within a transaction, why a sequence is not set.
func (s *Store) SetAsideSequence(ctx context.Context, conn *pg.Conn, name catalog.Name, why error) error {
	return s.sequences(ctx, conn, `INSERT INTO {{schema}}.sequence (schema_name, sequence_name, reason, remedy) VALUES ($1, $2, $3, $4)
		ON CONFLICT (schema_name, sequence_name) DO UPDATE SET reason = excluded.reason, remedy = excluded.remedy`, name.Schema, name.Relation, why.Error(), hint.Of(why))
}

// ForgetReasons forgets, within a transaction, why others than those of the pairs are not set. Where they stood is remembered: one that is
// dropped on the source and made again begins before that.
func (s *Store) ForgetReasons(ctx context.Context, conn *pg.Conn, pairs []*sequence.Pair) error {
	return s.sequences(ctx, conn, `UPDATE {{schema}}.sequence SET reason = NULL, remedy = NULL
		WHERE reason IS NOT NULL AND (schema_name, sequence_name) NOT IN (SELECT * FROM unnest($1::text[], $2::text[]))`, columns(pairs)[:2]...)
}

// SequencesRead notes, within a transaction, that the source's sequences as of its clock at were carried over, or set aside.
func (s *Store) SequencesRead(ctx context.Context, conn *pg.Conn, at time.Time) error {
	return s.sequences(ctx, conn, "UPDATE {{schema}}.stream SET sequences_at = $1", at)
}

func (s *Store) sequences(ctx context.Context, conn *pg.Conn, template string, args ...any) error {
	_, err := conn.Exec(ctx, s.SQL(template), args...)
	if err != nil {
		return fmt.Errorf("sequences in the stream's state: %w", err)
	}
	return nil
}
