package integration

import (
	"embed"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/state"
)

// States that pgibex of each layout's version has left, one directory a version. Whoever changes the layout adds one of the version
// there was until then: a stream in the middle of everything, dumped from both sides.
//
//go:embed testdata/layout-*
var layouts embed.FS

// upgradeSchema are the tables of those states, before the stream saw them.
const upgradeSchema = `
	CREATE TABLE keyed (id int PRIMARY KEY, code text UNIQUE, v text); CREATE TABLE keyless (a int, b text); CREATE TABLE odd (id int PRIMARY KEY, v text);
	CREATE TABLE emptied (id int PRIMARY KEY, v text); CREATE TABLE draining (id int PRIMARY KEY, v text);
	CREATE TABLE half (id int PRIMARY KEY, v text NOT NULL, keyed int REFERENCES keyed); CREATE INDEX half_v ON half (v);`

// upgradeBoth is what the target has of the rows that the source had, but for one table that it has rejected and one that is
// being copied: of that it has what its chunks say.
const upgradeBoth = `INSERT INTO keyed SELECT g, 'c' || g, 'v' FROM generate_series(1, 100) g; INSERT INTO keyless SELECT g %% 5, 'b' FROM generate_series(1, 20) g;
	INSERT INTO emptied SELECT g, 'v' FROM generate_series(1, 10) g; INSERT INTO draining SELECT g, 'old' FROM generate_series(1, 5000) g;
	INSERT INTO half SELECT g, repeat('v', 100) || g, g %% 50 + 11 FROM generate_series(1, %d) g;`

// upgradePending is what the deltas in those states are of.
const upgradePending = `INSERT INTO odd VALUES (1, 'toolong'), (2, 'w'); UPDATE draining SET v = 'new';
	UPDATE keyed SET v = 'w' WHERE id <= 3; UPDATE keyed SET id = 1004 WHERE id = 4; DELETE FROM keyed WHERE id = 5; INSERT INTO keyed VALUES (2000, 'new', 'new');
	INSERT INTO keyless VALUES (7, NULL), (7, NULL); DELETE FROM keyless WHERE ctid = '(0,1)'; TRUNCATE emptied; INSERT INTO emptied VALUES (1, 'after');
	UPDATE half SET v = 'w' WHERE id IN (1, 3000, 4999); DELETE FROM half WHERE id = 2; INSERT INTO half VALUES (6000, 'new', 11)`

// upgradeTarget is what the target had applied of them: a piece of a long backlog.
const upgradeTarget = "ALTER TABLE odd ALTER v TYPE varchar(3); UPDATE draining SET v = 'new' WHERE id <= 1480"

// left makes both sides what pgibex of a layout has left.
func left(t *testing.T, version int) *stream {
	t.Helper()
	s := newStream(t, upgradeSchema)
	s.src(fmt.Sprintf(upgradeBoth, 5000) + upgradePending)
	s.dst(fmt.Sprintf(upgradeBoth, 832) + upgradeTarget)
	const snapshot, transaction = "SELECT txid_current_snapshot()::text", "SELECT txid_current()::text"
	fill := strings.NewReplacer(
		"{{position}}", one[string](s, s.sourceDSN, snapshot), "{{first}}", one[string](s, s.sourceDSN, transaction),
		"{{later}}", one[string](s, s.sourceDSN, snapshot), "{{second}}", one[string](s, s.sourceDSN, transaction))
	for side, dsn := range map[string]string{"source": s.sourceDSN, "target": s.targetDSN} {
		text, err := layouts.ReadFile(path.Join("testdata", fmt.Sprintf("layout-%d", version), side+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		s.exec(dsn, fill.Replace(string(text)))
	}
	return s
}

// versions are those of the layouts on both sides.
func (s *stream) versions() [2]int {
	s.t.Helper()
	const query = "SELECT version FROM pgibex_it.stream"
	return [2]int{one[int](s, s.sourceDSN, query), one[int](s, s.targetDSN, query)}
}

const upgradeWrites = `UPDATE keyed SET v = 'later' WHERE id BETWEEN 3 AND 20; DELETE FROM keyless WHERE a = 2; INSERT INTO keyless VALUES (7, NULL); UPDATE odd SET v = 'x' WHERE id = 2;
	UPDATE draining SET v = 'newer' WHERE id % 100 = 0; DELETE FROM draining WHERE id = 4321; UPDATE half SET id = id + 10000 WHERE id % 500 = 0; INSERT INTO emptied VALUES (2, 'later')`

// TestUpgrade has today's pgibex go on from what every earlier one has left, and from what itself has.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for version := 1; version <= state.Version; version++ {
		t.Run(fmt.Sprintf("layout %d", version), func(t *testing.T) {
			s := left(t, version)
			s.src(upgradeWrites)
			if old := [2]int{version, version}; s.versions() != old {
				t.Fatalf("the layouts are of versions %v", s.versions())
			}
			if version < state.Version {
				older := fmt.Sprintf("has version %d, which this pgibex migrates to %d when it runs", version, state.Version)
				s.command("", "status").wants(t, 1, "the stream's layout there", older)
				s.command("", "verify").wants(t, 1, older)
				s.command("", "resync", "--all").wants(t, 1, older)
			}
			s.command("", "catchup").wants(t, 1, "tables in quarantine are not caught up", "public.odd: copy public.odd: the target rejects the row")
			if now := [2]int{state.Version, state.Version}; s.versions() != now {
				t.Errorf("the layouts have versions %v", s.versions())
			}
			s.dst("ALTER TABLE odd ALTER v TYPE text")
			s.command("", "resync", "public.odd").wants(t, 0)
			s.command("", "catchup").wants(t, 0)
			s.equal()
			s.hasIndexes()
			s.command("", "verify").wants(t, 0, ", 0 differ")
			if n := one[int](s, s.targetDSN, "SELECT count(*)::int FROM pgibex_it.relation WHERE target_relid IS DISTINCT FROM to_regclass(schema_name || '.' || table_name)::bigint"); n > 0 {
				t.Errorf("of %d tables it is not noted which of the target has the rows", n)
			}
			s.sameLayout()
			s.command("", "uninstall", "--yes", "--force").wants(t, 0)
			s.untouched()
		})
	}
}

// sameLayout fails the test unless both sides have the tables that an installation of today makes.
func (s *stream) sameLayout() {
	s.t.Helper()
	fresh := newStream(s.t, "CREATE TABLE a (id int PRIMARY KEY)")
	fresh.catchUp()
	const query = `SELECT ARRAY(SELECT relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull || coalesce(pg_get_expr(adbin, adrelid), '')
			FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
			WHERE nspname = 'pgibex_it' AND relkind = 'r' AND relname NOT LIKE 'delta%' AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = 'pgibex_it' AND conrelid <> 0
		ORDER BY 1)`
	for _, dsns := range [][2]string{{s.sourceDSN, fresh.sourceDSN}, {s.targetDSN, fresh.targetDSN}} {
		migrated, made := one[[]string](s, dsns[0], query), one[[]string](s, dsns[1], query)
		if len(made) < 10 || strings.Join(migrated, "\n") != strings.Join(made, "\n") {
			s.t.Errorf("a migrated layout is not a fresh one; too much: %s\nmissing: %s", beyond(migrated, made), beyond(made, migrated))
		}
	}
}

// TestANewerLayoutIsRefused: by every command, and nothing is changed.
func TestANewerLayoutIsRefused(t *testing.T) {
	t.Parallel()
	for _, newer := range []string{"source", "target"} {
		t.Run(newer, func(t *testing.T) {
			s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)")
			s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 10) g")
			s.catchUp()
			dsn := map[string]string{"source": s.sourceDSN, "target": s.targetDSN}[newer]
			s.exec(dsn, fmt.Sprintf("UPDATE pgibex_it.stream SET version = %d", state.Version+1))
			s.src("UPDATE a SET v = 'w'")
			everything := func() string {
				var b strings.Builder
				for _, dsn := range []string{s.sourceDSN, s.targetDSN} {
					fmt.Fprintln(&b, s.ours(dsn), s.catalogs(dsn, ""), s.rows(dsn, "SELECT version, generation, stream::text FROM pgibex_it.stream"))
				}
				fmt.Fprintln(&b, s.rows(s.targetDSN, "SELECT relation::text FROM pgibex_it.relation"), s.rows(s.targetDSN, "SELECT a::text FROM public.a"))
				return b.String()
			}
			before := everything()
			for _, args := range [][]string{
				{"run"}, {"catchup"}, {"status"}, {"verify"}, {"install"}, {"install", "--dry-run"}, {"resync", "--all"}, {"add", "public.b"}, {"remove", "public.a"}, {"uninstall", "--yes"},
			} {
				r := s.command("", args...)
				r.wants(t, 1, newer+": the stream's layout there", fmt.Sprintf("has version %d, and this pgibex knows up to %d; use the newer pgibex that made it", state.Version+1, state.Version))
				if now := everything(); now != before {
					t.Fatalf("%v has changed something:\n%s\nit was:\n%s", args, now, before)
				}
			}
		})
	}
}

// TestUpgradeInterrupted kills pgibex in the migration of either side, each of which is one transaction.
func TestUpgradeInterrupted(t *testing.T) {
	t.Parallel()
	s := left(t, 1)
	waits := func(table string) string {
		return "EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'pgibex_it." + table + "'::regclass)"
	}
	killed := func(dsn, table string, versions [2]int) {
		t.Helper()
		release := s.lock(dsn, "pgibex_it."+table, "ACCESS SHARE")
		d := s.daemon("")
		s.eventually("the migration waits", 20*time.Second, s.holds(dsn, waits(table)))
		d.kill()
		release()
		s.eventually("nothing of it is left", 20*time.Second, s.holds(dsn, "NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/it/%')"))
		if now := s.versions(); now != versions {
			t.Errorf("killed at %s: the layouts have versions %v, want %v", table, now, versions)
		}
	}
	killed(s.targetDSN, "drain", [2]int{1, 1}) // altered there after others
	if n := one[int](s, s.targetDSN, "SELECT count(*)::int FROM pg_attribute WHERE attname IN ('source_generation', 'resumable', 'method', 'remedy') AND attrelid::regclass::text LIKE 'pgibex_it.%'"); n > 0 {
		t.Errorf("%d columns of the new layout are there", n)
	}
	killed(s.sourceDSN, "captured", [2]int{1, state.Version}) // between the two
	s.src(upgradeWrites)
	s.dst("ALTER TABLE odd ALTER v TYPE text")
	s.command("", "catchup").wants(t, 1, "tables in quarantine")
	s.command("", "resync", "public.odd").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.hasIndexes()
	s.sameLayout()
}
