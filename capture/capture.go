// Package capture is the source's side of a stream: the triggers that record which rows changed, the delta segments they
// record them in, and reading and purging those.
//
// A delta says that a key changed, not to what: a batch reads the row as its snapshot shows it. A delta is unapplied
// when its row is visible and its txid is not visible in the table's position; that is the only notion of order there is.
//
// The package must not know who applies the changes. What it does on the source is bounded: locks on the users' tables
// are waited for with a limit, its own tables are emptied only under NOWAIT, nothing is ever deleted row by row.
package capture

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// ErrMissing means that the source has no capture of the stream.
var ErrMissing = errors.New("the source has no capture of this stream")

// Capture is one stream's capture on its source.
type Capture struct {
	script     script
	generation int64        // what Take returned
	counting   sync.RWMutex // what is held under a generation keeps Retake from counting on
}

// New returns the capture of a stream, installed or not.
func New(stream string) *Capture { return &Capture{script: newScript(stream)} }

// Table is a table whose changes are captured.
type Table struct {
	Number    int
	Name      catalog.Name
	OID       uint32
	Key       []string // empty: whole images are recorded
	Signature []string // its columns when the triggers were made
	Purged    change.Snapshot
	Stopped   string // why its changes are not recorded any more; "" while they are
}

// Captured is the source's table as its triggers know it: with the key that they record, whatever unique indexes
// have been made or dropped since, and without the columns named in skip.
func (t Table) Captured(now *catalog.Table, skip ...string) *catalog.Table {
	captured := *now
	captured.Key = nil
	if len(t.Key) > 0 {
		captured.Key = now.UniqueOn(t.Key)
	}
	captured.Columns = slices.Clone(now.Columns)
	for i := range captured.Columns {
		c := &captured.Columns[i]
		c.Generated = c.Generated || slices.Contains(skip, c.Name)
	}
	return &captured
}

// ID returns the identity of the source as this stream knows it. ErrMissing if nothing is installed.
func (c *Capture) ID(ctx context.Context, conn *pg.Conn) (id string, err error) {
	if err := state.CheckOwner(ctx, conn, c.script.stream); err != nil {
		return "", err
	}
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'stream')",
		c.script.stream).Scan(&there)
	if err != nil {
		return "", err
	}
	if !there {
		return "", ErrMissing
	}
	var version int
	err = conn.QueryRow(ctx, c.script.sql("SELECT version, id FROM {{schema}}.stream")).Scan(&version, &id)
	if err == nil && version != state.Version {
		return "", &state.VersionError{Side: conn.Side, Version: version}
	}
	return id, err
}

// InstallStream creates what all tables share, and returns the identity given to the source.
func (c *Capture) InstallStream(ctx context.Context, conn *pg.Conn) (id string, err error) {
	id = rand.Text()
	err = conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := conn.Run(ctx, c.script.install()); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, c.script.sql("INSERT INTO {{schema}}.stream (version, id) VALUES ($1, $2)"), state.Version, id)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create the stream's objects on the source: %w", err)
	}
	return id, nil
}

// ErrFenced means that another daemon has taken the stream since.
var ErrFenced = errors.New("the stream was taken by a command that changes its tables, or by another pgibex, on the source")

// Take makes this process the one that may switch and purge segments. It waits for such a transaction of its predecessor
// that may still be in flight: a switch that commits after the segments were looked at would go unnoticed.
func (c *Capture) Take(ctx context.Context, conn *pg.Conn) error {
	err := conn.QueryRow(ctx, c.script.sql("UPDATE {{schema}}.stream SET generation = generation + 1 RETURNING generation")).Scan(&c.generation)
	if err != nil {
		return fmt.Errorf("take the stream on the source: %w", err)
	}
	return nil
}

// Retake counts once more, without anybody else having taken the stream: a copy of the source from before can be told by it. It does not
// wait: done is false where something that is held goes by the present count.
func (c *Capture) Retake(ctx context.Context, conn *pg.Conn) (done bool, err error) {
	if !c.counting.TryLock() {
		return false, nil
	}
	defer c.counting.Unlock()
	err = conn.QueryRow(ctx, c.script.sql("UPDATE {{schema}}.stream SET generation = generation + 1 WHERE generation = $1 RETURNING generation"), c.generation).Scan(&c.generation)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, ErrFenced
	}
	return err == nil, err
}

// Taken says how often the stream has been taken on the source.
func (c *Capture) Taken(ctx context.Context, conn *pg.Conn) (times int64, err error) {
	err = conn.QueryRow(ctx, c.script.sql("SELECT generation FROM {{schema}}.stream")).Scan(&times)
	return times, err
}

// Generation is what Take returned: the source counts who took the stream.
func (c *Capture) Generation() int64 { return c.generation }

// held runs a transaction that only the process which holds the stream may commit.
func (c *Capture) held(ctx context.Context, conn *pg.Conn, work func(context.Context) error) error {
	c.counting.RLock()
	defer c.counting.RUnlock()
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		tag, err := conn.Exec(ctx, c.script.sql("SELECT 1 FROM {{schema}}.stream WHERE generation = $1 FOR SHARE"), c.generation)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return ErrFenced
		}
		return work(ctx)
	})
}

// Tables reads which tables are captured, by number. None if nothing is installed.
func (c *Capture) Tables(ctx context.Context, conn *pg.Conn) ([]Table, error) {
	if _, err := c.ID(ctx, conn); err != nil {
		if errors.Is(err, ErrMissing) {
			return nil, nil
		}
		return nil, err
	}
	rows, err := conn.Query(ctx, c.script.sql("SELECT number, schema_name, table_name, relid, key_columns, columns, purged, coalesce(stopped, '') FROM {{schema}}.captured ORDER BY number"))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tables []Table
	for rows.Next() {
		var t Table
		var purged string
		if err := rows.Scan(&t.Number, &t.Name.Schema, &t.Name.Relation, &t.OID, &t.Key, &t.Signature, &purged, &t.Stopped); err != nil {
			return nil, err
		}
		if t.Purged, err = change.ParseSnapshot(purged); err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, rows.Err()
}

// Now returns the source's snapshot, its clock, and how far its log goes (unknown on a standby): everything committed before the call is
// seen by it.
func (c *Capture) Now(ctx context.Context, conn *pg.Conn) (at change.Position, err error) {
	// A log file's name begins with its timeline.
	const query = `SELECT pg_catalog.txid_current_snapshot()::text, pg_catalog.clock_timestamp(), pg_catalog.substr(pg_catalog.pg_{{wal}}file_name(lsn), 1, 8), lsn::text
		FROM (SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_{{wal}}_insert_{{lsn}}() END AS lsn OFFSET 0) s`
	var snapshot string
	var timeline, lsn *string
	if err := conn.QueryRow(ctx, walNames(conn, query)).Scan(&snapshot, &at.Clock, &timeline, &lsn); err != nil {
		return at, err
	}
	if at.Snapshot, err = change.ParseSnapshot(snapshot); err != nil || timeline == nil || lsn == nil {
		return at, err
	}
	number, err := strconv.ParseUint(*timeline, 16, 32)
	if err != nil {
		return at, fmt.Errorf("the source's timeline: %w", err)
	}
	at.WAL.Timeline = uint32(number)
	at.WAL.LSN, err = change.ParseLSN(*lsn)
	return at, err
}

// Received is where the log ended that the source, now promoted, had received and replayed as a standby. ok is false where it does
// not know: it has been started once more since, or it was no standby that streamed.
func (c *Capture) Received(ctx context.Context, conn *pg.Conn) (at change.LSN, ok bool, err error) {
	// Recovery after a crash sets what was replayed, but forgets what was received.
	const query = "SELECT CASE WHEN pg_catalog.pg_last_{{wal}}_receive_{{lsn}}() IS NOT NULL THEN pg_catalog.pg_last_{{wal}}_replay_{{lsn}}() END::text"
	var lsn *string
	err = conn.QueryRow(ctx, walNames(conn, query)).Scan(&lsn)
	if err != nil || lsn == nil {
		return 0, false, err
	}
	at, err = change.ParseLSN(*lsn)
	return at, err == nil, err
}

// walNames fills in what PostgreSQL 10 has renamed.
func walNames(conn *pg.Conn, template string) string {
	if conn.Version >= 100000 {
		return pg.Fill(template, "wal", "wal", "lsn", "lsn")
	}
	return pg.Fill(template, "wal", "xlog", "lsn", "location")
}
