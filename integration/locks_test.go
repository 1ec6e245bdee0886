package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

// An application that locks several tables at once must never meet us holding one of them and waiting for another: 9.2 would
// pick it as the victim of the deadlock.
func TestTruncateCascadeNeverDeadlocks(t *testing.T) {
	t.Parallel()
	s := newStream(t, `
		CREATE TABLE a (id serial PRIMARY KEY, v text);
		CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
		CREATE TABLE c (id serial PRIMARY KEY, b int REFERENCES b ON DELETE CASCADE);
		CREATE TABLE d (at timestamptz, b int REFERENCES b ON DELETE CASCADE);`)
	s.config.Apply.PollInterval = 10 * time.Millisecond
	stop := s.run()
	s.streaming()
	app := s.connect(s.sourceDSN)
	for i := range 400 {
		sql := `INSERT INTO a (v) SELECT g FROM generate_series(1, 20) g; INSERT INTO b (a) SELECT max(id) FROM a; INSERT INTO c (b) SELECT max(id) FROM b; INSERT INTO d SELECT now(), max(id) FROM b`
		if i%2 == 0 {
			sql = "BEGIN; TRUNCATE " + []string{"a", "b", "c, d"}[i%3] + " CASCADE; INSERT INTO a (v) VALUES ('after'); COMMIT"
		}
		if _, err := app.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatalf("the application got an error: %v", err)
		}
	}
	s.streaming()
	stop()
	s.catchUp()
	s.equal()
}

// Whoever wants a table of the source for himself waits no longer than a second for us to stop reading it, however long the target
// takes.
func TestReadsGiveWay(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE big (id int PRIMARY KEY, v text); CREATE TABLE small (id int PRIMARY KEY)`)
	s.src("INSERT INTO big SELECT g, repeat('v', 200) FROM generate_series(1, 40000) g; INSERT INTO small SELECT generate_series(1, 10)")
	s.dst(`CREATE SCHEMA there; CREATE TABLE there.slow AS SELECT 1;
		CREATE FUNCTION there.slowly(t text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.001) FROM there.slow; RETURN true; END $$;
		ALTER TABLE big ADD CHECK (there.slowly(v))`)
	wait := func(what string) {
		t.Helper()
		s.eventually(what+" is being read", 30*time.Second, s.holds(s.sourceDSN, `EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND relation = 'big'::regclass AND application_name LIKE 'pgibex/it/%'
			AND now() - xact_start > '500 ms')`))
		began := time.Now()
		s.src("BEGIN; LOCK TABLE big; COMMIT") // as TRUNCATE and ALTER TABLE do
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: the application waited for %s", what, took)
		}
	}
	stop := s.run()
	wait("the copy")
	s.dst("DELETE FROM there.slow")
	s.streaming()
	s.equalTable("public.big")
	stop()
	s.config.Apply.BatchSize = 256 * config.KB
	s.src("UPDATE big SET v = 'drained'")
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM big WHERE id = 30000 FOR UPDATE")
	stop = s.run()
	s.eventually("the drain waits on the target", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted)"))
	s.src("BEGIN; LOCK TABLE big; COMMIT")
	gate.do("ROLLBACK")
	s.streaming()
	stop()
	s.sameRows()
}

// A table that somebody has locked for long holds up nobody else.
func TestLockedTableDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE locked (id int PRIMARY KEY); CREATE TABLE log (what text); CREATE TABLE free (id int PRIMARY KEY)`)
	stop := s.run()
	s.streaming()
	locker := s.connect(s.sourceDSN)
	_, err := locker.PgConn().Exec(t.Context(), "BEGIN; INSERT INTO locked SELECT generate_series(1, 10); INSERT INTO log VALUES ('x'); COMMIT; BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE; INSERT INTO locked VALUES (11)").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		s.src(fmt.Sprintf("INSERT INTO free VALUES (%d)", i))
		s.eventually("the free table follows", 10*time.Second, func() bool {
			return one[int](s, s.targetDSN, "SELECT count(*) FROM free") == i+1
		})
	}
	if status := s.status(); status.Daemon && status.Consistent {
		t.Error("the status says that the target shows one state of the source")
	}
	if _, err := locker.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.streaming()
	stop()
	s.equal()
}

// TestVerifyNamesWhomItWaitsFor: a comparison waits for a locked table as long as the lock is held, on either side, and says for whom.
func TestVerifyNamesWhomItWaitsFor(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE free (id int PRIMARY KEY, v text); CREATE TABLE held (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO free SELECT g, 'v' FROM generate_series(1, 100) g; INSERT INTO held SELECT * FROM free")
	s.catchUp()
	for _, side := range []struct{ name, dsn string }{{"source", s.sourceDSN}, {"target", s.targetDSN}} {
		release := s.lock(side.dsn, "held", "ACCESS EXCLUSIVE")
		verify := pgibex(t, nil, "verify", "-c", s.file(""))
		verify.says("waiting for a table that is locked on the " + side.name + `" table=public.held by="pid `)
		verify.says("with AccessExclusiveLock: BEGIN; LOCK TABLE held")
		release()
		if code := verify.code(30 * time.Second); code != 0 || !strings.Contains(verify.out.String(), "2 tables, 200 rows compared, 0 differ") {
			t.Errorf("after a lock on the %s: code %d: %s", side.name, code, verify.out.String())
		}
	}
}
