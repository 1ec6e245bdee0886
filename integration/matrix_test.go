package integration

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// Versions that a stream is carried from and to.
var (
	matrixSources = []string{"9.2", "9.5", "9.6", "10"}
	matrixTargets = []string{"14", "15", "16", "17", "18"}
)

// TestMatrix takes a stream through its whole life between the versions: every source with the first target and the first source
// with every target, or with PGIBEX_MATRIX=all every one with every other.
func TestMatrix(t *testing.T) {
	t.Parallel()
	which := os.Getenv("PGIBEX_MATRIX")
	if which == "" {
		pgtest.Skip(t, "takes minutes: make matrix")
	}
	for i, source := range matrixSources {
		for j, target := range matrixTargets {
			if i > 0 && j > 0 && which != "all" {
				continue
			}
			t.Run("from "+source+" to "+target, func(t *testing.T) { wholeLife(t, source, target) })
		}
	}
}

// wholeLife is what an operator does with a stream, from the first look to the last, each with a process of its own.
func wholeLife(t *testing.T, source, target string) {
	t.Helper()
	began := time.Now()
	s := newStreamOn(t, pgtest.Server(t, source), pgtest.Server(t, target), crashSchema+operationsSchema+matrixSchema(source))
	s.src(crashRows + operationsRows + matrixRows(source))
	before := [2][]string{s.catalogs(s.sourceDSN, ""), s.catalogs(s.targetDSN, "")}

	s.command("", "install", "--dry-run").wants(t, 0, "CREATE TRIGGER")
	s.untouched()
	s.command("", "install").wants(t, 0, "capture installed on")
	if now := s.catalogs(s.targetDSN, ""); !slices.Equal(now, before[1]) {
		t.Errorf("install has changed the target: %s", beyond(now, before[1]))
	}

	stop := s.application() // writes while the copy is made
	d := s.daemon(smallChunks)
	s.eventually("all stream", time.Minute, s.holds(s.targetDSN, allStream))
	stop()
	for _, op := range operations {
		s.src(op.sql)
	}
	s.src(matrixWrites(source))
	s.streaming()
	s.sameRows()
	s.backlog() // long enough to drain on the side
	s.src("SELECT nextval('item_id_seq') FROM generate_series(1, 100)")
	s.command("", "catchup").wants(t, 0, "done by the daemon")
	s.equal()
	s.command("", "status").wants(t, 0, "streaming, daemon running")
	d.terminate()
	s.src("UPDATE item SET code = 'd' || id WHERE id < 500; DELETE FROM nk; INSERT INTO nk VALUES (1, 'last'), (1, 'last')")
	s.command("", "catchup").wants(t, 0, "done by this process")
	s.equal()
	s.hasIndexes()
	s.command("", "verify").wants(t, 0, ", 0 differ")

	s.dst(`SET session_replication_role = replica; UPDATE item SET note = 'planted' WHERE id = (SELECT min(id) FROM item); DELETE FROM pair WHERE b = (SELECT max(b) FROM pair);
		INSERT INTO log VALUES (NULL, 'planted')`)
	s.command("", "verify").wants(t, 1, "public.item: 1 rows differ", "public.pair: 1 rows differ", "public.log: 1 rows differ")
	s.command("", "resync", "public.item", "public.pair", "public.log").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.command("", "verify").wants(t, 0, ", 0 differ")

	s.command("", "uninstall", "--yes").wants(t, 0)
	s.untouched()
	for i, dsn := range []string{s.sourceDSN, s.targetDSN} {
		if after := s.catalogs(dsn, ""); !slices.Equal(after, before[i]) {
			t.Errorf("%s: left behind: %s\nmissing: %s", []string{"source", "target"}[i], beyond(after, before[i]), beyond(before[i], after))
		}
	}
	t.Logf("PostgreSQL %s to %s in %v", s.source.Version(), s.target.Version(), time.Since(began).Round(time.Millisecond))
}

// matrixSchema is what a source of that version has beyond 9.2.
func matrixSchema(source string) string {
	if source == "9.2" {
		return ""
	}
	schema := "CREATE TABLE newer (id int PRIMARY KEY, doc jsonb);"
	if source == "10" {
		schema += `CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
			CREATE TABLE parted (id int NOT NULL, v text) PARTITION BY RANGE (id);
			CREATE TABLE parted_low PARTITION OF parted (PRIMARY KEY (id)) FOR VALUES FROM (MINVALUE) TO (50);
			CREATE TABLE parted_high PARTITION OF parted (PRIMARY KEY (id)) FOR VALUES FROM (50) TO (MAXVALUE);`
	}
	return schema
}

func matrixRows(source string) string {
	if source == "9.2" {
		return ""
	}
	rows := `INSERT INTO newer SELECT g, '{"a": [1, null]}' FROM generate_series(1, 100) g;`
	if source == "10" {
		rows += "INSERT INTO ident (v) SELECT 'v' || g FROM generate_series(1, 100) g; INSERT INTO parted SELECT g, 'v' || g FROM generate_series(1, 100) g;"
	}
	return rows
}

func matrixWrites(source string) string {
	if source == "9.2" {
		return "SELECT 1"
	}
	writes := `INSERT INTO newer VALUES (200, '"x"') ON CONFLICT DO NOTHING; INSERT INTO newer VALUES (1, '{}') ON CONFLICT (id) DO UPDATE SET doc = '{"b": 1}'; DELETE FROM newer WHERE id = 2;`
	if source == "10" {
		writes += `INSERT INTO ident (v) VALUES ('w'); UPDATE ident SET v = 'x' WHERE id = 5; DELETE FROM ident WHERE id = 6;
			UPDATE parted SET v = 'y' WHERE id % 3 = 0; DELETE FROM parted WHERE id % 7 = 0; INSERT INTO parted VALUES (1000, 'z'); TRUNCATE parted_low; INSERT INTO parted VALUES (-1, 'z');`
	}
	return writes
}
