package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

// What was found by attacking the commands that change a running stream.

// A command and the daemon may capture one table at the same time, and a new table that somebody has locked holds up nobody else.
func TestAddBesideTheDaemon(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	const patient = "capture: {lock_wait: 200ms}"
	d := s.daemon(patient)
	s.streaming()
	s.both("CREATE TABLE l1 (id int PRIMARY KEY, v text); CREATE TABLE l2 (id int PRIMARY KEY, v text)")
	app, reader := s.session(), session{s, s.connect(s.targetDSN)}
	app.do("BEGIN; INSERT INTO l2 VALUES (1, 'x')")
	reader.do("BEGIN; SELECT FROM l1")
	add := pgibex(t, nil, "add", "public.l1", "public.l2", "-c", s.file(patient))
	d.says("beginning anew")
	d.says("waiting for a lock on a table of the source")
	s.src("UPDATE other SET v = 'meanwhile' WHERE id = 1")
	s.eventually("the others stream", 10*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM other WHERE v = 'meanwhile')"))
	app.do("COMMIT")
	reader.do("COMMIT")
	if code := add.code(30 * time.Second); code != 0 {
		t.Errorf("add: code %d: %s", code, add.log)
	}
	s.resynced("public.l1", "public.l2")
	s.streaming()
	s.sameRows()
	d.terminate()
}

// twoDrifted is a stream in which the triggers of two tables were disabled, on one of which the application has a lock.
func twoDrifted(t *testing.T) (s *stream, d *process, app session) {
	t.Helper()
	s = newStream(t, memberSchema)
	s.src(memberRows)
	d = s.daemon("")
	s.streaming()
	s.src("ALTER TABLE keyed DISABLE TRIGGER pgibex_it_insert; INSERT INTO keyed VALUES (50000, 'n', 'n'); ALTER TABLE child DISABLE TRIGGER pgibex_it_insert")
	app = s.session()
	app.do("BEGIN; UPDATE keyed SET v = 'held' WHERE id = 1")
	return s, d, app
}

// Two resyncs at once of a table that has drifted make its triggers once.
func TestTwoResyncsAtOnce(t *testing.T) {
	t.Parallel()
	s, d, app := twoDrifted(t)
	file := s.file("capture: {lock_wait: 200ms}")
	commands := []*process{pgibex(t, nil, "resync", "public.keyed", "public.child", "-c", file), pgibex(t, nil, "resync", "public.child", "public.keyed", "-c", file)}
	for _, c := range commands {
		c.says("waiting for a lock on a table of the source")
	}
	app.do("COMMIT")
	for _, c := range commands {
		if code := c.code(30 * time.Second); code != 0 {
			t.Errorf("resync: code %d: %s", code, c.log)
		}
	}
	if n := one[int](s, s.sourceDSN, "SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('keyed'::regclass, 'child'::regclass) AND tgname LIKE 'pgibex%'"); n != 8 {
		t.Errorf("the tables have %d triggers of ours", n)
	}
	s.resynced("public.keyed", "public.child")
	s.src("UPDATE keyed SET v = 'after' WHERE id = 2")
	s.streaming()
	s.sameRows()
	d.terminate()
}

// A resync that waits for one table's lock goes by what another has made of the next one meanwhile.
func TestResyncWhileAnotherCapturesAnew(t *testing.T) {
	t.Parallel()
	s, d, app := twoDrifted(t)
	const patient = "capture: {lock_wait: 200ms}"
	both := pgibex(t, nil, "resync", "public.keyed", "public.child", "-c", s.file(patient))
	both.says("waiting for a lock on a table of the source")
	s.command(patient, "resync", "public.child").wants(t, 0)
	app.do("COMMIT")
	if code := both.code(30 * time.Second); code != 0 {
		t.Errorf("resync: code %d: %s", code, both.log)
	}
	s.resynced("public.keyed", "public.child")
	s.streaming()
	s.sameRows()
	d.terminate()
}

// Rows that are not the source's stand in the way of a unique value, a key's index is gone, a foreign key does not hold.
func TestResyncOfWhatOthersHaveDone(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	d := s.daemon("")
	s.streaming()
	s.dst("INSERT INTO keyed VALUES (90000, 'mine', 'foreign'); ALTER TABLE other DROP CONSTRAINT other_pkey")
	s.src("INSERT INTO keyed VALUES (20001, 'mine', 'source')")
	s.eventually("keyed is in quarantine", 20*time.Second, func() bool { state, _ := s.state("public.keyed"); return state == "quarantined" })
	s.command("", "resync", "public.keyed").wants(t, 0)
	s.resynced("public.keyed")
	s.command("", "resync", "public.other").wants(t, 0)
	s.eventually("other is in quarantine", 20*time.Second, func() bool { state, _ := s.state("public.other"); return state == "quarantined" })
	s.dst("ALTER TABLE other ADD PRIMARY KEY (id)")
	s.command("", "resync", "public.other").wants(t, 0)
	s.resynced("public.other")
	s.streaming()
	s.sameRows()
	d.terminate()
}

// Keys on the target that the source can not hold are gone; a storage parameter does not hide what may not occur twice.
func TestResyncOfWiderTarget(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE w (id int PRIMARY KEY, v text); CREATE TABLE e (m mood PRIMARY KEY, v text);
		CREATE TABLE f (id int PRIMARY KEY, code int); CREATE UNIQUE INDEX ON f (code) WITH (fillfactor = 70)`)
	s.src("INSERT INTO w SELECT g, 'v' FROM generate_series(1, 1000) g; INSERT INTO e VALUES ('a', 'x'), ('b', 'x'); INSERT INTO f SELECT g, g FROM generate_series(1, 1000) g")
	s.dst("ALTER TABLE w ALTER id TYPE bigint; ALTER TYPE mood ADD VALUE 'c'")
	s.catchUp()
	s.dst(`INSERT INTO w VALUES (3000000000, 'foreign'), (5000, 'foreign'); INSERT INTO e VALUES ('c', 'foreign'); DELETE FROM w WHERE id = 7;
		UPDATE f SET code = -1 WHERE id = 1; UPDATE f SET code = 1 WHERE id = 900; UPDATE f SET code = 900 WHERE id = 1`)
	s.command("", "resync", "public.w", "public.e", "public.f").wants(t, 0)
	s.catchUp()
	s.sameRows()
}

// What is unique on the target alone is no reason to lose a row, however the changes are applied.
func TestUniqueOnTheTargetAlone(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE tick (n serial PRIMARY KEY); CREATE TABLE a (id int PRIMARY KEY, code text); CREATE TABLE b (id int PRIMARY KEY, code text UNIQUE)")
	s.dst("CREATE UNIQUE INDEX ON a (code); ALTER TABLE b DROP CONSTRAINT b_code_key; CREATE UNIQUE INDEX ON b (lower(code))")
	s.config.Apply.BatchSize = 64 * config.KB
	s.src("INSERT INTO a SELECT g, 'c' || g FROM generate_series(1, 40000) g; INSERT INTO b SELECT g, 'c' || g FROM generate_series(1, 40000) g")
	s.catchUp()
	s.src("UPDATE a SET code = 'd' || id % 20000; UPDATE b SET code = CASE WHEN id > 20000 THEN 'x' || id - 20000 ELSE 'X' || id END")
	s.run()
	for _, table := range []string{"a", "b"} {
		s.eventually(table+" is in quarantine", 60*time.Second, func() bool { state, _ := s.state("public." + table); return state == "quarantined" })
		if n := one[int](s, s.targetDSN, "SELECT count(*) FROM "+table); n != 40000 {
			t.Errorf("%s has %d rows on the target", table, n)
		}
	}
}

// A table whose triggers are made anew in the middle of its first copy keeps the definitions of its indexes.
func TestIndexesOutliveAnotherCapture(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE t (id int PRIMARY KEY, code int UNIQUE, v text); CREATE INDEX t_v ON t (v)")
	s.src("INSERT INTO t SELECT g, g, 'v' FROM generate_series(1, 5000) g")
	s.dst("ALTER TABLE t ADD CHECK (v <> 'bad')")
	s.src("UPDATE t SET v = 'bad' WHERE id = 4000")
	d := s.daemon("")
	s.eventually("it is in quarantine", 20*time.Second, func() bool { state, _ := s.state("public.t"); return state == "quarantined" })
	s.src("UPDATE t SET v = 'good' WHERE id = 4000; ALTER TABLE t DISABLE TRIGGER pgibex_it_delete")
	s.command("", "resync", "public.t").wants(t, 0)
	s.resynced("public.t")
	s.streaming()
	s.sameRows()
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid"); n != 3 {
		t.Errorf("the target's table has %d indexes", n)
	}
	d.terminate()
	s.command("tables: {exclude: [public.t], include: [public.nothing]}", "remove", "public.t").wants(t, 0)
	if n := one[int](s, s.targetDSN, "SELECT (SELECT count(*) FROM pgibex_it.chunk) + (SELECT count(*) FROM pgibex_it.definition) + (SELECT count(*) FROM pgibex_it.relation)"); n != 0 {
		t.Errorf("%d rows of a table that was removed are left in the stream's state", n)
	}
}

// A table that is dropped or replaced ends neither the copy of the others nor the daemon, also where the configuration names it.
func TestDroppedTableDoesNotEndTheDaemon(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	d := s.daemon("tables: {include: [public.keyed, public.child, public.plain, public.other]}\ncopy: {chunk_size: 64kB}")
	s.streaming()
	s.src("DROP TABLE other")
	s.dst("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgibex/it/leader'") // it begins anew
	s.eventually("other is in quarantine", 40*time.Second, func() bool { state, _ := s.state("public.other"); return state == "quarantined" })
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM keyed WHERE id = 15000 FOR UPDATE")
	s.dst("UPDATE keyed SET v = 'else' WHERE id BETWEEN 14990 AND 14995")
	s.src("UPDATE keyed SET v = 'other' WHERE id = 15000")
	s.command("", "resync", "public.keyed").wants(t, 0)
	s.eventually("the repair waits", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted AND application_name = 'pgibex/it/repair')"))
	s.src("DROP TABLE keyed CASCADE; CREATE TABLE keyed (id int PRIMARY KEY, code text UNIQUE, v text)")
	gate.do("ROLLBACK")
	s.eventually("keyed is in quarantine", 40*time.Second, func() bool { state, _ := s.state("public.keyed"); return state == "quarantined" })
	s.src("INSERT INTO plain VALUES (7, 'on')")
	s.eventually("the others stream", 10*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM plain WHERE b = 'on')"))
	d.terminate()
}

// A sweep is of one heap: the target's table is clustered in the middle of it.
func TestClusterDuringSweep(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE big (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO big SELECT g, repeat('v', 400) FROM generate_series(1, 60000) g")
	s.catchUp()
	s.dst("INSERT INTO big SELECT -g, repeat('x', 400) FROM generate_series(1, 1000) g")
	s.command("", "resync", "public.big").wants(t, 0)
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM big WHERE id = -1 FOR UPDATE")
	d := s.daemon("")
	s.eventually("the repair waits in its last sweep", 60*time.Second, s.holds(s.targetDSN, fmt.Sprintf("EXISTS (%s) AND EXISTS (%s)",
		"SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted AND application_name = 'pgibex/it/repair'",
		"SELECT 1 FROM pgibex_it.chunk WHERE kind = 'sweep' AND done_at IS NOT NULL")))
	d.kill()
	gate.do("ROLLBACK")
	s.dst("CLUSTER big USING big_pkey") // the rows that are not the source's come to the front
	s.daemon("")
	s.resynced("public.big")
	s.streaming()
	s.sameRows()
}
