package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

// Each test here keeps away a way to lose rows, or to stop, that was once found in a review.

// A table's rows written between the planning of others and its own must lie within its chunks.
func TestRowsWrittenWhileOthersArePlanned(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE large (a int, b int, v text, PRIMARY KEY (b, a)); CREATE TABLE late (a int, b int, v text, PRIMARY KEY (b, a))`)
	s.src(`INSERT INTO large SELECT g, g % 7, repeat('x', 200) FROM generate_series(1, 4000) g; INSERT INTO late SELECT g, g % 7, repeat('x', 100) FROM generate_series(1, 4000) g`)
	s.config.Copy.ChunkSize = 128 << 10
	// The larger table is planned first and waits for this lock; then rows come into blocks of the other that were not there before.
	locker := s.connect(s.targetDSN)
	if _, err := locker.PgConn().Exec(t.Context(), "BEGIN; LOCK TABLE large IN ACCESS SHARE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	stop := s.run()
	s.eventually("the copy waits", 20*time.Second, func() bool {
		return one[bool](s, s.targetDSN, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'large'::regclass)")
	})
	s.src(`INSERT INTO late SELECT g, g % 7, repeat('y', 100) FROM generate_series(4001, 6000) g`)
	if _, err := locker.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.streaming()
	stop()
	s.equal()
}

func TestLargestKey(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE t (id bigint PRIMARY KEY, v text)`)
	s.src(`INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(9223372036854770807, 9223372036854775806) g; INSERT INTO t VALUES (9223372036854775807, 'last'); ANALYZE t`)
	s.config.Copy.ChunkSize = 64 << 10
	s.catchUp()
	s.equal()
}

// A commit of the former daemon that is in flight when its successor looks must not be applied again.
func TestPositionIsReadOnceTheStreamIsTaken(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE log (what text)`)
	s.src(`INSERT INTO log VALUES ('x')`)
	s.catchUp()
	s.src(`INSERT INTO log VALUES ('y')`)
	now := one[string](s, s.sourceDSN, "SELECT txid_current_snapshot()::text")
	former := s.connect(s.targetDSN)
	if _, err := former.PgConn().Exec(t.Context(), "BEGIN; INSERT INTO log VALUES ('y'); UPDATE pgibex_it.stream SET position = '"+now+"'").ReadAll(); err != nil {
		t.Fatal(err)
	}
	stop := s.run()
	s.eventually("its successor waits for it", 20*time.Second, func() bool {
		return one[bool](s, s.targetDSN, "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted AND query LIKE '%.stream SET generation%')")
	})
	if _, err := former.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.src(`INSERT INTO log VALUES ('z')`) // whatever is applied twice comes with it
	s.eventually("its successor goes on", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM log WHERE what = 'z')"))
	stop()
	s.equal()
}

// Nor may a switch of segments go unnoticed that commits after its successor has looked at them.
func TestSegmentsAreReadOnceTheSourceIsTaken(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY)`)
	s.catchUp()
	body := one[string](s, s.sourceDSN, "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'capture_1'")
	former := s.connect(s.sourceDSN)
	_, err := former.PgConn().Exec(t.Context(), "BEGIN; SELECT 1 FROM pgibex_it.stream FOR SHARE;"+strings.ReplaceAll(body, "delta_1_1", "delta_1_2")+
		"; UPDATE pgibex_it.segment SET active = segment = 2 WHERE number = 1").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	stop := s.run()
	s.src(`INSERT INTO a VALUES (1)`)
	s.eventually("its successor waits for it", 20*time.Second, func() bool {
		return one[bool](s, s.sourceDSN, "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted AND query LIKE 'UPDATE %.stream SET generation%')")
	})
	if _, err := former.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		s.src(fmt.Sprintf(`INSERT INTO a VALUES (%d)`, i+2))
		s.streaming()
	}
	stop()
	s.equal()
}

// A table that is captured but refused, and then excluded, stays as it is on the target.
func TestExcludedTableIsNotCopied(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE log (what text)`)
	s.src(`INSERT INTO log VALUES ('x')`)
	if _, err := s.replicator().Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.dst(`INSERT INTO log VALUES ('x')`)
	if _, err := s.replicator().CatchUp(t.Context()); err == nil || !strings.Contains(err.Error(), "public.log: is not empty on the target") {
		t.Fatalf("a filled table is not refused: %v", err)
	}
	s.config.Tables.Exclude = []string{"public.log"}
	s.catchUp()
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM log"); n != 1 {
		t.Errorf("the excluded table has %d rows", n)
	}
}

// A foreign key to a table in quarantine can not be built; the other tables go on.
func TestForeignKeyToQuarantinedTable(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)`)
	s.dst(`ALTER TABLE a ADD CHECK (v <> 'bad')`)
	s.src(`INSERT INTO a VALUES (1, 'bad'), (2, 'ok'); INSERT INTO b VALUES (1, 1), (2, 2)`)
	_, err := s.replicator().CatchUp(t.Context())
	if err == nil || !strings.Contains(err.Error(), "tables in quarantine are not caught up") || !strings.Contains(err.Error(), "(id)=(1)") {
		t.Fatalf("catch up: %v", err)
	}
	if failures := s.status().ForeignKeys; len(failures) != 1 || !strings.Contains(failures[0], "b_a_fkey") {
		t.Errorf("the status does not name the foreign key: %q", failures)
	}
	s.equalTable(`public.b`)
}

// A row that is rejected, in a part too large to be sent before the error comes, while another table has a long backlog.
func TestRejectedRowBesideLongBacklog(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE big (id int PRIMARY KEY, v int)`)
	s.src(`CREATE TABLE bad (id int PRIMARY KEY, v varchar(10), w text)`)
	s.dst(`CREATE TABLE bad (id int PRIMARY KEY, v varchar(3), w text)`)
	s.config.Apply.BatchSize = 64 * config.KB
	s.catchUp()
	s.src(`INSERT INTO big SELECT g, g FROM generate_series(1, 60000) g; INSERT INTO bad SELECT g, 'toolong', repeat('x', 8000) FROM generate_series(1, 1300) g`)
	stop := s.run()
	s.eventually("the table is quarantined and the other streams", 30*time.Second, func() bool {
		state, reason := s.state("public.bad")
		status := s.status()
		return state == "quarantined" && strings.Contains(reason, "column v") && status.Phase == "streaming" &&
			one[int](s, s.targetDSN, "SELECT count(*) FROM big") == 60000
	})
	stop()
	s.equalTable("public.big")
}

// VACUUM holds a lock on the table for hours; it writes nothing to segments.
func TestVacuumKeepsNoSegmentOpen(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY, v int)`)
	s.src(`INSERT INTO a SELECT g, 0 FROM generate_series(1, 50000) g`)
	stop := s.run()
	s.streaming()
	vacuum := s.connect(s.sourceDSN)
	if _, err := vacuum.PgConn().Exec(t.Context(), "BEGIN; LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.src(`UPDATE a SET v = v + 1`)
		s.streaming()
	}
	s.eventually("no more than one segment holds anything", 20*time.Second, func() bool {
		s.src(`UPDATE a SET v = v + 1 WHERE id = 1`)
		return one[int](s, s.sourceDSN, "SELECT count(*) FROM pg_class WHERE relname LIKE 'delta\\_1\\_%' AND pg_relation_size(oid) > 0") <= 1
	})
	stop()
	s.catchUp()
	s.equal()
}

// Whoever reads a delta table must not make uninstall keep the application out of its own.
func TestUninstallWaitsForNothingWithTheTableLocked(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY)`)
	s.config.Capture.LockWait = 100 * time.Millisecond
	s.catchUp()
	reader := s.connect(s.sourceDSN)
	if _, err := reader.PgConn().Exec(t.Context(), "BEGIN; SELECT count(*) FROM pgibex_it.delta_1_1").ReadAll(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.replicator().Uninstall(t.Context(), true) }()
	app := s.connect(s.sourceDSN)
	for i := range 20 {
		start := time.Now()
		if _, err := app.Exec(t.Context(), fmt.Sprintf("INSERT INTO a VALUES (%d)", i)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("the application waited for %s", took)
		}
		s.eventually("a while passes", 5*time.Second, func() bool { return time.Since(start) > 50*time.Millisecond })
	}
	if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// VACUUM FULL moves the rows of a table whose copy is planned in blocks.
func TestRewriteBetweenChunks(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE t (id text PRIMARY KEY, v text)`)
	s.src(`INSERT INTO t SELECT md5(g::text), repeat('x', 100) FROM generate_series(1, 60000) g; DELETE FROM t WHERE ctid < '(700,0)'`)
	s.config.Copy.ChunkSize, s.config.Copy.Workers = 64<<10, 1
	stop := s.run()
	s.eventually("a chunk is done", 20*time.Second, func() bool {
		return one[bool](s, s.targetDSN, "SELECT to_regclass('pgibex_it.chunk') IS NOT NULL") &&
			one[bool](s, s.targetDSN, "SELECT EXISTS (SELECT 1 FROM pgibex_it.chunk WHERE done_at IS NOT NULL)")
	})
	s.src(`VACUUM FULL t`)
	s.streaming()
	stop()
	if !s.log.contains("begins anew") {
		t.Error("the copy was not interrupted by the rewrite: the test tests nothing")
	}
	s.catchUp()
	s.equal()
}

// The name of a captured table may come to belong to another: neither is read in its place.
func TestReplacedTableIsQuarantined(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY); CREATE TABLE fine (id int PRIMARY KEY)`)
	s.src(`INSERT INTO a SELECT g, 'a' FROM generate_series(1, 100) g; INSERT INTO b SELECT g, 'b' FROM generate_series(1, 50) g`)
	stop := s.run()
	s.streaming()
	s.src(`BEGIN; ALTER TABLE a RENAME TO x; ALTER TABLE b RENAME TO a; ALTER TABLE x RENAME TO b; COMMIT; UPDATE a SET v = 'n'; UPDATE b SET v = 'm'`)
	s.src(`INSERT INTO c VALUES (1); DROP TABLE c; CREATE TABLE c (id int PRIMARY KEY); INSERT INTO c VALUES (2)`)
	for _, table := range []string{"public.a", "public.b", "public.c"} {
		s.eventually(table+" is quarantined", 20*time.Second, func() bool {
			state, reason := s.state(table)
			return state == "quarantined" && (strings.Contains(reason, "replaced") || strings.Contains(reason, "renamed") || strings.Contains(reason, "dropped"))
		})
	}
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM a WHERE v = 'a'"); n != 100 {
		t.Errorf("%d rows of 100 are left as they were", n)
	}
	s.src(`INSERT INTO fine VALUES (1)`)
	s.eventually("the other table follows", 20*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM fine") == 1 })
	stop()
}

// A lock that somebody holds on the target must not become ours on the source.
func TestTargetLockDoesNotReachTheSource(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE log (what text)`)
	s.src(`INSERT INTO log SELECT repeat('x', 500) FROM generate_series(1, 20000)`)
	locker := s.connect(s.targetDSN)
	if _, err := locker.PgConn().Exec(t.Context(), "BEGIN; LOCK TABLE log IN SHARE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	stop := s.run()
	s.eventually("the copy waits", 20*time.Second, func() bool {
		return one[bool](s, s.targetDSN, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'log'::regclass)")
	})
	start := time.Now()
	s.src(`SET statement_timeout = '8s'; TRUNCATE log`)
	if took := time.Since(start); took > time.Second {
		t.Errorf("the application waited for %s", took)
	}
	if _, err := locker.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.streaming()
	stop()
	s.equal()
}
