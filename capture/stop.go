package capture

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

// Size is how many bytes the segments of all tables take on the source's disk.
func (c *Capture) Size(ctx context.Context, conn *pg.Conn) (bytes int64, err error) {
	err = conn.QueryRow(ctx, `SELECT coalesce(sum(pg_catalog.pg_total_relation_size(o)), 0)::bigint FROM (SELECT c.oid AS o FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname LIKE 'delta\_%' OFFSET 0) s`,
		c.script.stream).Scan(&bytes)
	return bytes, err
}

// Stop ends the recording of changes, for a reason that the tables' drift tells from then on, and says whether anything was
// recorded before. The application does not notice: functions are replaced, which takes no lock on its tables. Nobody who has
// taken the stream may go on with it.
func (c *Capture) Stop(ctx context.Context, conn *pg.Conn, why string) (stopped bool, err error) {
	var recording bool
	err = conn.QueryRow(ctx, c.script.sql("SELECT EXISTS (SELECT 1 FROM {{schema}}.captured WHERE stopped IS NULL)")).Scan(&recording)
	if err != nil || !recording {
		return false, err
	}
	err = conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := conn.Run(ctx, c.script.sql("UPDATE {{schema}}.stream SET generation = generation + 1")); err != nil {
			return err
		}
		tag, err := conn.Exec(ctx, c.script.sql("UPDATE {{schema}}.captured SET stopped = $1 WHERE stopped IS NULL"), why)
		if err != nil {
			return err
		}
		if stopped = tag.RowsAffected() > 0; !stopped {
			return nil
		}
		// Not those of a table that is being installed at this moment: nothing would tell that its changes are missing.
		rows, err := conn.Query(ctx, c.script.sql(`SELECT p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)
			FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname = $1 AND p.proname IN (SELECT 'capture_' || number FROM {{schema}}.captured WHERE stopped IS NOT NULL)`), c.script.stream)
		if err != nil {
			return err
		}
		functions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (sql string, err error) {
			var name, arguments string
			err = row.Scan(&name, &arguments)
			return fmt.Sprintf("CREATE OR REPLACE FUNCTION %s.%s(%s) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN false; END'", c.script.schema, name, arguments), err
		})
		if err != nil {
			return err
		}
		return conn.Run(ctx, strings.Join(functions, ";\n"))
	})
	if err != nil {
		return false, fmt.Errorf("stop recording changes: %w", err)
	}
	return stopped, nil
}

// Discard gives back the disk that stopped tables' segments take, as far as nobody has a lock on them: their changes can not be
// applied any more.
func (c *Capture) Discard(ctx context.Context, conn *pg.Conn) error {
	rows, err := conn.Query(ctx, c.script.sql(`SELECT s.number, s.segment FROM {{schema}}.segment s JOIN {{schema}}.captured c USING (number)
		WHERE c.stopped IS NOT NULL AND pg_catalog.pg_relation_size(($1::text || '.delta_' || s.number || '_' || s.segment)::pg_catalog.regclass) > 0`), c.script.schema)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var number, segment int
		err := row.Scan(&number, &segment)
		return c.script.delta(number, segment), err
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		err := conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			return conn.Run(ctx, "LOCK TABLE ONLY "+name+" IN ACCESS EXCLUSIVE MODE NOWAIT; TRUNCATE ONLY "+name)
		})
		if err != nil && pg.State(err) != pg.LockNotAvailable {
			return fmt.Errorf("give back the disk of %s: %w", name, err)
		}
	}
	return nil
}
