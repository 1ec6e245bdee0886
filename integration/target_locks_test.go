package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

// Locks of others on tables of the target, each held over changes of the table. A whole table or some of its rows may be held, and of a table
// without a key, too.
var targetLocks = []struct{ name, schema, hold, write string }{
	{"whole", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", "UPDATE %s SET v = v + 1"},
	{"shared", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "LOCK TABLE %s IN SHARE MODE", "INSERT INTO %s SELECT g, 0 FROM generate_series(200, 300) g"},
	{"selected_row", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "SELECT FROM %s WHERE id = 7 FOR UPDATE", "UPDATE %s SET v = v + 1 WHERE id < 10"},
	{"updated_row", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "UPDATE %s SET v = v WHERE id = 7", "DELETE FROM %s WHERE id = 7"},
	{"inserted_row", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "INSERT INTO %s VALUES (777, 0)", "INSERT INTO %s VALUES (777, 1)"},
	{"truncated", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", "TRUNCATE %s; INSERT INTO %s VALUES (1, 1)"},
	{"queued", "CREATE TABLE %s (id int PRIMARY KEY, v int)", "SELECT FROM %s", "UPDATE %s SET v = v + 1"}, // a reader, and an ALTER TABLE behind it
	{"keyless", "CREATE TABLE %s (id int, v int)", "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", "UPDATE %s SET v = v + 1 WHERE id < 50"},
	{"keyless_row", "CREATE TABLE %s (id int, v int)", "SELECT FROM %s WHERE id = 7 FOR UPDATE", "DELETE FROM %s WHERE id < 10"},
	{"keyless_truncated", "CREATE TABLE %s (id int, v int)", "LOCK TABLE %s IN SHARE MODE", "TRUNCATE %s; INSERT INTO %s VALUES (1, 1)"},
}

// A table of the target that others have locked waits aside, and says for whom; the rest streams on.
func TestTableLockedOnTheTargetWaitsAside(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE free (id int PRIMARY KEY)")
	fill := func(template, name string) string { return strings.ReplaceAll(template, "%s", name) }
	for _, l := range targetLocks {
		s.both(fill(l.schema, l.name))
		s.src(fill("INSERT INTO %s SELECT g, 0 FROM generate_series(1, 100) g", l.name))
	}
	s.run()
	s.streaming()
	holders := map[string]session{}
	pids := map[string]string{}
	for _, l := range targetLocks {
		holders[l.name] = session{s, s.connect(s.targetDSN)}
		pids[l.name] = fmt.Sprintf("pid %d ", holders[l.name].conn.PgConn().PID())
		holders[l.name].do("SET application_name = 'forgotten'; BEGIN; " + fill(l.hold, l.name))
	}
	behind := s.connect(s.targetDSN)
	altered := make(chan error, 1)
	go func() {
		_, err := behind.Exec(t.Context(), "ALTER TABLE queued ADD more int")
		altered <- err
	}()
	s.eventually("the ALTER TABLE waits", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'queued'::regclass)"))
	for i, l := range targetLocks {
		s.src(fill(l.write, l.name))
		s.src(fmt.Sprintf("INSERT INTO free VALUES (%d)", i))
	}
	s.eventually("the free table follows", 30*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM free") == len(targetLocks) })
	for _, l := range targetLocks {
		s.eventually("the log and the status name who holds "+l.name, 30*time.Second, func() bool {
			return s.logged("table=public."+l.name+" ", pids[l.name], "(forgotten)", "idle in transaction") &&
				strings.Contains(s.waiting("public."+l.name), pids[l.name])
		})
	}
	const counted = "(SELECT source_generation FROM pgibex_it.stream)"
	generation := one[int](s, s.targetDSN, "SELECT "+counted+"::int")
	s.src("UPDATE free SET id = id WHERE id = 0")
	s.eventually("the source is counted while tables are apart", 60*time.Second, s.holds(s.targetDSN, fmt.Sprintf("%s > %d", counted, generation)))
	if status := s.status(); status.Consistent {
		t.Error("the status says that the target shows one state of the source")
	}
	for i := range 5 { // those that wait cost the others nothing more
		s.src(fmt.Sprintf("INSERT INTO free VALUES (%d)", 100+i))
		s.eventually("the free table follows", 30*time.Second, func() bool {
			return one[int](s, s.targetDSN, "SELECT count(*) FROM free") == len(targetLocks)+i+1
		})
	}
	for _, l := range targetLocks {
		holders[l.name].do("ROLLBACK")
	}
	if err := <-altered; err != nil {
		t.Error(err)
	}
	s.streaming()
	s.dst("ALTER TABLE queued DROP more")
	s.sameRows()
	for _, l := range targetLocks {
		if waiting := s.waiting("public." + l.name); waiting != "" {
			t.Errorf("%s still waits: %s", l.name, waiting)
		}
	}
}

// A table that has to be altered for the stream to go on waits aside for whoever uses it, and so does a foreign key: the rest streams on.
func TestTableInUseOnTheTargetIsAlteredLater(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE free (id int PRIMARY KEY); CREATE TABLE ruled (id int PRIMARY KEY, v int); CREATE TABLE drained (id int PRIMARY KEY, v int); CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int)")
	s.src("INSERT INTO ruled SELECT g, g FROM generate_series(1, 20) g; INSERT INTO drained SELECT g, g FROM generate_series(1, 5000) g; INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)")
	s.config.Apply.BatchSize = 64 << 10
	s.catchUp()
	s.both("ALTER TABLE ruled ADD CONSTRAINT positive CHECK (v > 0) NOT VALID; ALTER TABLE drained ADD CONSTRAINT positive CHECK (v > 0) NOT VALID")
	s.src("ALTER TABLE ruled DROP CONSTRAINT positive; ALTER TABLE drained DROP CONSTRAINT positive; UPDATE ruled SET v = -1 WHERE id = 3; UPDATE drained SET v = -v")
	s.src("ALTER TABLE ruled ADD CONSTRAINT positive CHECK (v > 0) NOT VALID; ALTER TABLE drained ADD CONSTRAINT positive CHECK (v > 0) NOT VALID")
	readers := map[string]session{}
	for table, does := range map[string]string{"ruled": "SELECT FROM ruled", "drained": "SELECT FROM drained", "child": "LOCK TABLE child IN ROW EXCLUSIVE MODE"} {
		readers[table] = session{s, s.connect(s.targetDSN)}
		readers[table].do("SET application_name = 'report'; BEGIN; " + does)
	}
	s.dst(`INSERT INTO pgibex_it.definition (number, name, kind, ordinal, table_sql, statements) SELECT number, 'to_parent', 'foreign key', 3, 'public.child',
		ARRAY['ALTER TABLE ONLY public.child ADD CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES public.parent NOT VALID', 'ALTER TABLE ONLY public.child VALIDATE CONSTRAINT to_parent']
		FROM pgibex_it.relation WHERE table_name = 'child'`)
	s.run()
	for i := range 20 {
		began := time.Now()
		s.src(fmt.Sprintf("INSERT INTO free VALUES (%d)", i))
		s.eventually("the free table follows", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf("EXISTS (SELECT 1 FROM free WHERE id = %d)", i)))
		if i > 0 && time.Since(began) > 4*time.Second { // it was 5 s each time
			t.Errorf("row %d arrived after %s", i, time.Since(began))
		}
	}
	for _, table := range []string{"ruled", "drained"} {
		pid := fmt.Sprintf("pid %d ", readers[table].conn.PgConn().PID())
		s.eventually("the log and the status name who reads "+table, 30*time.Second, func() bool {
			return s.logged("table=public."+table+" ", pid, "(report)") && strings.Contains(s.waiting("public."+table), pid)
		})
		readers[table].do("ROLLBACK")
	}
	s.streaming()
	s.eventually("the foreign key is said to wait", 30*time.Second, func() bool { return s.logged("a foreign key waits", "to_parent") })
	readers["child"].do("ROLLBACK")
	s.eventually("the foreign key is built", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pg_constraint WHERE conname = 'to_parent' AND convalidated)"))
	s.wantChecks("while it streams", "ruled")
	s.wantChecks("while it streams", "drained")
	s.sameRows()
}

// waiting is what a table is said to wait for.
func (s *stream) waiting(table string) string {
	s.t.Helper()
	for _, t := range s.status().Tables {
		if t.Table == table {
			return t.Waiting
		}
	}
	return ""
}

// logged says whether a line of the log has all of the texts.
func (s *stream) logged(texts ...string) bool {
	for line := range strings.Lines(s.log.String()) {
		has := true
		for _, text := range texts {
			has = has && strings.Contains(line, text)
		}
		if has {
			return true
		}
	}
	return false
}

// A catch-up waits for locked tables, and says for whom: on its own, beside a daemon, in a drain and in a copy.
func TestCatchUpWaitsForLocksOfTheTarget(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)")
	s.config.Apply.BatchSize = 64 * config.KB
	s.src("INSERT INTO a SELECT g, 'x' FROM generate_series(1, 20000) g")
	holder := session{s, s.connect(s.targetDSN)}
	pid := fmt.Sprintf("pid %d ", holder.conn.PgConn().PID())
	waits := func(what, hold string) {
		t.Helper()
		before := s.log.String()
		holder.do("BEGIN; " + hold)
		done := make(chan error, 1)
		go func() {
			_, err := s.replicator().CatchUp(t.Context())
			done <- err
		}()
		s.eventually(what+" names who is waited for", 30*time.Second, func() bool {
			return strings.Contains(strings.TrimPrefix(s.log.String(), before), "table=public.a by=\""+pid)
		})
		select {
		case err := <-done:
			t.Errorf("%s did not wait: %v", what, err)
			done <- err
		default:
		}
		holder.do("ROLLBACK")
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
		s.sameRows()
	}
	waits("the copy", "LOCK TABLE a")
	s.src("UPDATE a SET v = 'y' WHERE id < 10; INSERT INTO b VALUES (1)")
	waits("the batch", "LOCK TABLE a")
	s.src("UPDATE a SET v = 'z'; INSERT INTO b VALUES (2)")
	waits("the drain", "SELECT FROM a WHERE id = 10000 FOR UPDATE")
	stop := s.run()
	s.streaming()
	daemon := s.log
	s.log = &syncBuffer{} // of the catch-up alone
	s.src("UPDATE a SET v = 'u' WHERE id < 10; INSERT INTO b VALUES (3)")
	waits("the catch-up beside a daemon", "LOCK TABLE a")
	s.log = daemon
	stop()
}

// A lock on the stream's own state holds up everything, and is named.
func TestLockOnTheStateIsNamed(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	stop := s.run()
	s.streaming()
	holder := session{s, s.connect(s.targetDSN)}
	for i, hold := range []string{"SELECT FROM pgibex_it.stream FOR UPDATE", "LOCK TABLE pgibex_it.stream", "LOCK TABLE pgibex_it.relation"} {
		before := s.log.String()
		holder.do("BEGIN; " + hold)
		s.src(fmt.Sprintf("INSERT INTO a VALUES (%d)", i))
		if i < 2 {
			s.eventually("who holds it is named: "+hold, 60*time.Second, func() bool {
				return strings.Contains(strings.TrimPrefix(s.log.String(), before), fmt.Sprintf("pid %d ", holder.conn.PgConn().PID()))
			})
		}
		holder.do("ROLLBACK")
		s.streaming()
	}
	stop()
	s.sameRows()
}
