package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
)

// Add makes a table known, as captured. Another process may have done so in the meantime.
func (s *Store) Add(ctx context.Context, conn *pg.Conn, number int, name catalog.Name, rowsEstimated int64) error {
	return s.Within(ctx, conn, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, s.SQL(`INSERT INTO {{schema}}.relation (number, schema_name, table_name, state, rows_estimated) VALUES ($1, $2, $3, 'captured', $4)
			ON CONFLICT (schema_name, table_name) DO NOTHING`), number, name.Schema, name.Relation, rowsEstimated)
		if err != nil {
			return fmt.Errorf("add %s to the stream's state: %w", name, err)
		}
		return nil
	})
}

// SetCopying begins the copy of the table; everything committed after the position is in its deltas.
func (s *Store) SetCopying(ctx context.Context, conn *pg.Conn, number int, from change.Position) error {
	return s.write(ctx, conn, "set copying",
		`UPDATE {{schema}}.relation SET state = 'copying', reason = NULL, remedy = NULL, position = $2, position_clock = $3, changed_at = now(),
		        target_relid = `+targetNow+` WHERE number = $1`,
		number, from.Snapshot.String(), from.Clock)
}

// targetNow is the OID of the table that has a relation's name on the target.
const targetNow = "(SELECT c.oid::bigint FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = schema_name AND c.relname = table_name)"

// NoteTargets notes which tables of the target have the rows, where that is not known: an older pgibex did not note it, and after a restore
// from a dump they are others. Of a table in quarantine it stays unknown.
func (s *Store) NoteTargets(ctx context.Context, conn *pg.Conn) error {
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		tag, err := conn.Exec(ctx, s.SQL(`UPDATE {{schema}}.stream SET relation_relid = '{{schema}}.relation'::pg_catalog.regclass::bigint
			WHERE generation = $1 AND relation_relid IS DISTINCT FROM '{{schema}}.relation'::pg_catalog.regclass::bigint`), s.generation.Load())
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = conn.Exec(ctx, s.SQL("UPDATE {{schema}}.relation SET target_relid = CASE WHEN state IN ('copying', 'copied', 'streaming') THEN "+targetNow+" END"))
		return err
	})
}

// Resume lets a table in quarantine go on from its position.
func (s *Store) Resume(ctx context.Context, conn *pg.Conn, number int) error {
	return s.write(ctx, conn, "resume", "UPDATE {{schema}}.relation SET state = 'streaming', reason = NULL, remedy = NULL, resumable = false, changed_at = now() WHERE number = $1 AND (state = 'quarantined' AND resumable OR state = 'streaming')", number)
}

// Within makes several changes one, in a transaction that only who holds the stream may commit.
func (s *Store) Within(ctx context.Context, conn *pg.Conn, changes func(context.Context) error) error {
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := s.Hold(ctx, conn); err != nil {
			return err
		}
		return changes(ctx)
	})
}

// CopyAnew has the table copied once more, by the method given. It gets the number under which the source captures it now. Within a
// transaction.
func (s *Store) CopyAnew(ctx context.Context, conn *pg.Conn, name catalog.Name, now int, method Method) error {
	var number int
	err := conn.QueryRow(ctx, s.SQL("SELECT number FROM {{schema}}.relation WHERE schema_name = $1 AND table_name = $2 FOR UPDATE"), name.Schema, name.Relation).Scan(&number)
	if err != nil {
		return fmt.Errorf("copy %s anew: %w", name, err)
	}
	for _, table := range []string{"chunk", "drain"} {
		if _, err := conn.Exec(ctx, s.SQL("DELETE FROM {{schema}}."+table+" WHERE number = $1"), number); err != nil {
			return err
		}
	}
	// Foreign keys do not act in our sessions, whose session_replication_role is replica.
	if _, err := conn.Exec(ctx, s.SQL("UPDATE {{schema}}.definition SET number = $2 WHERE number = $1"), number, now); err != nil {
		return err
	}
	return s.write(ctx, conn, "copy anew", `UPDATE {{schema}}.relation
	    SET number = $2, state = 'captured', reason = NULL, remedy = NULL, target_relid = NULL, method = $3, position = NULL, position_clock = NULL, changed_at = now() WHERE number = $1`,
		number, now, method)
}

// Restart forgets how far the stream is, for CopyAnew of every table in the same transaction: whatever the source has been through
// counts for nothing. The numbers make room for those that a source restored from a copy has given since. What is not copied anew is in
// quarantine.
func (s *Store) Restart(ctx context.Context, conn *pg.Conn) error {
	const from = " FROM (SELECT number AS was, (least(min(number) OVER (), 0) - row_number() OVER (ORDER BY number))::int AS next FROM {{schema}}.relation) n WHERE number = was"
	for _, sql := range []string{
		"DELETE FROM {{schema}}.chunk", "DELETE FROM {{schema}}.drain",
		"UPDATE {{schema}}.definition SET number = next" + from,
		`UPDATE {{schema}}.relation SET number = next, state = 'quarantined', reason = 'it was gone on the source when all tables were made anew', remedy = NULL,
			resumable = false, position = NULL, position_clock = NULL, changed_at = now()` + from,
		"UPDATE {{schema}}.stream SET position = NULL, position_clock = NULL, source_wal = NULL, source_generation = 0",
	} {
		if _, err := conn.Exec(ctx, s.SQL(sql)); err != nil {
			return err
		}
	}
	return nil
}

// ErrMore means that the stream has more tables than were made anew.
var ErrMore = errors.New("tables have come to the stream meanwhile")

// Restarted makes sure, at the end of that transaction, that it was every table but so many. ErrMore if it was not.
func (s *Store) Restarted(ctx context.Context, conn *pg.Conn, left int) error {
	var not int
	err := conn.QueryRow(ctx, s.SQL("SELECT count(*) FROM {{schema}}.relation WHERE number < 0")).Scan(&not)
	if err == nil && not > left {
		err = ErrMore
	}
	return err
}

// Distrust has tables in quarantine copied once more: where they stand may be ahead of the stream's position.
func (s *Store) Distrust(ctx context.Context, conn *pg.Conn) error {
	return s.Within(ctx, conn, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, s.SQL("UPDATE {{schema}}.relation SET resumable = false WHERE state = 'quarantined'"))
		return err
	})
}

// SetMethod changes how the table is to be copied.
func (s *Store) SetMethod(ctx context.Context, conn *pg.Conn, number int, method Method) error {
	return s.write(ctx, conn, "set method", "UPDATE {{schema}}.relation SET method = $2 WHERE number = $1", number, method)
}

// Remove forgets a table whose indexes are built. Its foreign keys that are not yet built will be, with all others.
func (s *Store) Remove(ctx context.Context, conn *pg.Conn, number int) error {
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := s.Hold(ctx, conn); err != nil {
			return err
		}
		for _, table := range []string{"chunk", "drain"} { // foreign keys do not act in our sessions
			if _, err := conn.Exec(ctx, s.SQL("DELETE FROM {{schema}}."+table+" WHERE number = $1"), number); err != nil {
				return err
			}
		}
		return s.write(ctx, conn, "remove table", "DELETE FROM {{schema}}.relation WHERE number = $1", number)
	})
}

// SetSourceGeneration remembers the source's own generation, within the stream taken, and how far its log went if that is not known
// yet: rows are copied before there is a position.
func (s *Store) SetSourceGeneration(ctx context.Context, conn *pg.Conn, generation int64, wal change.WAL) error {
	tag, err := conn.Exec(ctx, s.SQL("UPDATE {{schema}}.stream SET source_generation = $1, source_wal = coalesce(source_wal, $3) WHERE generation = $2"),
		generation, s.generation.Load(), wal.String())
	if err == nil && tag.RowsAffected() != 1 {
		err = ErrFenced
	}
	return err
}

// SetCopied notes that all rows are there and indexed.
func (s *Store) SetCopied(ctx context.Context, conn *pg.Conn, number int) error {
	return s.write(ctx, conn, "set copied",
		`UPDATE {{schema}}.relation SET state = 'copied', method = 'load', changed_at = now() WHERE number = $1`, number)
}

// SetPosition gives the table a position of its own.
func (s *Store) SetPosition(ctx context.Context, conn *pg.Conn, number int, at change.Position) error {
	return s.write(ctx, conn, "set position",
		`UPDATE {{schema}}.relation SET position = $2, position_clock = $3 WHERE number = $1`,
		number, at.Snapshot.String(), at.Clock)
}

// SetWaiting notes why a table that is apart from the stream waits, until it joins it again.
func (s *Store) SetWaiting(ctx context.Context, conn *pg.Conn, number int, why string) error {
	return s.write(ctx, conn, "set waiting", `UPDATE {{schema}}.relation SET reason = $2 WHERE number = $1`, number, why)
}

// SetDrained gives a table that has drained the position up to which it did. One that was copied shows the source's rows from then on.
func (s *Store) SetDrained(ctx context.Context, conn *pg.Conn, number int, at change.Position) error {
	return s.write(ctx, conn, "set drained",
		`UPDATE {{schema}}.relation SET position = $2, position_clock = $3, state = 'streaming' WHERE number = $1`,
		number, at.Snapshot.String(), at.Clock)
}

// Quarantine sets the table aside, with the reason and its hint. Its position stays where it is, and holds its deltas. resumable: nothing is missing in them, so that it
// may go on from there.
func (s *Store) Quarantine(ctx context.Context, conn *pg.Conn, number int, why error, resumable bool, at change.Position) error {
	return s.write(ctx, conn, "quarantine",
		`UPDATE {{schema}}.relation
		    SET state = 'quarantined', reason = $2, remedy = $6, resumable = $3, changed_at = now(),
		        position = coalesce(position, $4), position_clock = coalesce(position_clock, $5)
		  WHERE number = $1`,
		number, why.Error(), resumable, at.Snapshot.String(), at.Clock, hint.Of(why))
}

// write changes one table's state. Outside of a transaction, where the caller has not done so, it makes sure of the
// right to write.
func (s *Store) write(ctx context.Context, conn *pg.Conn, what, template string, args ...any) error {
	if conn.PgConn().TxStatus() == 'I' {
		return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			if err := s.Hold(ctx, conn); err != nil {
				return err
			}
			return s.write(ctx, conn, what, template, args...)
		})
	}
	tag, err := conn.Exec(ctx, s.SQL(template), args...)
	if err != nil {
		return fmt.Errorf("%s in the stream's state: %w", what, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%s in the stream's state: table %v is not there", what, args[0])
	}
	return nil
}

// Advance moves, at the end of a batch's transaction, the stream's position and lets the joined tables share it
// from now on. ErrFenced if another process has taken the stream.
func (s *Store) Advance(ctx context.Context, conn *pg.Conn, to change.Position, joined []int) error {
	if len(joined) > 0 {
		_, err := conn.Exec(ctx, s.SQL(`UPDATE {{schema}}.relation
		    SET position = NULL, position_clock = NULL, reason = NULL,
		        changed_at = CASE state WHEN 'streaming' THEN changed_at ELSE now() END, state = 'streaming'
		  WHERE number = ANY ($1)`), joined)
		if err == nil { // a drain that was begun is overtaken
			_, err = conn.Exec(ctx, s.SQL("DELETE FROM {{schema}}.drain WHERE number = ANY ($1)"), joined)
		}
		if err != nil {
			return fmt.Errorf("join tables to the stream: %w", err)
		}
	}
	tag, err := conn.Exec(ctx, s.SQL(`UPDATE {{schema}}.stream SET position = $1, position_clock = $2, source_wal = $4, updated_at = now() WHERE generation = $3`),
		to.Snapshot.String(), to.Clock, s.generation.Load(), to.WAL.String())
	if err != nil {
		return fmt.Errorf("advance the stream's position: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return ErrFenced
	}
	return nil
}
