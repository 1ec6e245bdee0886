package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

// slowCopy makes the target take a moment for every chunk.
const slowCopy = `
	CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
	CREATE TRIGGER slow BEFORE INSERT ON %[1]s FOR EACH STATEMENT EXECUTE PROCEDURE slow();
	ALTER TABLE %[1]s ENABLE ALWAYS TRIGGER slow;`

// holdCopy lets rows from that id on into the target's table only when release is called.
func (s *stream) holdCopy(table string, from int) (release func()) {
	s.t.Helper()
	s.dst(fmt.Sprintf(`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;
		CREATE TRIGGER hold BEFORE INSERT ON %[1]s FOR EACH ROW WHEN (NEW.id >= %[2]d) EXECUTE PROCEDURE hold(); ALTER TABLE %[1]s ENABLE ALWAYS TRIGGER hold`, table, from))
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("SELECT pg_advisory_lock(4711)")
	return func() { s.t.Helper(); gate.do("SELECT pg_advisory_unlock(4711)") }
}

func (s *stream) chunks() (all, done int) {
	s.t.Helper()
	all = one[int](s, s.targetDSN, "SELECT count(*) FROM pgibex_it.chunk")
	return all, one[int](s, s.targetDSN, "SELECT count(done_at) FROM pgibex_it.chunk")
}

func (s *stream) copiedAtLeast(n int) func() bool {
	return func() bool {
		if !one[bool](s, s.targetDSN, "SELECT to_regclass('pgibex_it.chunk') IS NOT NULL") {
			return false
		}
		_, done := s.chunks()
		return done >= n
	}
}

// TestCopyInChunks copies tables that are written to all the while, by a daemon that is ended several times.
func TestCopyInChunks(t *testing.T) {
	t.Parallel()
	s := newStream(t, `
		CREATE TABLE tick (n serial PRIMARY KEY);
		CREATE TABLE k (id int PRIMARY KEY, code int UNIQUE, v text);
		CREATE TABLE b (x int, y text, code int UNIQUE, v text, PRIMARY KEY (y, x));
		CREATE TABLE r (id int PRIMARY KEY, v text);`)
	s.config.Copy.ChunkSize = 64 * config.KB
	s.src(`INSERT INTO k SELECT g, g, repeat('k', 60) FROM generate_series(1, 12000) g; INSERT INTO b SELECT g, 'y' || g % 7, g, repeat('b', 60) FROM generate_series(1, 12000) g;
		INSERT INTO r SELECT id, repeat('r', 60) FROM (SELECT g AS id FROM generate_series(1, 8000) g ORDER BY md5(g::text)) s; ANALYZE k; ANALYZE b; ANALYZE r`)
	for i, table := range []string{"k", "b", "r"} {
		s.dst(fmt.Sprintf(strings.Replace(slowCopy, "CREATE FUNCTION", []string{"CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"}[min(i, 1)], 1), table))
	}
	stopped := make(chan struct{})
	var writer sync.WaitGroup
	app := s.session()
	writer.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stopped:
				return
			default:
			}
			if _, err := app.conn.PgConn().Exec(t.Context(), disturb(n)).ReadAll(); err != nil {
				t.Errorf("the application: %v", err)
				return
			}
		}
	})
	for _, n := range []int{1, 15, 40} {
		stop := s.run()
		s.eventually(fmt.Sprintf("%d chunks are copied", n), 30*time.Second, s.copiedAtLeast(n))
		stop()
	}
	if all, done := s.chunks(); done >= all {
		t.Errorf("all %d chunks were copied before the last interruption", all)
	}
	s.run()
	s.eventually("all is copied", 40*time.Second, func() bool { all, done := s.chunks(); return done == all })
	close(stopped)
	writer.Wait()
	s.streaming()
	s.marked()
	s.sameRows()
	kinds := one[[]string](s, s.targetDSN, `SELECT ARRAY(SELECT table_name || ' ' || kind || ' ' || (count(*) > 5) FROM pgibex_it.chunk JOIN pgibex_it.relation USING (number)
		WHERE table_name <> 'tick' GROUP BY table_name, kind ORDER BY 1)`)
	if want := []string{"b block true", "k key true", "r block true"}; !slices.Equal(kinds, want) {
		t.Errorf("chunks are %v, expected %v", kinds, want)
	}
}

// disturb is a transaction that moves rows between blocks, keys between ranges and unique values between rows.
func disturb(n int) string {
	at, far := 1+n*37%11000, 1+(n*37+5500)%11000
	return fmt.Sprintf(`BEGIN;
		UPDATE k SET v = v || repeat('x', 100) WHERE id BETWEEN %[1]d AND %[1]d + 5; UPDATE k SET id = id + 100000 WHERE id = %[1]d + 7; UPDATE k SET id = -%[3]d WHERE id = %[2]d + 8;
		UPDATE k SET code = NULL WHERE id = %[1]d; UPDATE k SET code = %[1]d + 1000000 * %[3]d WHERE id = %[2]d; DELETE FROM k WHERE id = %[1]d + 11; INSERT INTO k VALUES (200000 + %[3]d, -%[3]d - 1, 'new');
		UPDATE b SET v = v || repeat('x', 100) WHERE x BETWEEN %[1]d AND %[1]d + 5; UPDATE b SET x = x + 100000, y = 'moved' WHERE x = %[2]d + 7; DELETE FROM b WHERE x = %[1]d + 11;
		UPDATE r SET v = v || repeat('x', 100) WHERE id %% 1000 = %[3]d %% 1000; DELETE FROM r WHERE id = %[1]d; COMMIT;
		BEGIN; CREATE TEMP TABLE swap ON COMMIT DROP AS SELECT x, y, code FROM b WHERE x IN (%[1]d, %[2]d) AND code IS NOT NULL;
		UPDATE b SET code = NULL WHERE x IN (SELECT x FROM swap); UPDATE b SET code = o.code FROM swap o WHERE b.x IN (SELECT x FROM swap) AND o.x <> b.x; COMMIT`, at, far, n)
}

const definitions = `SELECT ARRAY(
	SELECT pg_get_indexdef(indexrelid) || ' ' || coalesce(obj_description(indexrelid, 'pg_class'), '') || ' ' || indisclustered || indisreplident || indisprimary || indisvalid FROM pg_index WHERE indrelid::regclass::text !~ '^(pg_|pgibex)'
	UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || coalesce(obj_description(oid, 'pg_constraint'), '') || ' ' || condeferrable || condeferred || convalidated
		FROM pg_constraint WHERE conrelid <> 0 AND conrelid::regclass::text !~ '^(pg_|pgibex)'
	ORDER BY 1)`

// TestDefinitionsAfterTheCopy holds the copy at its indexes, ends the daemon there, and looks what another builds.
func TestDefinitionsAfterTheCopy(t *testing.T) {
	t.Parallel()
	s := newStream(t, `
		CREATE TABLE tick (n serial PRIMARY KEY);
		CREATE TABLE other (id int PRIMARY KEY, v text);
		CREATE TABLE t (id int PRIMARY KEY, code int, other_id int REFERENCES other, v text, p point, UNIQUE (code) DEFERRABLE INITIALLY DEFERRED);
		CREATE TABLE refers (id int PRIMARY KEY, t_id int CONSTRAINT "to T" REFERENCES t ON DELETE CASCADE DEFERRABLE, t_code int);`)
	s.dst(`CREATE INDEX plain ON t (v text_pattern_ops DESC NULLS LAST) WITH (fillfactor = 70); CREATE UNIQUE INDEX part ON t (v, id) WHERE code > 5; CREATE INDEX "Odd name" ON t (lower(v), (code + 1)) INCLUDE (id);
		ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (circle(p, 0) WITH &&) WHERE (code < 100); CREATE INDEX pts ON t USING gist (p);
		COMMENT ON INDEX plain IS 'it''s plain'; COMMENT ON CONSTRAINT apart ON t IS 'kept apart'; COMMENT ON CONSTRAINT "to T" ON refers IS 'refers';
		CREATE UNIQUE INDEX ri ON t (id, code) ; ALTER TABLE t ALTER code SET NOT NULL, REPLICA IDENTITY USING INDEX ri; CLUSTER t USING plain; ALTER TABLE t ADD CHECK (id > 0);
		ALTER TABLE refers ADD CONSTRAINT unchecked CHECK (id < 1000000) NOT VALID; ALTER TABLE refers ADD FOREIGN KEY (t_id) REFERENCES t NOT VALID, ADD CONSTRAINT late UNIQUE (t_code) DEFERRABLE`)
	s.config.Copy.ChunkSize = 64 * config.KB
	s.src(`INSERT INTO other SELECT g, 'o' FROM generate_series(1, 100) g; INSERT INTO t SELECT g, g, g % 100 + 1, 'v' || g, point(g, g) FROM generate_series(1, 3000) g;
		INSERT INTO refers SELECT g, g, g FROM generate_series(1, 3000) g; ANALYZE`)
	s.dst(fmt.Sprintf(slowCopy, "t"))
	before := one[[]string](s, s.targetDSN, definitions)
	stop := s.run()
	s.eventually("the copy has begun", 20*time.Second, s.copiedAtLeast(1))
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE") // lets rows in and no index
	s.eventually("the first index waits", 20*time.Second, func() bool {
		return one[bool](s, s.targetDSN, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass AND mode = 'ShareLock')")
	})
	s.src("UPDATE t SET code = code + 10000 WHERE id % 10 = 0")
	stop()
	gate.do("ROLLBACK")
	if during := one[[]string](s, s.targetDSN, definitions); len(during) > len(before)-8 {
		t.Errorf("%d of %d definitions are there, so nothing was put off", len(during), len(before))
	}
	s.run()
	s.streaming()
	s.marked()
	s.sameRows()
	s.eventually("foreign keys are back", 20*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM pgibex_it.definition") == 0 })
	after := one[[]string](s, s.targetDSN, definitions)
	if !slices.Equal(before, after) {
		t.Errorf("definitions differ\nlost: %s\nnew: %s", beyond(before, after), beyond(after, before))
	}
}

func TestChunkThatTakesTooLongIsSplit(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE tick (n serial PRIMARY KEY); CREATE TABLE w (a int, b int, v text, PRIMARY KEY (a, b))")
	s.config.Copy.ChunkSize, s.config.Copy.ChunkTime = 128*config.KB, 3*time.Millisecond // given up after four times that
	s.src("INSERT INTO w SELECT g, g % 3, repeat('w', 80) FROM generate_series(1, 4000) g; ANALYZE w")
	s.dst(fmt.Sprintf(slowCopy, "w")) // and no chunk is faster than 20 ms: all are split down to a block
	s.catchUp()
	s.equal()
	blocks := one[int](s, s.sourceDSN, "SELECT pg_relation_size('w') / 8192")
	if all, done := s.chunks(); all < blocks || done != all {
		t.Errorf("%d of %d chunks are done, expected one a block, and there are %d", done, all, blocks)
	}
}

func TestTruncateDuringCopy(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE tick (n serial PRIMARY KEY); CREATE TABLE k (id int PRIMARY KEY, v text); CREATE TABLE nk (a int, b text)")
	s.config.Copy.ChunkSize = 64 * config.KB
	s.src("INSERT INTO k SELECT g, repeat('k', 80) FROM generate_series(1, 8000) g; INSERT INTO nk SELECT g, 'n' FROM generate_series(1, 8000) g; ANALYZE k")
	release := s.holdCopy("k", 3000)
	s.run()
	s.eventually("some chunks are copied", 20*time.Second, s.copiedAtLeast(3))
	s.src("INSERT INTO k VALUES (-1, 'before'); TRUNCATE k, nk; INSERT INTO k SELECT g, 'after' FROM generate_series(3000, 6000) g; INSERT INTO nk VALUES (1, 'after'), (1, 'after')")
	if all, done := s.chunks(); all == done {
		t.Error("all was copied before the truncation")
	}
	release()
	s.streaming()
	s.marked()
	s.sameRows()
}

func TestInstallWaitsInTurns(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
	s.config.Capture.LockWait = 300 * time.Millisecond
	gid := one[string](s, s.sourceDSN, "SELECT current_database()")
	blocker, prepared, app := s.session(), s.session(), s.session()
	blocker.do("SET application_name = 'the blocker'", "BEGIN; INSERT INTO a VALUES (1)")
	prepared.do("BEGIN; INSERT INTO b VALUES (1); PREPARE TRANSACTION '" + gid + "'")
	done := make(chan error, 1)
	go func() {
		_, err := s.replicator().Install(t.Context())
		done <- err
	}()
	var longest time.Duration
	insert := func(table string) {
		start := time.Now()
		app.do(fmt.Sprintf("INSERT INTO %[1]s SELECT coalesce(max(id), 1000) + 1 FROM %[1]s", table), "DELETE FROM "+table)
		longest = max(longest, time.Since(start))
	}
	s.eventually("the session is named several times", 20*time.Second, func() bool {
		insert("a")
		return strings.Count(s.log.String(), "the blocker") >= 3
	})
	blocker.do("COMMIT")
	s.eventually("the prepared transaction is named", 20*time.Second, func() bool {
		insert("b")
		return s.log.contains(gid)
	})
	prepared.do("COMMIT PREPARED '" + gid + "'")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if longest > s.config.Capture.LockWait+time.Second {
		t.Errorf("a statement of the application took %s while the lock was waited for", longest)
	}
	s.catchUp()
	s.equal()
}

// catalogs are the rows of the system catalogs that have nothing to do with oids. %s is for what only VACUUM puts right.
const catalogs = `SELECT ARRAY(
	SELECT 'namespace ' || nspname || coalesce(nspacl::text, '') AS row FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
	UNION ALL SELECT 'class ' || c.oid::regclass || ' ' || relkind::text || ' ' || relnatts || ' ' || relchecks || relhasindex || relhasrules || coalesce(relacl::text, '') || coalesce(reloptions::text, '') %s
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_(toast|temp)'
	UNION ALL SELECT 'proc ' || oid::regprocedure || coalesce(proacl::text, '') FROM pg_proc WHERE pronamespace <> 'pg_catalog'::regnamespace_
	UNION ALL SELECT 'trigger ' || tgrelid::regclass || ' ' || regexp_replace(tgname, '[0-9]+$', '') || ' ' || tgenabled::text || tgfoid::regproc FROM pg_trigger
	UNION ALL SELECT 'type ' || oid::regtype || typtype::text FROM pg_type WHERE typnamespace <> 'pg_toast'::regnamespace_ AND NOT typname ~ '^_?pg_temp'
	UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated || condeferrable FROM pg_constraint WHERE conrelid <> 0
	UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) || ' ' || indisunique || indisprimary || indisclustered || indisvalid FROM pg_index WHERE indrelid::regclass::text !~ '^pg_'
	UNION ALL SELECT 'attribute ' || attrelid::regclass || ' ' || attname || ' ' || attnum || attnotnull || coalesce(attstattarget, -1) FROM pg_attribute WHERE attrelid > 16000 AND attrelid::regclass::text !~ '^pg_'
	UNION ALL SELECT 'depend ' || classid::regclass || ' ' || refclassid::regclass || ' ' || deptype::text || ' ' || count(*) FROM pg_depend
		WHERE NOT (refclassid = 'pg_namespace'::regclass AND refobjid IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_(toast_)?temp')) GROUP BY classid, refclassid, deptype
	UNION ALL SELECT 'description ' || classoid::regclass || ' ' || count(*) FROM pg_description GROUP BY classoid
	ORDER BY 1)`

func (s *stream) catalogs(dsn, more string) []string {
	s.t.Helper()
	query := strings.NewReplacer("'pg_catalog'::regnamespace_", "(SELECT oid FROM pg_namespace WHERE nspname = 'pg_catalog')",
		"'pg_toast'::regnamespace_", "(SELECT oid FROM pg_namespace WHERE nspname = 'pg_toast')").Replace(catalogs)
	return one[[]string](s, dsn, fmt.Sprintf(query, more))
}

func TestUninstallLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStream(t, `
		CREATE TABLE a (id serial PRIMARY KEY, v text UNIQUE); CREATE INDEX ON a (lower(v)); CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a); CREATE TABLE nk (x int);
		CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; CREATE TRIGGER own AFTER INSERT ON b FOR EACH ROW EXECUTE PROCEDURE f();
		COMMENT ON TABLE a IS 'a'; COMMENT ON INDEX a_pkey IS 'key'`)
	s.src("INSERT INTO a (v) SELECT g FROM generate_series(1, 100) g; INSERT INTO b SELECT g, g FROM generate_series(1, 100) g; INSERT INTO nk SELECT 1 FROM generate_series(1, 5)")
	type side struct{ name, dsn string }
	sides := []side{{"source", s.sourceDSN}, {"target", s.targetDSN}}
	const triggers = "|| relhastriggers" // stays set when the last trigger is dropped, by anyone, until VACUUM looks
	before := map[string][]string{}
	for _, side := range sides {
		before[side.name] = s.catalogs(side.dsn, triggers)
	}
	s.catchUp()
	stop := s.run()
	s.src("INSERT INTO nk VALUES (7); UPDATE a SET v = v || '!'; TRUNCATE nk")
	s.streaming()
	stop()
	if err := s.replicator().Uninstall(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, side := range sides {
		s.exec(side.dsn, "VACUUM")
		if after := s.catalogs(side.dsn, triggers); !slices.Equal(before[side.name], after) {
			t.Errorf("%s differs\ngone: %s\nleft behind: %s", side.name, beyond(before[side.name], after), beyond(after, before[side.name]))
		}
	}
	s.src("INSERT INTO b VALUES (1000, 1); TRUNCATE nk; DELETE FROM b") // nothing stands in the application's way
}

// A key that something depends on can not be dropped for the copy; rows that move between chunks then meet it.
func TestKeyThatStaysDuringTheCopy(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE w (a int, b int, u text, v text, PRIMARY KEY (b, a)); CREATE UNIQUE INDEX ON w (u);`)
	s.dst(`CREATE VIEW vw AS SELECT a, b, v, count(*) FROM w GROUP BY a, b`)
	s.src(`INSERT INTO w SELECT g, g * 7919 % 20011, 'u' || g, repeat('x', 100) FROM generate_series(1, 20000) g`)
	s.config.Copy.ChunkSize = 64 << 10
	stop := s.run()
	app := s.connect(s.sourceDSN)
	for i := range 60 {
		_, err := app.PgConn().Exec(t.Context(), fmt.Sprintf("UPDATE w SET v = repeat('y', 90) || %d, u = 'n%d-' || a WHERE a %% 60 = %d", i, i, i)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.streaming()
	stop()
	s.equal()
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM pg_index WHERE indrelid = 'w'::regclass"); n != 2 {
		t.Errorf("the target's table has %d indexes, not 2", n)
	}
}
