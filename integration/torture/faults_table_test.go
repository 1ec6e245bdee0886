package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tableFaults are what administrators do to the source.
var tableFaults = []*fault{
	{name: "pg_dump of the source: ACCESS SHARE on everything for a while", weight: 3, uses: []string{sourceTables}, run: dumpLike},
	{name: "pg_dump itself", weight: 1, uses: []string{sourceTables}, run: dump},
	{name: "VACUUM FULL", weight: 4, run: onTables("VACUUM FULL %s")},
	{name: "CLUSTER", weight: 3, run: onTables("CLUSTER %s USING %s")},
	{name: "REINDEX", weight: 3, run: onTables("REINDEX TABLE %s")},
	{name: "ANALYZE, VACUUM", weight: 2, run: onTables("VACUUM ANALYZE %s")},
	{name: "LOCK TABLE", weight: 5, run: onTables("BEGIN; SET LOCAL statement_timeout = '1s'; LOCK TABLE %s IN %s MODE; SELECT pg_sleep(%v); COMMIT")},
}

// tables are what the administrators choose from.
func (m *machine) tables() []string {
	names := []string{"log", "twin", "base", "base_a", "customer", `"Order"`, "line", "invoice", "blob", "big", "audit", "ledger", "counter"}
	for _, t := range m.schema.keyed {
		names = append(names, t.name)
	}
	return names
}

// lockable are those that a lock may be held on for a while: not those that everybody's transactions end in.
func (m *machine) lockable() []string {
	return slices.DeleteFunc(m.tables(), func(name string) bool { return name == "ledger" || name == "audit" })
}

var withPrimaryKey = "SELECT coalesce((SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'p'), '')"

// onTables runs a statement on some tables. It may be refused for what an application may run into as well.
func onTables(template string) func(context.Context, *machine, *rand.Rand) (int, error) {
	return func(ctx context.Context, m *machine, r *rand.Rand) (times int, err error) {
		for range 1 + r.IntN(5) {
			all := m.lockable()
			table := all[r.IntN(len(all))]
			statement, skip, prepareErr := fill(ctx, m, r, template, table)
			if prepareErr != nil || skip {
				err = errors.Join(err, prepareErr)
				continue
			}
			times++
			if runErr := m.source.run(context.WithoutCancel(ctx), admin, statement); runErr != nil {
				m.errors.judge(admin, statement, runErr)
			}
			pause(ctx, between(r, 0, 300*time.Millisecond))
		}
		return times, err
	}
}

func fill(ctx context.Context, m *machine, r *rand.Rand, template, table string) (statement string, skip bool, err error) {
	modes := []string{"ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "SHARE UPDATE EXCLUSIVE", "ROW EXCLUSIVE", "ROW SHARE"}
	mode, hold := modes[r.IntN(len(modes))], 0.05+r.Float64()*0.9
	switch template[:4] {
	case "CLUS":
		index, err := ask[string](ctx, m.source, withPrimaryKey, table)
		return fmt.Sprintf(template, table, index), index == "", err
	case "BEGI":
		return fmt.Sprintf(template, table, mode, hold), false, nil
	}
	return fmt.Sprintf(template, table), false, nil
}

// dumpLike holds for a while what pg_dump holds for hours: a snapshot, and ACCESS SHARE on every table, ours too.
func dumpLike(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
	conn, err := m.source.connect(ctx, "app/dump")
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.PgConn().Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '5s'; DO $$
		DECLARE t regclass; BEGIN
			FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = 'public' OR nspname LIKE 'pgibex%') LOOP
				BEGIN EXECUTE 'LOCK TABLE ' || t || ' IN ACCESS SHARE MODE'; EXCEPTION WHEN undefined_table OR syntax_error THEN END;
			END LOOP;
		END $$`).ReadAll()
	if err != nil {
		return 0, err
	}
	held := between(r, time.Second, 12*time.Second)
	if r.IntN(5) == 0 {
		held = time.Minute
	}
	pause(ctx, held)
	_, err = conn.Exec(context.WithoutCancel(ctx), "COMMIT")
	return 1, err
}

// dump runs the source's own pg_dump where it has one.
func dump(ctx context.Context, m *machine, _ *rand.Rand) (int, error) {
	path := filepath.Join(m.source.Installation().BinDir, "pg_dump")
	if _, err := os.Stat(path); err != nil {
		return 0, nil //nolint:nilerr // not part of every package
	}
	cmd := exec.CommandContext(ctx, path, "-Fc", "-f", os.DevNull, m.source.dsn)
	cmd.Env = m.source.Installation().Env()
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "pgibex") {
		m.hurt("pg_dump of the source fails: %s", out)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return 1, nil
}
