package capture

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/blockers.sql
var blockersSQL string

// Locker takes the locks on the users' tables that cannot be avoided. Whoever waits for one makes the application
// queue up behind, so no wait is longer than Wait, but for one behind an autovacuum; between two waits the application gets
// its turn.
type Locker struct {
	Wait    time.Duration
	Blocked func(table catalog.Name, by []string) // told after each wait in vain
}

// Plan is the SQL that Install would run for a table, with the number it would probably get.
func (c *Capture) Plan(number int, t *catalog.Table) string {
	return c.script.objects(number, t) + c.script.triggers(number, t)
}

// PlanStream is the SQL that InstallStream would run.
func (c *Capture) PlanStream() string { return c.script.install() }

// Install makes the triggers of one table, in one transaction that holds its lock for as long as creating
// four triggers takes, and returns the table's number.
func (c *Capture) Install(ctx context.Context, conn *pg.Conn, t *catalog.Table, locker Locker) (number int, err error) {
	err = c.locked(ctx, conn, Table{Name: t.Name, OID: t.OID}, locker, func(ctx context.Context, lock func(catalog.Name) error) error {
		err := conn.QueryRow(ctx, c.script.sql(`INSERT INTO {{schema}}.captured (relid, schema_name, table_name, key_columns, columns)
			VALUES ($1, $2, $3, $4, $5) RETURNING number`),
			t.OID, t.Schema, t.Relation, append([]string{}, t.KeyNames()...), signature(t)).Scan(&number)
		if pg.State(err) == pg.UniqueViolation {
			return ErrChanged
		}
		if err != nil {
			return err
		}
		if err := conn.Run(ctx, c.script.objects(number, t)); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, c.script.sql("INSERT INTO {{schema}}.segment VALUES ($1, 1, true), ($1, 2, false)"), number)
		if err != nil {
			return err
		}
		if err := lock(t.Name); err != nil {
			return err
		}
		if err := c.unchanged(ctx, conn, t); err != nil {
			return err
		}
		return conn.Run(ctx, c.script.triggers(number, t))
	})
	if state := pg.State(err); state == pg.UndefinedTable || state == pg.UndefinedSchema {
		err = ErrChanged
	}
	if err != nil {
		return 0, fmt.Errorf("install capture on %s: %w", t.Name, err)
	}
	return number, nil
}

// ErrChanged means that a table was altered, or captured by another process, between looking at it and locking it.
var ErrChanged = errors.New("the table or its capture was altered meanwhile; look at it again")

// unchanged makes sure, once the table is locked, that the triggers fit it.
func (c *Capture) unchanged(ctx context.Context, conn *pg.Conn, t *catalog.Table) error {
	var now []string
	err := conn.QueryRow(ctx, `SELECT ARRAY(SELECT attnum || ' "' || replace(attname, '"', '""') || '" ' || pg_catalog.format_type(atttypid, atttypmod)
		FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum)`, t.OID).Scan(&now)
	if err != nil {
		return err
	}
	if !slices.Equal(now, signature(t)) {
		return ErrChanged
	}
	return nil
}

// Uninstall removes the triggers and every other object of one table. ErrChanged if somebody else has done so.
func (c *Capture) Uninstall(ctx context.Context, conn *pg.Conn, t Table, locker Locker) error {
	err := c.locked(ctx, conn, t, locker, func(ctx context.Context, lock func(catalog.Name) error) error {
		// Whoever follows the stream must not go on with what is about to go.
		if err := conn.Run(ctx, c.script.sql("UPDATE {{schema}}.stream SET generation = generation + 1")); err != nil {
			return err
		}
		tag, err := conn.Exec(ctx, c.script.sql("SELECT 1 FROM {{schema}}.captured WHERE number = $1 FOR UPDATE"), t.Number)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 { // the triggers that are there, if any, belong to a later capture
			return ErrChanged
		}
		// The name may have changed since; the triggers went along with the table.
		var name catalog.Name
		err = conn.QueryRow(ctx, `SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE c.oid = $1 AND c.relkind = 'r'`, t.OID).Scan(&name.Schema, &name.Relation)
		switch {
		case errors.Is(err, pgx.ErrNoRows): // dropped, and its triggers with it
		case err != nil:
			return err
		default:
			if err := lock(name); err != nil {
				return err
			}
			if err := conn.Run(ctx, c.script.dropTriggers(name)); err != nil {
				return err
			}
		}
		return c.dropObjects(ctx, conn, t.Number)
	})
	if err != nil {
		return fmt.Errorf("remove capture from %s: %w", t.Name, err)
	}
	return nil
}

func (c *Capture) dropObjects(ctx context.Context, conn *pg.Conn, number int) error {
	var drops []string
	// With the user's table locked nothing is waited for: somebody may be reading the deltas.
	err := conn.QueryRow(ctx, `SELECT ARRAY(SELECT 'LOCK TABLE ' || c.oid::pg_catalog.regclass || ' IN ACCESS EXCLUSIVE MODE NOWAIT' `+segmentsOf+`)
		|| ARRAY(SELECT 'DROP FUNCTION ' || p.oid::pg_catalog.regprocedure
			  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
			 WHERE n.nspname = $1 AND p.proname = 'capture_' || $2)
		|| ARRAY(SELECT 'DROP TABLE ' || c.oid::pg_catalog.regclass `+segmentsOf+`)
		|| ARRAY(SELECT 'DROP TYPE ' || t.oid::pg_catalog.regtype
			  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
			 WHERE n.nspname = $1 AND t.typname = 'image_' || $2)`, c.script.stream, strconv.Itoa(number)).Scan(&drops)
	if err != nil {
		return err
	}
	drops = append(drops,
		c.script.sql(fmt.Sprintf("DELETE FROM {{schema}}.truncation WHERE number = %d", number)),
		c.script.sql(fmt.Sprintf("DELETE FROM {{schema}}.captured WHERE number = %d", number)))
	return conn.Run(ctx, strings.Join(drops, ";\n"))
}

// UninstallStream removes what all tables shared, when the last of them is gone. ErrChanged if there is one: it has come since.
func (c *Capture) UninstallStream(ctx context.Context, conn *pg.Conn) error {
	if _, err := c.ID(ctx, conn); errors.Is(err, ErrMissing) {
		return nil
	}
	err := conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		// Older servers go by the timeout that there was when a message began.
		for _, sql := range []string{
			"SET LOCAL statement_timeout = '10s'",
			"LOCK TABLE {{schema}}.captured IN ACCESS EXCLUSIVE MODE", // whoever installs a table writes there first
		} {
			if err := conn.Run(ctx, c.script.sql(sql)); err != nil {
				return err
			}
		}
		var captured bool
		if err := conn.QueryRow(ctx, c.script.sql("SELECT EXISTS (SELECT 1 FROM {{schema}}.captured)")).Scan(&captured); err != nil {
			return err
		}
		if captured {
			return ErrChanged
		}
		return conn.Run(ctx, c.script.sql("DROP SCHEMA {{schema}} CASCADE"))
	})
	if err != nil {
		return fmt.Errorf("remove the stream's objects from the source: %w", err)
	}
	return nil
}

// locked runs a transaction that calls lock when it needs the table, again and again until the lock was had in time.
func (c *Capture) locked(ctx context.Context, conn *pg.Conn, t Table, locker Locker, work func(ctx context.Context, lock func(catalog.Name) error) error) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(locker.Wait/2), backoff.WithMaxInterval(10*locker.Wait), backoff.WithMaxElapsedTime(0))
	vacuums, err := lookAtDeadlockTimeout(ctx, conn, locker.Wait)
	if err != nil {
		return err
	}
	return backoff.Retry(func() error {
		err := conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			return work(ctx, func(name catalog.Name) error { return lockTable(ctx, conn, name, vacuums) })
		})
		if err == nil {
			return nil
		}
		if pg.State(err) != pg.QueryCanceled && pg.State(err) != pg.LockNotAvailable || ctx.Err() != nil {
			return backoff.Permanent(err)
		}
		by, lookErr := c.inTheWay(ctx, conn, t, pg.State(err), vacuums)
		if lookErr != nil {
			return backoff.Permanent(lookErr)
		}
		locker.Blocked(t.Name, by)
		return err
	}, backoff.WithContext(wait, ctx))
}

// lockTable asks for the lock that creating or dropping a trigger needs in 9.2, which has no lock_timeout. The bound stays for the
// rest of the transaction: with the table locked, nothing else may be waited for either.
func lockTable(ctx context.Context, conn *pg.Conn, name catalog.Name, vacuums *vacuums) error {
	if err := conn.Run(ctx, vacuums.nextWait()); err != nil {
		return err
	}
	return conn.Run(ctx, "LOCK TABLE ONLY "+name.SQL()+" IN ACCESS EXCLUSIVE MODE")
}

// inTheWay says who holds the lock that was not to be had: the table's, which is waited for, or a segment's, which is not.
func (c *Capture) inTheWay(ctx context.Context, conn *pg.Conn, t Table, state string, vacuums *vacuums) ([]string, error) {
	oids := []uint32{t.OID}
	if state == pg.LockNotAvailable {
		err := conn.QueryRow(ctx, "SELECT ARRAY(SELECT c.oid "+segmentsOf+")", c.script.stream, strconv.Itoa(t.Number)).Scan(&oids)
		if err != nil {
			return nil, err
		}
	}
	staying, err := stayingBlockers(ctx, conn, oids)
	return inWords(staying, vacuums), err
}

// segmentsOf are the segments of one table: of the schema $1, with the number $2, as text.
const segmentsOf = `FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname LIKE 'delta\_' || $2 || '\_%'`
