// Package state is what the target knows of a stream: its position, and of each table the state it is in. It
// is kept in the target's own database, in the schema pgibex_<stream>, so that it commits together with the
// data, and nowhere else. The state of a table is changed here only.
package state

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
)

// State is what a table is going through. The order is the way a table takes.
type State string

// The states of a table.
const (
	Captured    State = "captured"    // changes are recorded on the source; nothing is copied yet
	Copying     State = "copying"     // its rows are being copied; its deltas wait
	Copied      State = "copied"      // all rows are there; its deltas since the copy began are being applied
	Streaming   State = "streaming"   // it follows the source
	Quarantined State = "quarantined" // set aside, for its reason; the others go on without it
)

// States in the order of a table's life.
var States = []State{Captured, Copying, Copied, Streaming, Quarantined}

// Method is how the rows of a table are copied.
type Method string

// The methods.
const (
	Load    Method = "load"    // into an empty table, its indexes dropped meanwhile
	Repair  Method = "repair"  // into a table in use: what differs is written, what is not on the source is deleted
	Replace Method = "replace" // all rows there are deleted first
)

// ErrFenced means that another daemon has taken the stream since; whoever gets it must not write any more.
var ErrFenced = errors.New("the stream was taken by a command that changes its tables, or by another pgibex")

// ErrMissing means that the target holds no state of the stream.
var ErrMissing = errors.New("the target holds no state of this stream")

// VersionError means that one side's layout is that of another version of pgibex.
type VersionError struct {
	Side    pg.Side
	Version int
}

func (e *VersionError) Error() string {
	if e.Version < Version {
		return fmt.Sprintf("%s: the stream's layout there has version %d, which this pgibex migrates to %d when it runs (pgibex run, catchup or uninstall)", e.Side, e.Version, Version)
	}
	return fmt.Sprintf("%s: the stream's layout there has version %d, and this pgibex knows up to %d; use the newer pgibex that made it", e.Side, e.Version, Version)
}

//go:embed sql/install.sql
var installSQL string

// Schema is the schema of a stream's objects, on either side.
func Schema(stream string) string { return "pgibex_" + stream }

// Store reads and writes the state of one stream.
type Store struct {
	name       string       // of the schema
	schema     string       // quoted
	generation atomic.Int64 // what Take returned; 0 before
}

// NewStore returns the store of a stream. It may read; it may write once it has taken the stream.
func NewStore(stream string) *Store {
	return &Store{name: Schema(stream), schema: pg.Ident(Schema(stream))}
}

// SQL fills {{schema}} in a statement on tables of the state.
func (s *Store) SQL(template string) string { return pg.Fill(template, "schema", s.schema) }

// Stream is the state of the stream as a whole.
type Stream struct {
	Version          int
	SourceID         string
	SourceGeneration int64
	Position         change.Position
	SequencesAt      time.Time // the source's clock before its sequences were last read and carried over; zero if they never were
	UpdatedAt        time.Time
}

// Relation is the state of one table.
type Relation struct {
	Number int
	catalog.Name
	State  State
	Reason string
	Remedy string // of the reason
	Method Method
	// Resumable: in quarantine, but its deltas since its position are complete.
	Resumable bool
	// TargetOID is the target's table that the rows were written to since its copy began; 0 if that is not known.
	TargetOID uint32
	// Position is the table's own, zero while it shares the stream's.
	Position      change.Position
	RowsEstimated int64
	ChangedAt     time.Time
}

// Installed says whether the target holds state of the stream.
//
// The capture on the source has a schema of the same name, with other tables: a dump of the source that was made after pgibex was installed
// there brings it, and triggers that fire always, to the target.
func (s *Store) Installed(ctx context.Context, conn *pg.Conn) (bool, error) {
	if err := CheckOwner(ctx, conn, s.name); err != nil {
		return false, err
	}
	var there, ofSource bool
	err := conn.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL, pg_catalog.to_regclass($2) IS NOT NULL", s.schema+".stream", s.schema+".captured").
		Scan(&there, &ofSource)
	if err != nil {
		return false, err
	}
	if ofSource {
		return false, hint.With(fmt.Errorf("%s: schema %s there is the source's capture with its triggers, brought by a dump of the source", conn.Side, s.schema),
			"on the target: DROP SCHEMA %s CASCADE, which drops those triggers too; then try again", s.schema)
	}
	return there, nil
}

// Install creates the state of a stream that follows the source of that identity.
func (s *Store) Install(ctx context.Context, conn *pg.Conn, sourceID string) error {
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := conn.Run(ctx, s.SQL(installSQL)); err != nil {
			return fmt.Errorf("create the stream's state on the target: %w", err)
		}
		_, err := conn.Exec(ctx, s.SQL("INSERT INTO {{schema}}.stream (version, source_id, relation_relid) VALUES ($1, $2, '{{schema}}.relation'::pg_catalog.regclass)"), Version, sourceID)
		return err
	})
}

// Uninstall removes it.
func (s *Store) Uninstall(ctx context.Context, conn *pg.Conn) error {
	return conn.Run(ctx, s.SQL("DROP SCHEMA IF EXISTS {{schema}} CASCADE"))
}

// Take makes this process the one that may write: whoever took the stream before is refused from now on,
// once its transactions in flight have ended.
func (s *Store) Take(ctx context.Context, conn *pg.Conn) error {
	// Whoever has it now is told first, and lets go within a second: those who are in the midst of writing keep the lock below
	// waiting, and would let others past it for ever.
	if err := conn.Run(ctx, s.SQL("UPDATE {{schema}}.stream SET generation = generation + 1")); err != nil {
		return err
	}
	var generation int64
	err := conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		// FOR UPDATE conflicts with the FOR KEY SHARE of Hold, which a mere UPDATE would not.
		if err := conn.Run(ctx, s.SQL("SELECT FROM {{schema}}.stream FOR UPDATE")); err != nil {
			return err
		}
		return conn.QueryRow(ctx, s.SQL("UPDATE {{schema}}.stream SET generation = generation + 1 RETURNING generation")).Scan(&generation)
	})
	if err == nil {
		s.generation.Store(generation)
	}
	return err
}

// Leave gives up the right to write, as far as this process is concerned.
func (s *Store) Leave() { s.generation.Store(0) }

// Held says whether nobody has taken the stream since this process did, or it has not done so yet.
func (s *Store) Held(ctx context.Context, conn *pg.Conn) (held bool, err error) {
	mine := s.generation.Load()
	if mine == 0 {
		return true, conn.Ping(ctx)
	}
	err = conn.QueryRow(ctx, s.SQL("SELECT EXISTS (SELECT 1 FROM {{schema}}.stream WHERE generation = $1)"), mine).Scan(&held)
	return held || s.generation.Load() != mine, err
}

// Hold makes sure, within a transaction that writes, that nobody takes the stream before it commits.
func (s *Store) Hold(ctx context.Context, conn *pg.Conn) error {
	tag, err := conn.Exec(ctx, s.SQL("SELECT FROM {{schema}}.stream WHERE generation = $1 FOR KEY SHARE"), s.generation.Load())
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return ErrFenced
	}
	return nil
}

// Stream reads the state of the stream. ErrMissing if there is none.
func (s *Store) Stream(ctx context.Context, conn *pg.Conn) (Stream, error) {
	there, err := s.Installed(ctx, conn)
	if err != nil {
		return Stream{}, err
	}
	if !there {
		return Stream{}, ErrMissing
	}
	var st Stream
	if err := conn.QueryRow(ctx, s.SQL("SELECT version FROM {{schema}}.stream")).Scan(&st.Version); errors.Is(err, pgx.ErrNoRows) {
		return Stream{}, hint.With(fmt.Errorf("%s: schema %s there has the tables of a stream's state and no stream in them, as a dump without data has", conn.Side, s.schema),
			"on the target: DROP SCHEMA %s CASCADE, then empty the stream's tables; on the source: pgibex uninstall --yes --force; then begin again", s.schema)
	} else if err != nil {
		return Stream{}, err
	}
	if st.Version != Version {
		return st, &VersionError{Side: conn.Side, Version: st.Version}
	}
	var text, wal *string
	var clock, sequences *time.Time
	err = conn.QueryRow(ctx, s.SQL("SELECT source_id, source_generation, position, position_clock, source_wal, sequences_at, updated_at FROM {{schema}}.stream")).
		Scan(&st.SourceID, &st.SourceGeneration, &text, &clock, &wal, &sequences, &st.UpdatedAt)
	if err != nil {
		return Stream{}, err
	}
	if sequences != nil {
		st.SequencesAt = *sequences
	}
	if st.Position, err = position(text, clock); err == nil && wal != nil { // which there is without a position, before the first batch
		st.Position.WAL, err = change.ParseWAL(*wal)
	}
	return st, err
}

const relationColumns = "number, schema_name, table_name, state, coalesce(reason, ''), coalesce(remedy, ''), method, resumable, " + targetOID + ", position, position_clock, rows_estimated, changed_at"

// targetOID is 0 in a target that was restored from a dump: all its tables have other OIDs, and the rows that belong to the state.
const targetOID = "CASE WHEN (SELECT relation_relid FROM {{schema}}.stream) = '{{schema}}.relation'::pg_catalog.regclass::bigint THEN coalesce(target_relid, 0) ELSE 0 END"

// Relations reads the state of every table, by number.
func (s *Store) Relations(ctx context.Context, conn *pg.Conn) ([]Relation, error) {
	rows, err := conn.Query(ctx, s.SQL("SELECT "+relationColumns+" FROM {{schema}}.relation ORDER BY number"))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var relations []Relation
	for rows.Next() {
		var r Relation
		var text *string
		var clock *time.Time
		err := rows.Scan(&r.Number, &r.Schema, &r.Name.Relation, &r.State, &r.Reason, &r.Remedy, &r.Method, &r.Resumable, &r.TargetOID, &text, &clock, &r.RowsEstimated, &r.ChangedAt)
		if err != nil {
			return nil, err
		}
		if r.Position, err = position(text, clock); err != nil {
			return nil, err
		}
		relations = append(relations, r)
	}
	return relations, rows.Err()
}

func position(text *string, clock *time.Time) (change.Position, error) {
	if text == nil || clock == nil {
		return change.Position{}, nil
	}
	snapshot, err := change.ParseSnapshot(*text)
	return change.Position{Snapshot: snapshot, Clock: *clock}, err
}
