package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/snapshot"
)

// Each test here keeps a mechanism that could be taken out without any other test noticing.

// While a batch can not move the position, nothing of it is to be seen.
func TestDataAndPositionCommitTogether(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE log (v text); CREATE TABLE z (id int PRIMARY KEY)")
	stop := s.run()
	s.streaming()
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM pgibex_it.stream FOR KEY SHARE; UPDATE pgibex_it.stream SET updated_at = updated_at")
	s.src("BEGIN; INSERT INTO a VALUES (1, 'x'); INSERT INTO log VALUES ('x'); INSERT INTO z VALUES (1); COMMIT")
	s.eventually("the position waits", 20*time.Second, s.holds(s.targetDSN,
		"EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted AND application_name = 'pgibex/it/apply' AND query LIKE '%SET position%')"))
	if n := one[int](s, s.targetDSN, "SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM log) + (SELECT count(*) FROM z)"); n != 0 {
		t.Errorf("%d rows of a batch are there whose position is not", n)
	}
	gate.do("ROLLBACK")
	s.streaming()
	stop()
	s.equal()
}

// The only thing that ever happens to a table may be that it is truncated: its segments are as empty as they were made.
func TestTruncateOfTablesNeverWrittenTo(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE log (v text); CREATE TABLE other (id int PRIMARY KEY)")
	s.src("INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1, 'x'); INSERT INTO log VALUES ('x')")
	stop := s.run()
	s.streaming()
	s.src("TRUNCATE a, log")
	s.src("BEGIN; TRUNCATE b; INSERT INTO other VALUES (1); COMMIT")
	s.eventually("they are empty on the target", 10*time.Second, s.holds(s.targetDSN, "NOT EXISTS (SELECT 1 FROM a) AND NOT EXISTS (SELECT 1 FROM b) AND NOT EXISTS (SELECT 1 FROM log)"))
	s.src("INSERT INTO a VALUES (2, 'y'); INSERT INTO b VALUES (3, 'z')")
	s.streaming()
	stop()
	for _, table := range []string{"public.a", "public.b", "public.log"} {
		if state, reason := s.state(table); state != "streaming" {
			t.Errorf("%s is %s: %s", table, state, reason)
		}
	}
	s.equal()
	s.src("TRUNCATE b, log")
	s.pending(map[string]int64{"public.a": 0, "public.b": 1, "public.log": 1, "public.other": 0})
	s.catchUp()
	s.pending(map[string]int64{"public.a": 0, "public.b": 0, "public.log": 0, "public.other": 0})
	s.equal()
}

// pending asserts on what status counts of each table: all that the target lacks.
func (s *stream) pending(want map[string]int64) {
	s.t.Helper()
	got := map[string]int64{}
	for _, table := range s.status().Tables {
		got[table.Table] = table.PendingRows
	}
	if !maps.Equal(got, want) {
		s.t.Errorf("changes pending: %v, want %v", got, want)
	}
}

// Databases that do not belong together, or not as they are now, are told apart, and neither is written to.
func TestStatesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE log (v text)")
	s.src("INSERT INTO a VALUES (1, 'x'); INSERT INTO log VALUES ('x')")
	s.catchUp()
	const state = "SELECT format('UPDATE pgibex_it.stream SET version = %L, source_id = %L, position = %L', version, source_id, position) FROM pgibex_it.stream"
	older := one[string](s, s.targetDSN, state)
	stop := s.run()
	s.src("TRUNCATE a; INSERT INTO log VALUES ('y')")
	s.eventually("the truncation is applied, and forgotten on the source", 20*time.Second, s.holds(s.sourceDSN,
		"NOT EXISTS (SELECT 1 FROM pgibex_it.truncation) AND EXISTS (SELECT 1 FROM pgibex_it.captured WHERE table_name = 'a' AND purged <> '1:1:')"))
	stop()
	s.catchUp()
	s.equal()
	s.src("INSERT INTO a VALUES (2, 'new'); INSERT INTO log VALUES ('new')")
	now := one[string](s, s.targetDSN, state)
	identity := one[string](s, s.sourceDSN, "SELECT format('UPDATE pgibex_it.stream SET version = %L, id = %L', version, id) FROM pgibex_it.stream")
	for _, test := range []struct{ name, dsn, does, undoes, says string }{
		{"target restored from an older copy", s.targetDSN, older, now, "public.a: the source has purged changes that this target does not have"},
		{"source restored from an older copy", s.targetDSN, "UPDATE pgibex_it.stream SET position = '900000000:900000000:'", now, "source: its transactions lie behind the target's position"},
		{"another source", s.sourceDSN, "UPDATE pgibex_it.stream SET id = 'other'", identity, "target: stream it follows another source"},
		{"another layout on the target", s.targetDSN, "UPDATE pgibex_it.stream SET version = 99", now, "target: the stream's layout there has version 99"},
		{"another layout on the source", s.sourceDSN, "UPDATE pgibex_it.stream SET version = 99", identity, "source: the stream's layout there has version 99"},
		{"capture gone", s.sourceDSN, "ALTER SCHEMA pgibex_it RENAME TO elsewhere", "ALTER SCHEMA elsewhere RENAME TO pgibex_it", "target: it holds stream it of a source whose capture is gone here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := s.in(t)
			s.exec(test.dsn, test.does)
			defer s.exec(test.dsn, test.undoes)
			for _, c := range []string{"run", "catchup"} {
				r := s.command("", c)
				r.wants(t, 1, test.says)
				r.brief(t, 1)
			}
			if n := one[int](s, s.targetDSN, "SELECT (SELECT count(*) FROM a) * 10 + (SELECT count(*) FROM log)"); n != 2 {
				t.Errorf("the target has been written to: %d", n)
			}
		})
	}
	s.catchUp()
	s.equal()
}

// A daemon that lost the stream without noticing must not write any more, in any phase, on either side. Here the other that has
// taken it goes away at once, and it takes the stream again.
func TestFenced(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE k (id int PRIMARY KEY, v text); CREATE TABLE log (v text)")
	s.config.Copy.ChunkSize, s.config.Apply.BatchSize = 64*config.KB, 64*config.KB
	s.src("INSERT INTO k SELECT g, repeat('k', 80) FROM generate_series(1, 8000) g; ANALYZE k")
	s.dst(fmt.Sprintf(slowCopy, "k"))
	const told = "the stream was taken by a command that changes its tables, or by another pgibex"
	fenced := func(phase, dsn, then string) {
		t.Helper()
		before := strings.Count(s.log.String(), told)
		s.exec(dsn, "UPDATE pgibex_it.stream SET generation = generation + 1")
		if then != "" {
			s.src(then)
		}
		s.eventually("it is refused while "+phase, 20*time.Second, func() bool { return strings.Count(s.log.String(), told) > before })
	}
	stop := s.run()
	s.eventually("some chunks are copied", 20*time.Second, s.copiedAtLeast(2))
	fenced("copying", s.targetDSN, "")
	s.streaming()
	fenced("applying a batch", s.targetDSN, "INSERT INTO log VALUES ('batch')")
	s.streaming()
	fenced("forgetting a truncation", s.sourceDSN, "TRUNCATE log; INSERT INTO log VALUES ('truncated')")
	s.streaming()
	stop()
	s.catchUp()
	s.equal()
}

// A transaction may end after the writers were looked for and before the batch's snapshot is taken, whose position covers it: what
// it wrote to a segment that was left is read now or never.
func TestWriterThatEndsBeforeTheSnapshot(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"BEGIN", "BEGIN; SAVEPOINT a"} {
		t.Run(how, func(t *testing.T) {
			s := newStream(t, "CREATE TABLE w (id int PRIMARY KEY, v text)")
			c := newCaptured(s, "w")
			old := s.session()
			old.do(how, "INSERT INTO w VALUES (1, 'written to the segment that is left')")
			c.change()
			c.read()
			ctx := t.Context()
			c.must(c.capture.LookForWriters(ctx, c.conn, c.logs))
			old.do("COMMIT")
			view, err := c.capture.Open(ctx, c.conn, c.logs)
			c.must(err)
			var rows bytes.Buffer
			if part, ok := view.Part(c.log, c.position); ok {
				c.must(part.Rows(ctx, &rows))
			}
			view.Read()
			c.position = view.Position.Snapshot
			view.Close(ctx)
			if want := "t\t1\twritten to the segment that is left\n"; rows.String() != want {
				t.Errorf("the batch has %q, expected %q", rows.String(), want)
			}
		})
	}
}

// A segment that nobody can write to any more is emptied when it was read, and when the target's position covers what it holds;
// each of the two is looked at.
func TestSegmentIsEmptiedOnceAppliedOnly(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE w (id int PRIMARY KEY, v text)")
	c := newCaptured(s, "w")
	s.src("INSERT INTO w VALUES (1, 'x')")
	c.change()
	c.empty()
	if n := c.rowsIn(1); n != 1 {
		t.Errorf("%d of 1 deltas are left, and nobody has read it", n)
	}
	before := c.position
	c.read()
	applied := c.position
	c.position = before // the batch was read, and its position is not committed on the target
	c.empty()
	if n := c.rowsIn(1); n != 1 {
		t.Errorf("%d of 1 deltas are left, and the target does not have it", n)
	}
	c.seen = map[string]int{}
	c.read()
	c.exactly()
	c.position = applied
	c.empty()
	if n := c.rowsIn(1); n != 0 {
		t.Errorf("%d deltas are left although they are applied", n)
	}
}

// While a table is copied its name may come to belong to another, of which not a row may be copied.
func TestReplacedTableIsNotCopied(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE k (id int PRIMARY KEY, v text)")
	s.src("CREATE TABLE other (id int PRIMARY KEY, v text)")
	s.config.Tables.Include = []string{"public.k"}
	s.config.Copy.ChunkSize = 64 * config.KB
	s.src("INSERT INTO k SELECT g, repeat('k', 80) FROM generate_series(1, 8000) g; INSERT INTO other SELECT g, 'other' FROM generate_series(1, 8000) g; ANALYZE k")
	release := s.holdCopy("k", 3000)
	stop := s.run()
	s.eventually("some chunks are copied", 20*time.Second, s.copiedAtLeast(3))
	s.src("BEGIN; ALTER TABLE k RENAME TO x; ALTER TABLE other RENAME TO k; ALTER TABLE x RENAME TO other; COMMIT")
	if all, done := s.chunks(); all == done {
		t.Error("all was copied before the tables changed places")
	}
	release()
	s.eventually("the table is quarantined", 20*time.Second, func() bool {
		state, reason := s.state("public.k")
		return state == "quarantined" && reason == "the table was renamed to public.other on the source" // which a look finds out, whoever noticed first
	})
	stop()
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM k WHERE v = 'other'"); n != 0 {
		t.Errorf("%d rows of the other table are on the target", n)
	}
}

// Whoever waits for the daemon waits for its position, which must move on although nothing happens to the stream's tables.
func TestPositionMovesWhileNothingChanges(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	s.src("CREATE TABLE beside (id int); INSERT INTO a VALUES (1)")
	const only = "tables: {include: [public.a]}\n"
	d := s.daemon(only)
	s.eventually("it streams", 20*time.Second, s.holds(s.targetDSN, allStream))
	s.src("INSERT INTO beside VALUES (1)")
	s.command(only, "catchup").wants(t, 0, "done by the daemon that carries the stream")
	d.terminate()
}

// What is pending is counted, in rows and bytes, and makes a lag.
func TestStatusCountsTheBacklog(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE log (v text); CREATE TABLE quiet (id int PRIMARY KEY)")
	s.src("INSERT INTO log VALUES ('x'), ('y')")
	s.catchUp()
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 7) g; UPDATE a SET id = -1 WHERE id = 1; UPDATE log SET v = 'z'")
	pending := func() (rows, bytes int64, tables string) {
		t.Helper()
		var list strings.Builder
		status := s.status()
		for _, table := range status.Tables {
			fmt.Fprintf(&list, "%s %d ", table.Table, table.PendingRows)
			if (table.PendingBytes > 0) != (table.PendingRows > 0) {
				t.Errorf("%s has %d changes in %d bytes", table.Table, table.PendingRows, table.PendingBytes)
			}
		}
		if (status.LagSeconds > 0) != (status.BacklogRows > 0) {
			t.Errorf("%d changes are missing, and the lag is %g s", status.BacklogRows, status.LagSeconds)
		}
		return status.BacklogRows, status.BacklogBytes, list.String()
	}
	if rows, bytes, tables := pending(); rows != 13 || bytes == 0 || tables != "public.a 9 public.log 4 public.quiet 0 " {
		t.Errorf("%d changes in %d bytes: %s", rows, bytes, tables)
	}
	s.catchUp()
	if rows, bytes, tables := pending(); rows != 0 || bytes != 0 {
		t.Errorf("%d changes in %d bytes are left: %s", rows, bytes, tables)
	}
}

// Whoever has lost the stream is refused in each of the ways that there are to write to the target.
func TestNobodyWritesWhoLostTheStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO a VALUES (1, 'x')")
	s.catchUp()
	ctx := t.Context()
	connect := func(side pg.Side, dsn string) *pg.Conn {
		t.Helper()
		conn, err := pg.Server{Side: side, DSN: dsn, Stream: "it"}.Connect(ctx, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.CloseNow)
		return conn
	}
	src, dst := connect(pg.Source, s.sourceDSN), connect(pg.Target, s.targetDSN)
	former, successor := state.NewStore("it"), state.NewStore("it")
	for _, store := range []*state.Store{former, successor} {
		if err := store.Take(ctx, dst); err != nil {
			t.Fatal(err)
		}
	}
	table := snapshot.Table{Number: 1}
	for _, side := range []struct {
		conn  *pg.Conn
		table **catalog.Table
	}{{src, &table.Source}, {dst, &table.Target}} {
		all, err := catalog.Load(ctx, side.conn)
		if err != nil {
			t.Fatal(err)
		}
		*side.table = all.Tables[catalog.Name{Schema: "public", Relation: "a"}]
	}
	source := capture.New("it")
	now, err := source.Now(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	low, high := int64(0), int64(10)
	block := snapshot.Chunk{Chunk: 1, Kind: "block", Low: &low, High: &high}
	nothing := func(context.Context, io.Writer) error { return nil }
	loader := &snapshot.Loader{Store: former, ChunkSize: 1 << 20, ChunkTime: time.Minute}
	writer := apply.NewWriter(pg.Server{Side: pg.Target, DSN: s.targetDSN, Stream: "it"}, "test", former)
	defer writer.Close()
	ways := map[string]func() error{
		"change a table's state": func() error { return former.SetCopied(ctx, dst, 1) },
		"begin a copy":           func() error { return loader.Begin(ctx, src, dst, table, []snapshot.Chunk{block}, now) },
		"copy a chunk": func() error {
			_, err := loader.Copy(ctx, src, dst, table, snapshot.Chunk{Chunk: 1, Kind: "table"}, false, source)
			return err
		},
		"put off checks": func() error { _, err := loader.Relax(ctx, src, dst, table, nil, time.Second); return err },
		"split a chunk":  func() error { _, err := loader.Split(ctx, dst, 1, block); return err },
		"begin anew":     func() error { return loader.Discard(ctx, dst, table) },
		"settle":         func() error { return loader.Settle(ctx, dst, table, nothing) },
		"build an index": func() error {
			return loader.Build(ctx, dst, snapshot.Definition{Statements: []string{"CREATE INDEX built ON a (v)"}})
		},
		"apply a batch":     func() error { _, err := writer.Batch(ctx, change.Batch{Position: now}, nil, nil, true); return err },
		"apply a piece":     func() error { return writePiece(ctx, writer, table) },
		"empty a table":     func() error { return writer.Truncate(ctx, apply.NewTable(1, table.Source, table.Target), nowhere) },
		"quarantine":        func() error { return former.Quarantine(ctx, dst, 1, errors.New("no reason"), false, now) },
		"move a position":   func() error { return former.SetPosition(ctx, dst, 1, now) },
		"make tables known": func() error { return former.Add(ctx, dst, 2, catalog.Name{Schema: "public", Relation: "b"}, 0) },
	}
	for name, write := range ways {
		if err := write(); !errors.Is(err, state.ErrFenced) {
			t.Errorf("it may still %s: %v", name, err)
		}
	}
	s.catchUp()
	s.equal()
}

func nowhere(context.Context, *pg.Conn) error { return nil }

func writePiece(ctx context.Context, w *apply.Writer, t snapshot.Table) error {
	_, err := w.Piece(ctx, apply.NewTable(1, t.Source, t.Target), func(_ context.Context, to io.Writer) error {
		_, err := io.WriteString(to, "t\t2\ty\n")
		return err
	}, nowhere)
	return err
}

// The session that holds the stream's lock is watched: without it another daemon may take the stream at any time.
func TestLostLockIsNoticed(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	stop := s.run()
	s.streaming()
	s.dst("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgibex/it/leader'")
	s.eventually("it is noticed", 10*time.Second, func() bool { return s.log.contains("the session that holds the stream's lock was lost") })
	s.src("INSERT INTO a VALUES (1)")
	s.eventually("it goes on", 10*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM a)"))
	stop()
	s.equal()
}

// What changes in a table behind the pieces of its backlog comes when the table has joined the others again, which have gone on.
func TestChangesBehindADrain(t *testing.T) {
	t.Parallel()
	s := newStream(t, backlogSchema)
	s.config.Apply.BatchSize = 256 * config.KB
	s.src("INSERT INTO a SELECT g, 'a' FROM generate_series(1, 60000) g")
	s.catchUp()
	s.src("UPDATE a SET v = 'drained'")
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; SELECT FROM a WHERE id = 59900 FOR UPDATE")
	s.run()
	s.eventually("the first piece is applied", 40*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM a WHERE id = 1 AND v = 'drained')"))
	s.src("UPDATE a SET v = 'behind' WHERE id <= 100; DELETE FROM a WHERE id BETWEEN 101 AND 110")
	s.markArrives("true") // the stream's position is beyond that
	if !s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.drain) AND NOT EXISTS (SELECT 1 FROM a WHERE v = 'behind')")() {
		t.Error("nothing drains any more: the test tests nothing")
	}
	gate.do("ROLLBACK")
	s.streaming()
	s.marked()
	s.sameRows()
}
