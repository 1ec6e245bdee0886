package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// Commands beside one another, beside a daemon, and beside what others do at that moment.

const waitsForTheStream = `EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgibex/it/target'
	AND query LIKE '%SET generation%' AND wait_event_type = 'Lock')`

// TestAddBesideUninstall: a table comes while the others' capture is being removed.
func TestAddBesideUninstall(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, v int)")
	const patient = "capture: {lock_wait: 200ms}\n"
	s.command(patient+"tables: {exclude: [public.b]}\n", "catchup").wants(t, 0)
	holdA, holdB, app := s.session(), s.session(), s.session()
	holdA.do("BEGIN; INSERT INTO a VALUES (1)")
	uninstall := pgibex(t, nil, "uninstall", "--yes", "--force", "-c", s.file(patient))
	uninstall.says("waiting for a lock on a table of the source")
	s.command(patient, "add", "public.b").wants(t, 0)
	holdB.do("BEGIN; INSERT INTO b VALUES (1)")
	holdA.do("COMMIT")
	s.eventually("it waits for b", 20*time.Second, func() bool { return uninstall.log.contains("table=public.b") })
	app.do("SET statement_timeout = '1s'", "INSERT INTO b VALUES (2)")
	holdB.do("COMMIT")
	if code := uninstall.code(30 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, uninstall.log)
	}
	s.untouched()
}

// TestAddBesideResyncAll: a table comes, and streams, while resync --all waits for the lock of another.
func TestAddBesideResyncAll(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	const patient = "capture: {lock_wait: 200ms}"
	d := s.daemon(patient)
	s.streaming()
	s.src("ALTER TABLE keyed DISABLE TRIGGER pgibex_it_insert")
	app := s.session()
	app.do("BEGIN; UPDATE keyed SET v = 'held' WHERE id = 1")
	all := pgibex(t, nil, "resync", "--all", "-c", s.file(patient))
	all.says("waiting for a lock on a table of the source")
	s.both("CREATE TABLE late (v text); CREATE TABLE latekey (id int PRIMARY KEY)")
	s.command(patient, "add", "public.late", "public.latekey").wants(t, 0)
	s.resynced("public.late", "public.latekey")
	s.src("INSERT INTO late SELECT 'x' || g FROM generate_series(1, 10) g; INSERT INTO latekey SELECT generate_series(1, 10)")
	s.eventually("it streams", 30*time.Second, s.holds(s.targetDSN, "(SELECT count(*) = 10 FROM late)"))
	app.do("COMMIT")
	if code := all.code(60 * time.Second); code != 0 {
		t.Errorf("resync --all: %d %s", code, all.log)
	}
	s.streaming()
	d.terminate()
	s.command("", "catchup").wants(t, 0)
	s.equal()
}

// TestResyncDecidesOnceItHasTheStream: the daemon drops a table's indexes for its first copy while resync waits for the stream.
func TestResyncDecidesOnceItHasTheStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE INDEX a_v ON a (v)")
	s.dst("CREATE VIEW w AS SELECT id, v FROM a GROUP BY id") // keeps the primary key
	s.src("INSERT INTO a SELECT g, md5(g::text) FROM generate_series(1, 200000) g")
	s.command("", "install").wants(t, 0)
	app, other := s.session(), session{s, s.connect(s.targetDSN)}
	app.do("BEGIN", "LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
	s.daemon("")
	s.eventually("the daemon plans", 20*time.Second, s.holds(s.sourceDSN, "EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgibex/it/plan' AND waiting)"))
	other.do("BEGIN; UPDATE pgibex_it.stream SET updated_at = updated_at") // holds up who takes it, not who writes
	p := pgibex(t, nil, "resync", "public.a", "-c", s.file(""))
	s.eventually("resync waits", 20*time.Second, s.holds(s.targetDSN, waitsForTheStream))
	app.do("ROLLBACK")
	s.eventually("the copy has begun", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.definition)"))
	other.do("COMMIT")
	if code := p.code(30 * time.Second); code != 0 {
		t.Fatal(p.log)
	}
	s.streaming()
	s.hasIndexes()
	s.sameRows()
}

// TestStopBesideInstall: the guard stops the recording while a table is being installed.
func TestStopBesideInstall(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text)")
	s.daemon("capture: {backlog_stop: 1MB}\n")
	s.streaming()
	s.both("CREATE TABLE b (id int PRIMARY KEY, v text)")
	held, target := s.session(), session{s, s.connect(s.targetDSN)}
	held.do("BEGIN", "SELECT 1 FROM pgibex_it.captured FOR SHARE") // stretches what the guard does
	target.do("BEGIN; LOCK TABLE a IN SHARE MODE")                 // nothing is applied
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 60000) g")
	s.eventually("the guard stops", 40*time.Second, s.holds(s.sourceDSN, "EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgibex/it/guard' AND waiting)"))
	s.command("", "add", "public.b").wants(t, 0)
	held.do("COMMIT")
	target.do("ROLLBACK")
	s.eventually("a is in quarantine", 30*time.Second, func() bool { state, _ := s.state("public.a"); return state == "quarantined" })
	s.src("INSERT INTO b VALUES (1, 'recorded')")
	s.eventually("b streams", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM b WHERE v = 'recorded')"))
}

// TestRemoveKeepsForeignKeys that can not be built yet, and uninstall ends for them.
func TestRemoveKeepsForeignKeys(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (id int PRIMARY KEY, pid int REFERENCES parent)")
	s.dst("ALTER TABLE parent ALTER v TYPE varchar(3)")
	s.src("INSERT INTO parent VALUES (1, 'too long'); INSERT INTO child SELECT g, 1 FROM generate_series(1, 5000) g")
	s.command("", "catchup").wants(t, 1, "public.parent")
	const exclude = "tables: {exclude: [public.child]}\n"
	s.command(exclude, "remove", "public.child").wants(t, 0)
	s.dst("ALTER TABLE parent ALTER v TYPE text")
	s.command(exclude, "resync", "public.parent").wants(t, 0)
	s.command(exclude, "catchup").wants(t, 0)
	s.hasIndexes()
	s.equal()
}

// TestCatchUpLooksForDrift beside a daemon, which looks for it now and then only.
func TestCatchUpLooksForDrift(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	s.daemon("")
	s.streaming()
	s.src("BEGIN; ALTER TABLE keyed DISABLE TRIGGER ALL; INSERT INTO keyed VALUES (90000, 'unseen', 'unseen'); ALTER TABLE keyed ENABLE TRIGGER ALL; COMMIT")
	s.both("ALTER TABLE texts ADD w text; CREATE TABLE fresh (id int PRIMARY KEY)")
	s.src("INSERT INTO other VALUES (90000, 'after')")
	s.command("", "catchup").wants(t, 1, "public.fresh is included by the configuration and not replicated", "public.keyed", "public.texts")
	s.command("", "verify").wants(t, 1, "public.fresh: not compared: is included by the configuration and not replicated")
	s.command("", "add", "public.fresh").wants(t, 0)
	s.command("", "resync", "public.keyed", "public.texts").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.src("DROP TABLE plain")
	s.command("", "catchup").wants(t, 1, "public.plain", "was dropped on the source", "pgibex remove public.plain")
	s.command("tables: {exclude: [public.plain]}\n", "remove", "public.plain").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
}

// TestLockedTableStopsNobodyElse on a source whose functions open the tables that they describe.
func TestLockedTableStopsNobodyElse(t *testing.T) {
	t.Parallel()
	for _, version := range []string{pgserver.SourceVersion, pgserver.TargetVersion} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newStreamOn(t, pgtest.Server(t, version), pgtest.Target(t), "CREATE TABLE a (id int PRIMARY KEY, v text UNIQUE); CREATE TABLE b (id int PRIMARY KEY, v text)")
			s.catchUp()
			app := s.session()
			app.do("BEGIN", "LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
			s.daemon("")
			s.src("INSERT INTO b VALUES (1, 'x')")
			s.eventually("b goes on", 15*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM b)"))
			app.do("ROLLBACK")
		})
	}
}

// TestRemovalWaitsForNobody: somebody reads a table's deltas, and its users go on.
func TestRemovalWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	s.command("", "catchup").wants(t, 0)
	number := one[int](s, s.sourceDSN, "SELECT number FROM pgibex_it.captured WHERE table_name = 'keyed'")
	reader, app := s.session(), s.session()
	reader.do(fmt.Sprintf("BEGIN; SELECT count(*) FROM pgibex_it.delta_%d_1", number))
	p := pgibex(t, nil, "remove", "public.keyed", "-c", s.file("capture: {lock_wait: 2s}\ntables: {exclude: [public.keyed]}\n"))
	app.do("SET statement_timeout = '800ms'")
	p.says("waiting for a lock on a table of the source")
	p.says("SELECT count(*) FROM pgibex_it.delta_")               // it is the reader that is named
	for start := time.Now(); time.Since(start) < 5*time.Second; { // several tries
		app.do("UPDATE keyed SET v = v || '.' WHERE id = 5")
	}
	reader.do("COMMIT")
	if code := p.code(30 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.log)
	}
}

// TestUniqueColumnThatTheTargetGenerates: rows of a batch in each other's way must not cost others.
func TestUniqueColumnThatTheTargetGenerates(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	s.src("CREATE TABLE g (id int PRIMARY KEY, code text UNIQUE, up text UNIQUE)")
	s.dst("CREATE TABLE g (id int PRIMARY KEY, code text UNIQUE, up text UNIQUE GENERATED ALWAYS AS (upper(code)) STORED)")
	s.src("INSERT INTO g SELECT i, 'c' || i, 'C' || i FROM generate_series(1, 3000) i")
	s.command("", "catchup").wants(t, 0)
	s.dst("UPDATE g SET code = 'x' WHERE id = 1; UPDATE g SET code = 'c1' WHERE id = 2900") // somebody wrote to the target
	s.command("", "resync", "public.g").wants(t, 0)
	s.command("copy: {chunk_size: 64kB}\n", "catchup").wants(t, 0)
	s.equal()
}

// TestUninstallWhileSomebodyReads what the stream has on the source: nobody else is to queue up behind it for long.
func TestUninstallWhileSomebodyReads(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	s.catchUp()
	reader := s.session()
	reader.do("BEGIN; SELECT 1 FROM pgibex_it.captured")
	p := pgibex(t, nil, "uninstall", "--yes", "--force", "-c", s.file(""))
	p.says("or a session reads them")
	reader.do("COMMIT")
	if code := p.code(30 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.log)
	}
	s.untouched()
}

// TestTargetTableGone while its indexes and foreign keys were still to be built.
func TestTargetTableGone(t *testing.T) {
	t.Parallel()
	const tables = "CREATE TABLE parent (id int PRIMARY KEY, v text UNIQUE); CREATE TABLE child (id int PRIMARY KEY, pid int REFERENCES parent)"
	s := newStream(t, "CREATE SCHEMA closed; SET search_path = closed; "+tables+"; SET search_path = public; "+tables)
	s.dst("ALTER TABLE parent ADD CHECK (length(v) < 4); ALTER TABLE closed.parent ADD CHECK (length(v) < 4)")
	s.src("INSERT INTO parent VALUES (1, 'too long'); INSERT INTO child VALUES (1, 1); INSERT INTO closed.parent VALUES (1, 'too long')")
	s.command("", "catchup").wants(t, 1, "public.parent", "closed.parent")
	s.dst("DROP TABLE parent CASCADE; DROP SCHEMA closed CASCADE")
	s.command("tables: {exclude: [public.parent]}\n", "remove", "public.parent").wants(t, 0, "a table of the target has gone")
	s.command("", "uninstall", "--yes", "--force").wants(t, 0, "a table of the target has gone")
	s.untouched()
}

// TestLockedAtTheBeginning: what may not occur twice in a table is known also where somebody has it locked when the daemon begins.
func TestLockedAtTheBeginning(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, n int UNIQUE, v text); CREATE TABLE b (id int PRIMARY KEY)")
	s.src("INSERT INTO a SELECT g, g, 'v' FROM generate_series(1, 40000) g")
	s.catchUp()
	app := s.session()
	app.do("BEGIN", "LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
	s.daemon("apply: {batch_size: 64kB}\n")
	s.src("INSERT INTO b VALUES (1)")
	s.eventually("it has begun", 15*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM b)"))
	app.do("UPDATE a SET n = -n", "UPDATE a SET n = 40001 + n", "COMMIT")
	s.streaming()
	s.sameRows()
}
