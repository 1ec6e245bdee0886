package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// operationsSchema has a table of every sort that statements are tried on. tick is for marked.
const operationsSchema = `
	CREATE TABLE tick (n serial PRIMARY KEY);
	CREATE TABLE kv (id int PRIMARY KEY, v text);
	CREATE TABLE uq (id int PRIMARY KEY, code int UNIQUE, v text);
	CREATE TABLE dk (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
	CREATE TABLE nk (a int, b text);
	CREATE TABLE parent (id int PRIMARY KEY, v text);
	CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v text);
	CREATE TABLE hot (id int PRIMARY KEY, n int);
	CREATE TABLE audit (id serial PRIMARY KEY, what text, old_v text, new_v text);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.audit (what, old_v, new_v) VALUES (TG_OP, CASE WHEN TG_OP <> 'INSERT' THEN OLD.v END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.v END);
		RETURN NULL;
	END $$;
	CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE PROCEDURE note();`

const operationsRows = `
	INSERT INTO kv SELECT g, 'v' || g FROM generate_series(1, 200) g;
	INSERT INTO uq SELECT g, g, 'v' || g FROM generate_series(1, 200) g;
	INSERT INTO dk SELECT g, 'v' || g FROM generate_series(1, 50) g;
	INSERT INTO nk SELECT g % 20, 'b' || g % 7 FROM generate_series(1, 200) g;
	INSERT INTO parent SELECT g, 'p' || g FROM generate_series(1, 40) g;
	INSERT INTO child SELECT g, g % 40 + 1, 'c' || g FROM generate_series(1, 200) g;
	INSERT INTO hot VALUES (1, 0), (2, 0);`

// operations are statements of an application. Those of one string that is not divided by BEGIN and COMMIT are one transaction.
var operations = []struct{ name, sql string }{
	{"key chain in one transaction", `BEGIN; UPDATE kv SET id = 1002 WHERE id = 2; UPDATE kv SET id = 2 WHERE id = 1; UPDATE kv SET id = 1 WHERE id = 1002; COMMIT;
		BEGIN; DELETE FROM kv WHERE id = 12; UPDATE kv SET id = 12 WHERE id = 11; UPDATE kv SET id = 11 WHERE id = 10; COMMIT`},
	{"key chain across transactions", `BEGIN; UPDATE kv SET id = 2000 WHERE id = 20; COMMIT; BEGIN; UPDATE kv SET id = 20 WHERE id = 21; COMMIT;
		BEGIN; UPDATE kv SET id = 21 WHERE id = 2000; COMMIT`},
	{"all keys move", `UPDATE kv SET id = -id; UPDATE kv SET id = 1 - id`},
	{"unique values swapped", `BEGIN; UPDATE uq SET code = -1 WHERE id = 1; UPDATE uq SET code = 1 WHERE id = 2; UPDATE uq SET code = 2 WHERE id = 1; COMMIT`},
	{"unique values rotated among all", `UPDATE uq SET code = -code; UPDATE uq SET code = (-code) % 200 + 1`},
	{"unique value handed to a new row", `BEGIN; DELETE FROM uq WHERE id = 7; INSERT INTO uq SELECT 1007, 8, 'heir'; ROLLBACK;
		BEGIN; UPDATE uq SET code = NULL WHERE id = 9; INSERT INTO uq SELECT 1009, 10, 'heir' WHERE NOT EXISTS (SELECT 1 FROM uq WHERE code = 10); COMMIT;
		BEGIN; DELETE FROM uq WHERE id = 12; INSERT INTO uq VALUES (1012, 13, 'heir'); COMMIT`},
	{"primary keys swapped", `BEGIN; UPDATE uq SET id = 5001 WHERE id = 31; UPDATE uq SET id = 31 WHERE id = 32; UPDATE uq SET id = 32 WHERE id = 5001; COMMIT`},
	{"deferrable keys swapped in one statement", `UPDATE dk SET id = 51 - id WHERE id BETWEEN 20 AND 31; DELETE FROM dk WHERE id < 5; INSERT INTO dk VALUES (1, 'new')`},
	{"delete and insert of one key", `BEGIN; DELETE FROM kv WHERE id < 50; INSERT INTO kv SELECT g, 'again' FROM generate_series(-20, 30) g; COMMIT;
		BEGIN; INSERT INTO kv VALUES (7001, 'short'); DELETE FROM kv WHERE id = 7001; COMMIT`},
	{"update or else insert", `BEGIN; UPDATE kv SET v = 'up' WHERE id = 8001; INSERT INTO kv SELECT 8001, 'in' WHERE NOT EXISTS (SELECT 1 FROM kv WHERE id = 8001); COMMIT;
		BEGIN; UPDATE kv SET v = 'up' WHERE id = 8001; INSERT INTO kv SELECT 8001, 'in' WHERE NOT EXISTS (SELECT 1 FROM kv WHERE id = 8001); COMMIT`},
	{"savepoints", `BEGIN; INSERT INTO kv VALUES (9001, 'stays'); SAVEPOINT a; INSERT INTO kv VALUES (9002, 'goes'); UPDATE kv SET v = 'goes' WHERE id = 9001; UPDATE nk SET b = 'goes';
		ROLLBACK TO a; SAVEPOINT b; INSERT INTO kv VALUES (9003, 'stays'); DELETE FROM nk WHERE a = 3; RELEASE b; UPDATE kv SET id = 9004 WHERE id = 9003; COMMIT;
		BEGIN; DELETE FROM kv; TRUNCATE nk; ROLLBACK`},
	{"subtransactions of a function", `DO $$ BEGIN FOR i IN 1..20 LOOP BEGIN INSERT INTO kv VALUES (9100 + i, 'sub'); IF i % 3 = 0 THEN RAISE 'no'; END IF;
		EXCEPTION WHEN raise_exception THEN UPDATE kv SET v = v || i WHERE id = 9101; END; END LOOP; END $$`},
	{"cascade and a trigger that writes elsewhere", `DELETE FROM parent WHERE id % 5 = 0; UPDATE parent SET id = id + 500 WHERE id % 7 = 0; UPDATE parent SET v = v || '!'; INSERT INTO parent VALUES (900, 'late')`},
	{"replica writers", `BEGIN; SET LOCAL session_replication_role = replica; UPDATE kv SET v = 'replica' WHERE id % 3 = 0; DELETE FROM nk WHERE a = 5; INSERT INTO hot VALUES (3, 3); COMMIT`},
	{"all rows at once", `UPDATE kv SET v = md5(v); UPDATE nk SET b = md5(b), a = a + 1`},
	{"rows that change a thousand times", `DO $$ BEGIN FOR i IN 1..1000 LOOP UPDATE hot SET n = n + 1; END LOOP; END $$`},
	{"serializable and repeatable read", `BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE kv SET v = 's' || (SELECT count(*) FROM kv) WHERE id > 9000; COMMIT;
		BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO nk SELECT id, v FROM kv WHERE id > 9000; COMMIT`},
	{"truncate alone", `TRUNCATE hot`},
	{"truncate between inserts", `BEGIN; INSERT INTO hot VALUES (10, 1); TRUNCATE hot; INSERT INTO hot VALUES (11, 1), (10, 2); COMMIT; INSERT INTO hot VALUES (12, 1)`},
	{"truncate twice, and one undone", `BEGIN; TRUNCATE hot; INSERT INTO hot VALUES (20, 1); TRUNCATE hot; INSERT INTO hot VALUES (21, 1); COMMIT; BEGIN; TRUNCATE hot; INSERT INTO hot VALUES (22, 2); ROLLBACK`},
	{"truncate without a key", `BEGIN; INSERT INTO nk VALUES (1, 'before'); TRUNCATE nk; INSERT INTO nk VALUES (1, 'after'), (1, 'after'), (NULL, NULL); COMMIT; INSERT INTO nk VALUES (2, 'later')`},
	{"truncate of several", `TRUNCATE uq, dk; INSERT INTO uq VALUES (1, 1, 'one'); INSERT INTO dk VALUES (1, 'one')`},
	{"truncate cascade", `TRUNCATE parent CASCADE; INSERT INTO parent VALUES (1, 'anew'); INSERT INTO child VALUES (1, 1, 'anew')`},
}

// marked waits until the target has everything that the source had committed before the call. It writes a mark, and as a batch
// is applied atomically whatever was committed before the mark is there when the mark is, but for tables that were locked at that moment.
func (s *stream) marked() {
	s.t.Helper()
	s.markArrives("NOT EXISTS (SELECT 1 FROM pgibex_it.relation WHERE state = 'streaming' AND position IS NOT NULL)")
}

// markArrives waits until a mark is on the target and the condition holds there at that moment.
func (s *stream) markArrives(condition string) {
	s.t.Helper()
	mark := one[int](s, s.sourceDSN, "INSERT INTO tick DEFAULT VALUES RETURNING n")
	conn := s.connect(s.targetDSN)
	s.eventually("the mark has arrived", 30*time.Second, func() bool {
		var there bool
		if err := conn.QueryRow(s.t.Context(), "SELECT EXISTS (SELECT 1 FROM tick WHERE n = $1) AND "+condition, mark).Scan(&there); err != nil {
			s.t.Fatal(err)
		}
		return there
	})
}

// sameRows compares all tables, and not the sequences: a daemon sets those every few seconds.
func (s *stream) sameRows() {
	s.t.Helper()
	for _, table := range s.tables() {
		s.equalTable(table)
	}
}

// in is the same stream in a subtest.
func (s *stream) in(t *testing.T) *stream {
	t.Helper()
	within := *s
	within.t = t
	return &within
}

// session is one of the application's, in which statements are run one by one.
type session struct {
	s    *stream
	conn *pgx.Conn
}

func (s *stream) session() session { s.t.Helper(); return session{s, s.connect(s.sourceDSN)} }

func (c session) do(statements ...string) {
	c.s.t.Helper()
	for _, sql := range statements {
		if _, err := c.conn.PgConn().Exec(c.s.t.Context(), sql).ReadAll(); err != nil {
			c.s.t.Fatalf("%v in: %s", err, sql)
		}
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	s := newStream(t, operationsSchema)
	s.src(operationsRows)
	s.run()
	s.streaming()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			s := s.in(t)
			s.src(op.sql)
			s.marked()
			s.sameRows()
		})
	}
	t.Run("all in one batch", func(t *testing.T) {
		s := s.in(t)
		held := s.session()
		held.conn = s.connect(s.targetDSN)
		held.do("BEGIN; LOCK TABLE tick IN ACCESS EXCLUSIVE MODE") // the batch with the mark waits, and what follows gathers
		s.src("INSERT INTO tick DEFAULT VALUES; TRUNCATE kv, hot, nk, dk, uq, child, parent;" + operationsRows)
		for _, op := range operations {
			if !strings.Contains(op.sql, "TRUNCATE parent") && !strings.Contains(op.sql, "TRUNCATE uq") {
				s.src(op.sql)
			}
		}
		held.do("COMMIT")
		s.marked()
		s.sameRows()
	})
	t.Run("copy", func(t *testing.T) {
		s := s.in(t)
		var lines strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&lines, "%d\tcopied %d\n", 20000+i, i)
		}
		if _, err := s.connect(s.sourceDSN).PgConn().CopyFrom(t.Context(), strings.NewReader(lines.String()), "COPY kv FROM STDIN"); err != nil {
			t.Fatal(err)
		}
		s.marked()
		s.sameRows()
	})
	t.Run("a role without rights on our schema", func(t *testing.T) {
		s := s.in(t)
		role := "app_" + one[string](s, s.sourceDSN, "SELECT current_database()")
		s.src("CREATE ROLE " + role + "; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON kv, nk TO " + role)
		defer s.src("DROP OWNED BY " + role + "; DROP ROLE " + role)
		app := s.session()
		app.do("SET ROLE "+role, "INSERT INTO kv VALUES (30001, 'app'); UPDATE kv SET v = 'app' WHERE id > 24000; DELETE FROM kv WHERE id > 24900", "TRUNCATE nk; INSERT INTO nk VALUES (1, 'app')")
		if _, err := app.conn.Exec(t.Context(), "SELECT * FROM pgibex_it.captured"); err == nil {
			t.Error("the role may read our schema; the test shows nothing")
		}
		s.marked()
		s.sameRows()
	})
}

func TestCommitsOutOfOrder(t *testing.T) {
	t.Parallel()
	s := newStream(t, operationsSchema)
	s.src(operationsRows)
	s.run()
	s.streaming()
	var open []session
	for i := range 6 {
		c := s.session()
		c.do("BEGIN", fmt.Sprintf("INSERT INTO kv VALUES (%d, 'first'); INSERT INTO nk VALUES (%d, 'first'); UPDATE uq SET v = 'first' WHERE id = %d", 1000+i, 1000+i, 1+i))
		open = append(open, c)
		s.marked() // batches go by while it is open
	}
	for i, c := range slices.Backward(open) { // the first txid commits last
		c.do(fmt.Sprintf("UPDATE kv SET v = 'last' WHERE id = %d; SAVEPOINT s; INSERT INTO nk VALUES (%d, 'last'); RELEASE s", 1000+i, 1000+i), "COMMIT")
		s.marked()
		s.sameRows()
	}
	var writers sync.WaitGroup
	deadline := time.Now().Add(1500 * time.Millisecond)
	for i := range 5 {
		c := s.session()
		writers.Go(func() {
			if err := writeAtRandom(t.Context(), c.conn, uint64(i), deadline); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	writers.Wait()
	s.marked()
	s.sameRows()
}

// writeAtRandom makes transactions of one to four statements of random length, some of them undone, until the deadline.
func writeAtRandom(ctx context.Context, conn *pgx.Conn, seed uint64, deadline time.Time) error {
	random := rand.New(rand.NewPCG(seed, 7))
	base := 100_000 * (int(seed) + 1)
	for n := 0; time.Now().Before(deadline); n++ {
		isolation := []string{"READ COMMITTED", "REPEATABLE READ"}[random.IntN(2)]
		statements := []string{"BEGIN ISOLATION LEVEL " + isolation}
		for range 1 + random.IntN(4) {
			id := base + random.IntN(50)
			statements = append(statements, []string{
				fmt.Sprintf("INSERT INTO kv SELECT %d, 'n%d' WHERE NOT EXISTS (SELECT 1 FROM kv WHERE id = %d)", id, n, id),
				fmt.Sprintf("UPDATE kv SET v = 'u%d' WHERE id = %d", n, id),
				fmt.Sprintf("DELETE FROM kv WHERE id = %d", id),
				fmt.Sprintf("UPDATE kv SET id = %d WHERE id = %d AND NOT EXISTS (SELECT 1 FROM kv WHERE id = %d)", id+50, id, id+50),
				fmt.Sprintf("INSERT INTO nk VALUES (%d, 'n')", id),
				fmt.Sprintf("DELETE FROM nk WHERE a = %d", id),
				"SELECT pg_sleep(0.005)",
			}[random.IntN(7)])
		}
		statements = append(statements, []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[random.IntN(4)])
		for _, sql := range statements {
			if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}

func TestPreparedTransactions(t *testing.T) {
	t.Parallel()
	s := newStream(t, operationsSchema+"CREATE TABLE big (id int PRIMARY KEY, v text);")
	s.src(operationsRows)
	s.run()
	s.streaming()
	gid := one[string](s, s.sourceDSN, "SELECT current_database()")
	c := s.session()
	c.do("BEGIN", "INSERT INTO big VALUES (1, 'prepared'), (2, 'prepared'); UPDATE uq SET v = 'prepared' WHERE id < 4; DELETE FROM nk WHERE a = 4", "PREPARE TRANSACTION '"+gid+"_commit'")
	c.do("BEGIN", "TRUNCATE hot; INSERT INTO hot VALUES (77, 7)", "PREPARE TRANSACTION '"+gid+"_truncate'", "COMMIT PREPARED '"+gid+"_truncate'")
	c.do("BEGIN", "INSERT INTO big VALUES (3, 'never'); DELETE FROM uq WHERE id = 99", "PREPARE TRANSACTION '"+gid+"_rollback'")
	before := s.activeSegment("big")
	s.src("INSERT INTO big SELECT g, 'bulk' FROM generate_series(10, 40000) g") // enough for a switch, while they are prepared
	s.eventually("the segment is switched", 20*time.Second, func() bool { return s.activeSegment("big") != before })
	s.src("UPDATE big SET v = 'more' WHERE id % 3 = 0")
	s.src("INSERT INTO kv VALUES (5000, 'meanwhile')")
	s.eventually("what others wrote is there", 20*time.Second, func() bool {
		return one[int](s, s.targetDSN, "SELECT count(*) FROM kv WHERE id = 5000") == 1 && one[int](s, s.targetDSN, "SELECT count(*) FROM big WHERE v = 'more'") > 13000
	})
	for _, end := range []string{"ROLLBACK PREPARED '" + gid + "_rollback'", "COMMIT PREPARED '" + gid + "_commit'"} {
		c.do(end)
		s.marked()
		s.sameRows()
	}
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM big WHERE v = 'prepared'"); n != 2 {
		t.Errorf("%d rows of the prepared transaction are on the target, expected 2", n)
	}
}

// activeSegment is the number of the segment that a table's changes go to.
func (s *stream) activeSegment(table string) int {
	s.t.Helper()
	return one[int](s, s.sourceDSN, "SELECT segment FROM pgibex_it.segment JOIN pgibex_it.captured USING (number) WHERE active AND table_name = $1", table)
}
