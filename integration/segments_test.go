package integration

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
)

// captured is the capture of one table (id int PRIMARY KEY), read as the replicator reads it but without a target.
type captured struct {
	s        *stream
	capture  *capture.Capture
	conn     *pg.Conn
	table    *catalog.Table
	logs     map[int]*capture.Log
	log      *capture.Log
	position change.Snapshot
	seen     map[string]int // how often each key was read
}

func newCaptured(s *stream, table string) *captured {
	s.t.Helper()
	c := &captured{s: s, capture: capture.New("it"), seen: map[string]int{}}
	var err error
	c.conn, err = pg.Server{Side: pg.Source, DSN: s.sourceDSN, Stream: "it"}.Connect(s.t.Context(), "test")
	c.must(err)
	s.t.Cleanup(c.conn.CloseNow)
	_, err = c.capture.InstallStream(s.t.Context(), c.conn)
	c.must(err)
	all, err := catalog.Load(s.t.Context(), c.conn)
	c.must(err)
	c.table = all.Tables[catalog.Name{Schema: "public", Relation: table}]
	_, err = c.capture.Install(s.t.Context(), c.conn, c.table, capture.Locker{Wait: time.Second, Blocked: func(catalog.Name, []string) {}})
	c.must(err)
	c.restart()
	return c
}

func (c *captured) must(err error) {
	c.s.t.Helper()
	if err != nil {
		c.s.t.Fatal(err)
	}
}

// restart forgets what is not in the databases.
func (c *captured) restart() {
	c.s.t.Helper()
	logs, err := c.capture.Logs(c.s.t.Context(), c.conn, map[int]*catalog.Table{1: c.table})
	c.must(err)
	c.logs, c.log = logs, logs[1]
}

// read reads what is not read yet, and counts each key.
func (c *captured) read() {
	c.s.t.Helper()
	ctx := c.s.t.Context()
	c.must(c.capture.LookForWriters(ctx, c.conn, c.logs))
	view, err := c.capture.Open(ctx, c.conn, c.logs)
	c.must(err)
	var rows bytes.Buffer
	if part, ok := view.Part(c.log, c.position); ok {
		c.must(part.Rows(ctx, &rows))
	}
	view.Read()
	c.position = view.Position.Snapshot
	view.Close(ctx)
	for line := range strings.Lines(rows.String()) {
		c.seen[strings.Split(strings.TrimSpace(line), "\t")[1]]++
	}
}

func (c *captured) empty() {
	c.s.t.Helper()
	c.must(c.capture.Empty(c.s.t.Context(), c.conn, c.log, c.position))
}

func (c *captured) change() {
	c.s.t.Helper()
	c.must(c.capture.Switch(c.s.t.Context(), c.conn, c.log))
}

// exactly fails unless each row of the table was read, and once.
func (c *captured) exactly() {
	c.s.t.Helper()
	ids := one[[]string](c.s, c.s.sourceDSN, "SELECT ARRAY(SELECT id::text FROM "+c.table.SQL()+")")
	for _, id := range ids {
		if c.seen[id] != 1 {
			c.s.t.Errorf("row %s was read %d times", id, c.seen[id])
		}
	}
	if len(ids) != len(c.seen) {
		c.s.t.Errorf("%d rows were read, %d are there", len(c.seen), len(ids))
	}
}

func TestSwitchesUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE w (id serial PRIMARY KEY, v text)")
	c := newCaptured(s, "w")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	switched := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		conn := s.connect(s.sourceDSN)
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := insertThrough(ctx, conn, n, switched); err != nil {
					t.Errorf("the application met an error: %v", err)
					return
				}
			}
		})
	}
	const switches = 200
	most := 0
	for range switches {
		c.read()
		c.empty()
		c.change()
		select {
		case switched <- struct{}{}: // somebody was in a transaction all along
		default:
		}
		most = max(most, len(strings.Fields(c.segments())))
	}
	stop()
	writers.Wait()
	c.read()
	c.exactly()
	t.Logf("%d rows in %d switches, at most %d segments", len(c.seen), switches, most)
	if len(c.seen) < switches {
		t.Errorf("only %d rows were written: nothing is shown", len(c.seen))
	}
	for range 3 { // the one that is active, those that were left
		c.change()
		c.read()
		c.empty()
	}
	if left := c.segments(); strings.Trim(left, "0 ") != "" {
		t.Errorf("sizes of the segments at the end: %s, expected empty ones", left)
	}
}

// insertThrough is a transaction of one to three inserts by a prepared statement. Every third waits for a switch in between.
func insertThrough(ctx context.Context, conn *pgx.Conn, n int, switched <-chan struct{}) error {
	quiet := context.WithoutCancel(ctx)
	tx, err := conn.Begin(quiet)
	if err != nil {
		return err
	}
	const insert = "INSERT INTO w (v) VALUES ($1)" // prepared by pgx when first used
	for i := range 1 + n%3 {
		if i == 1 {
			select {
			case <-switched:
			case <-ctx.Done():
			}
			if _, err := tx.Exec(quiet, "SAVEPOINT s"); err != nil {
				return err
			}
			if _, err := tx.Exec(quiet, insert, "undone"); err != nil {
				return err
			}
			if _, err := tx.Exec(quiet, "ROLLBACK TO s"); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(quiet, insert, "kept"); err != nil {
			return err
		}
	}
	return tx.Commit(quiet)
}

// segments are the sizes in bytes of the segments, by number.
func (c *captured) segments() string {
	c.s.t.Helper()
	return one[string](c.s, c.s.sourceDSN, `SELECT coalesce(string_agg(pg_relation_size(('pgibex_it.delta_1_' || segment)::regclass)::text, ' ' ORDER BY segment), '') FROM pgibex_it.segment`)
}

func (c *captured) rowsIn(segment int) int {
	c.s.t.Helper()
	return one[int](c.s, c.s.sourceDSN, fmt.Sprintf("SELECT count(*) FROM pgibex_it.delta_1_%d", segment))
}

func TestSealingWaitsForWriters(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"commit", "prepared", "restarted", "prepared and restarted"} {
		t.Run(how, func(t *testing.T) {
			s := newStream(t, "CREATE TABLE w (id int PRIMARY KEY, v text)")
			c := newCaptured(s, "w")
			gid := one[string](s, s.sourceDSN, "SELECT current_database()")
			old := s.session()
			const insert = "INSERT INTO w VALUES ($1, 'x')" // prepared by pgx; what EXECUTE in SQL looks up would bring the new body
			for i := range 8 {                              // until the plan is kept
				if _, err := old.conn.Exec(t.Context(), insert, -i); err != nil {
					t.Fatal(err)
				}
			}
			c.change()
			c.read()
			c.empty()
			old.do("BEGIN")
			if _, err := old.conn.Exec(t.Context(), insert, 1); err != nil {
				t.Fatal(err)
			}
			c.change()
			c.read()
			c.empty()
			s.src("INSERT INTO w VALUES (100, 'in the new segment')")
			if _, err := old.conn.Exec(t.Context(), insert, 2); err != nil {
				t.Fatal(err)
			}
			c.change()
			c.read()
			c.empty()
			if strings.Contains(how, "prepared") {
				old.do("PREPARE TRANSACTION '" + gid + "'")
				c.read()
				c.empty()
			}
			if strings.Contains(how, "restarted") {
				c.restart()
			}
			for range 3 { // whatever is switched now must not use the segment that is not sealed
				c.change()
				c.read()
				c.empty()
			}
			if strings.Contains(how, "prepared") {
				old.do("COMMIT PREPARED '" + gid + "'")
			} else {
				old.do("COMMIT")
			}
			if n := c.rowsIn(2); n == 0 {
				t.Error("the segment that was left was emptied before its writer had ended")
			}
			c.read()
			c.empty()
			c.exactly()
			c.change()
			c.read()
			c.empty()
			if left := c.segments(); strings.Trim(left, "0 ") != "" {
				t.Errorf("sizes of the segments at the end: %s, expected empty ones", left)
			}
		})
	}
}

const bulk = "INSERT INTO kv SELECT g, 'bulk' FROM generate_series(%d, %d) g" // 30,000 rows are more than a segment's share

func TestSegmentLockedByDump(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE tick (n serial PRIMARY KEY); CREATE TABLE kv (id int PRIMARY KEY, v text)")
	stop := s.run()
	s.streaming()
	dump := s.session()
	dump.do("BEGIN; LOCK TABLE pgibex_it.delta_1_1, pgibex_it.delta_1_2 IN ACCESS SHARE MODE")
	for i := range 3 {
		before := s.activeSegment("kv")
		s.src(fmt.Sprintf(bulk, i*30000, i*30000+29999))
		s.eventually("the segment is switched", 20*time.Second, func() bool { return s.activeSegment("kv") != before })
	}
	s.marked()
	s.sameRows()
	if n := one[int](s, s.sourceDSN, "SELECT count(*) FROM pgibex_it.segment WHERE number = 1"); n < 3 {
		t.Errorf("there are %d segments, expected a third beside those that are locked", n)
	}
	dump.do("COMMIT")
	// The next dump lists what there is, and locks it later: nothing of it may be gone by then.
	listed := one[string](s, s.sourceDSN, "SELECT string_agg('pgibex_it.' || relname, ', ') FROM pg_class WHERE relname LIKE 'delta%'")
	stop()
	s.run() // which has forgotten when it wanted to try again
	s.src("INSERT INTO kv VALUES (-1, 'wakes it')")
	s.eventually("the disk is given back", 20*time.Second, func() bool {
		return one[int](s, s.sourceDSN, `SELECT sum(CASE WHEN NOT active THEN pg_relation_size(('pgibex_it.delta_1_' || segment)::regclass) END)::int
			FROM pgibex_it.segment WHERE number = 1`) == 0
	})
	dump.do("BEGIN; LOCK TABLE " + listed + " IN ACCESS SHARE MODE; COMMIT")
	s.marked()
	s.sameRows()
}

func TestNothingIsPurgedUnapplied(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE tick (n serial PRIMARY KEY); CREATE TABLE kv (id int PRIMARY KEY, v text)")
	s.run()
	s.streaming()
	held := session{s, s.connect(s.targetDSN)}
	held.do("BEGIN; LOCK TABLE kv IN ACCESS EXCLUSIVE MODE")
	s.src(fmt.Sprintf(bulk, 1, 30000))
	blocked := func() bool {
		return one[int](s, s.targetDSN, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'kv'::regclass") > 0
	}
	s.eventually("the batch waits for the target", 20*time.Second, blocked)
	s.src(fmt.Sprintf(bulk, 30001, 60000) + "; UPDATE kv SET v = 'changed' WHERE id <= 10000")
	deltas := "SELECT (SELECT count(*) FROM pgibex_it.delta_1_1) + (SELECT count(*) FROM pgibex_it.delta_1_2)"
	if n := one[int](s, s.sourceDSN, deltas); n != 70000 {
		t.Errorf("the segments have %d deltas while nothing is applied, expected 70000", n)
	}
	held.do("COMMIT")
	s.marked()
	s.sameRows()
	s.eventually("the segments are emptied", 20*time.Second, func() bool { return one[int](s, s.sourceDSN, deltas) < 70000 })
	purged, position := one[string](s, s.sourceDSN, "SELECT purged FROM pgibex_it.captured WHERE number = 1"), one[string](s, s.targetDSN, "SELECT position FROM pgibex_it.stream")
	p, err := change.ParseSnapshot(purged)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := change.ParseSnapshot(position); err != nil || !at.Covers(p) {
		t.Errorf("purged up to %s, which the target's position %s does not cover (%v)", purged, position, err)
	}
}

const backlogSchema = `
	CREATE TABLE tick (n serial PRIMARY KEY);
	CREATE TABLE a (id int PRIMARY KEY, v text);
	CREATE TABLE u (id int PRIMARY KEY, code int UNIQUE, v text);
	CREATE TABLE c (id int PRIMARY KEY, v text);
	CREATE TABLE nk (a int, b text);`

// TestLongBacklog stops a daemon in the middle of a backlog of 300,000 changes, and lets another go on.
func TestLongBacklog(t *testing.T) {
	t.Parallel()
	s := newStream(t, backlogSchema)
	s.config.Apply.BatchSize = 256 * config.KB
	s.src(`INSERT INTO a SELECT g, 'a' FROM generate_series(1, 20000) g; INSERT INTO u SELECT g, g, 'u' FROM generate_series(1, 60000) g;
		INSERT INTO c SELECT g, 'c' FROM generate_series(1, 1000) g; INSERT INTO nk SELECT g % 100, 'n' FROM generate_series(1, 1000) g`)
	s.catchUp()
	s.src(`UPDATE u SET code = -code; UPDATE u SET code = 60001 + code`) // every unique value moves to a row at the other end
	s.src(`INSERT INTO a SELECT g, 'new' FROM generate_series(20001, 130000) g; UPDATE a SET id = -id WHERE id % 10 = 0; DELETE FROM a WHERE id % 10 = 1;
		UPDATE a SET v = v || '!' WHERE id > 100000`)
	s.src(`INSERT INTO c SELECT g, 'gone' FROM generate_series(1001, 9000) g; TRUNCATE c; INSERT INTO c SELECT g, 'after' FROM generate_series(500, 8500) g`)
	s.src(`DELETE FROM nk WHERE a < 10; INSERT INTO nk SELECT g % 100, 'm' FROM generate_series(1, 3000) g`)
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM u WHERE id = 59000 FOR UPDATE; SELECT FROM a WHERE id = 1 FOR UPDATE") // rows of pieces in the middle
	stop := s.run()
	s.eventually("a piece is applied and another waits", 40*time.Second, func() bool {
		return one[bool](s, s.targetDSN, "SELECT coalesce(bool_or(next_block > 0), false) FROM pgibex_it.drain") &&
			one[bool](s, s.targetDSN, "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted)")
	})
	stop()
	gate.do("ROLLBACK")
	if one[int](s, s.targetDSN, "SELECT count(*) FROM pgibex_it.drain WHERE next_block < end_block") == 0 {
		t.Error("nothing was left to be resumed")
	}
	s.run()
	s.src("UPDATE u SET code = code + 1000000 WHERE id % 1000 = 0; UPDATE u SET code = 60001 - id WHERE id % 1000 = 500; DELETE FROM a WHERE id > 129000")
	s.streaming()
	s.marked()
	s.sameRows()
	if !s.log.contains("long backlog") {
		t.Error("nothing was applied in pieces")
	}
}

// TestTruncateDuringDrain truncates tables while pieces of their backlogs are being applied.
func TestTruncateDuringDrain(t *testing.T) {
	t.Parallel()
	s := newStream(t, backlogSchema)
	s.config.Apply.BatchSize = 256 * config.KB
	s.catchUp()
	s.src(`INSERT INTO a SELECT g, 'a' FROM generate_series(1, 60000) g; INSERT INTO u SELECT g, g, 'u' FROM generate_series(1, 60000) g`)
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; INSERT INTO a VALUES (59999, 'keeps the last piece waiting')")
	s.run()
	s.eventually("a piece is applied", 40*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM a WHERE id = 1)"))
	s.src("BEGIN; INSERT INTO a VALUES (-1, 'before'); TRUNCATE a, u; INSERT INTO a SELECT g, 'after' FROM generate_series(30000, 30100) g; INSERT INTO u VALUES (2, 1, 'after'); COMMIT; INSERT INTO u VALUES (1, 2, 'later')")
	gate.do("ROLLBACK")
	s.streaming()
	s.marked()
	s.sameRows()
}

// TestParallelDrain has one table's backlog applied by two workers at once, whose pieces pass unique values to one another and
// have keys in common.
func TestParallelDrain(t *testing.T) {
	t.Parallel()
	s := newStream(t, backlogSchema)
	s.config.Apply.BatchSize = 256 * config.KB
	s.src("INSERT INTO u SELECT g, g, 'u' FROM generate_series(1, 100000) g; INSERT INTO a SELECT g, 'a' FROM generate_series(1, 10) g")
	s.catchUp()
	s.src("UPDATE u SET v = 'first'; UPDATE u SET v = 'again' WHERE id % 3 = 0")
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM u WHERE id IN (1, 99000) FOR UPDATE")
	s.run()
	s.eventually("two workers wait for rows of one table", 40*time.Second, func() bool {
		return one[int](s, s.targetDSN, "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted AND application_name = 'pgibex/it/drain'") == 2
	})
	s.src("DELETE FROM u WHERE id % 7 = 0; UPDATE u SET v = 'third' WHERE id % 11 = 0")
	gate.do("ROLLBACK")
	s.streaming()
	s.marked()
	s.sameRows()
	s.src(`UPDATE u SET code = -code; UPDATE u SET code = 100001 + code; UPDATE u SET v = 'last' WHERE id % 3 = 0`)
	s.src("UPDATE u SET code = code + 1000000 WHERE id % 1000 = 0; UPDATE u SET code = 100001 - id WHERE id % 1000 = 500")
	s.streaming()
	s.marked()
	s.sameRows()
}
