package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// crashSchema has a clustered key, a composite one, none, a unique value beside the key, secondary indexes and a foreign key.
const crashSchema = `
	CREATE TABLE item (id bigserial PRIMARY KEY, code text NOT NULL UNIQUE, n int NOT NULL, note text);
	CREATE INDEX item_n ON item (n);
	CREATE TABLE pair (a text, b int, v numeric, PRIMARY KEY (a, b));
	CREATE INDEX pair_v ON pair (v);
	CREATE TABLE part (id serial PRIMARY KEY, item bigint NOT NULL REFERENCES item ON UPDATE CASCADE ON DELETE CASCADE, v text);
	CREATE TABLE log (at timestamptz, what text);`

// crashRows fills it: several chunks of the smallest size.
const crashRows = `
	INSERT INTO item (code, n, note) SELECT 'c' || g, g % 100, repeat('n', 40) FROM generate_series(1, 20000) g;
	INSERT INTO pair SELECT 'a' || g % 50, g, g / 7.0 FROM generate_series(1, 10000) g;
	INSERT INTO part (item, v) SELECT g, 'p' || g FROM generate_series(1, 5000) g;
	INSERT INTO log SELECT now(), 'l' || g % 10 FROM generate_series(1, 200) g;
	ANALYZE item; ANALYZE pair;`

const smallChunks = "copy: {chunk_size: 128kB, workers: 2}\ncapture: {lock_wait: 200ms}\napply: {poll_interval: 20ms, batch_size: 64kB}\n"

// application writes to the crash schema from several sessions until stopped. Not one of its statements may fail.
func (s *stream) application() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	var changes [3]int
	for writer := range changes {
		conn := s.connect(s.sourceDSN)
		group.Go(func() {
			for ctx.Err() == nil {
				if err := oneChange(context.WithoutCancel(ctx), conn, writer); err != nil {
					s.t.Errorf("the application got an error: %v", err)
					return
				}
				changes[writer]++
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Millisecond):
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		s.t.Logf("the application committed %v transactions", changes)
	})
	s.t.Cleanup(stop)
	return stop
}

// oneChange is one transaction of a writer, on rows that no other writes to: its ids are its number modulo 3.
func oneChange(ctx context.Context, conn *pgx.Conn, writer int) error {
	id := int64(rand.IntN(7000)*3 + writer)
	statements := [][]string{
		{fmt.Sprintf("UPDATE item SET n = n + 1, note = 'u%d' WHERE id = %d", rand.IntN(1000), id)},
		{fmt.Sprintf("DELETE FROM item WHERE id = %d", id)},
		{fmt.Sprintf("INSERT INTO item (id, code, n) SELECT %d, 'again' || %[1]d, 1 WHERE NOT EXISTS (SELECT 1 FROM item WHERE id = %[1]d)", id)},
		{fmt.Sprintf("UPDATE item SET id = 1000000 + nextval('item_id_seq'), code = 'm' || txid_current() WHERE id = %d", id), "INSERT INTO log VALUES (now(), 'moved')"},
		{fmt.Sprintf("UPDATE pair SET b = -b WHERE a = 'a%d' AND b = %[1]d AND b %% 3 = %[2]d", id%50, writer), fmt.Sprintf("UPDATE pair SET v = v + 1 WHERE b = %d", id)},
		{fmt.Sprintf("UPDATE item SET code = 'swap' || id WHERE id = %d", id), fmt.Sprintf("UPDATE item SET code = 'c' || id WHERE id = %d", id)},
		{fmt.Sprintf("INSERT INTO part (item, v) SELECT id, 'new' FROM item WHERE id = %d", id), fmt.Sprintf("INSERT INTO log VALUES (now(), 'w%d')", writer)},
		{fmt.Sprintf("DELETE FROM pair WHERE b = %d", id), fmt.Sprintf("INSERT INTO pair VALUES ('w', %d, 0)", id)},
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, statement := range statements[rand.IntN(len(statements))] {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%w in: %s", err, statement)
			}
		}
		return nil
	})
}

// ask says whether a condition holds; it does not where the server can not be asked.
func ask(ctx context.Context, dsn, condition string) (holds bool) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, "SELECT "+condition).Scan(&holds)
	return err == nil && holds
}

// lock holds a lock on a table until released.
func (s *stream) lock(dsn, table, mode string) (release func()) {
	s.t.Helper()
	conn := s.connect(dsn)
	if _, err := conn.Exec(s.t.Context(), "BEGIN; LOCK TABLE "+table+" IN "+mode+" MODE", pgx.QueryExecModeSimpleProtocol); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(s.t.Context(), "COMMIT"); err != nil {
			s.t.Error(err)
		}
	}
}

// Conditions that the phases are told by.
const (
	someChunks  = "(SELECT count(*) FROM pgibex_it.chunk WHERE done_at IS NOT NULL) >= %d"
	copying     = "EXISTS (SELECT 1 FROM pgibex_it.relation WHERE table_name = 'item' AND state = 'copying')"
	waitsOnItem = "EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'item'::regclass)"
	hasDrain    = "EXISTS (SELECT 1 FROM pgibex_it.drain)"
	allStream   = "NOT EXISTS (SELECT 1 FROM pgibex_it.relation WHERE state <> 'streaming' OR position IS NOT NULL)"
)

// backlog changes every row of the tables that the application uses, leaving its own keys alone. Each table in a transaction of
// its own: rows of two tables, locked one table after the other, are a deadlock with a DELETE that cascades the other way.
func (s *stream) backlog() {
	s.t.Helper()
	for _, change := range []string{"UPDATE pair SET v = v + 1", "UPDATE part SET v = v || '.'", "UPDATE item SET note = 'backlog'"} {
		s.src(change)
	}
}

// phase brings a daemon to a phase, and returns what must be called once it is gone.
type phase struct {
	name  string
	reach func(s *stream, d *process) (release func())
}

func none() {}

func phases() []phase {
	installing := func(s *stream, d *process) func() {
		d.says("waiting for a lock on a table")
		return none
	}
	wait := func(dsn func(*stream) string, condition string) func(*stream, *process) func() {
		return func(s *stream, _ *process) func() {
			s.eventually(condition, 30*time.Second, s.holds(dsn(s), condition))
			return none
		}
	}
	target := func(s *stream) string { return s.targetDSN }
	return []phase{
		{"waiting for a lock to install", installing},
		{"between two tables to install", func(s *stream, d *process) func() {
			d.says("capture installed")
			return none
		}},
		{"copying the first chunks", wait(target, fmt.Sprintf(someChunks, 1))},
		{"copying more chunks", wait(target, fmt.Sprintf(someChunks, 12))},
		{"building an index", func(s *stream, _ *process) func() {
			s.eventually("item is being copied", 30*time.Second, s.holds(s.targetDSN, copying))
			release := s.lock(s.targetDSN, "item", "ROW EXCLUSIVE")
			s.eventually("an index waits to be built", 30*time.Second, s.holds(s.targetDSN, waitsOnItem))
			return release
		}},
		{"streaming for the first time", wait(target, allStream)},
		{"draining", wait(target, hasDrain)},
		{"draining again", wait(target, hasDrain)},
		{"streaming", wait(target, allStream)},
		{"starting", func(_ *stream, d *process) func() {
			d.says("starting")
			return none
		}},
	}
}

// through takes a stream through all phases, each with a daemon of its own that end makes an end to.
func (s *stream) through(end func(phase string, d *process)) {
	release := s.lock(s.sourceDSN, "pair", "ROW EXCLUSIVE") // some transaction of the application's that lasts
	for _, p := range phases() {
		switch p.name {
		case "draining", "draining again":
			s.backlog()
		}
		d := s.daemon(smallChunks)
		after := p.reach(s, d)
		end(p.name, d)
		after()
		if p.name == "waiting for a lock to install" {
			release()
		}
	}
}

func TestKilledInEveryPhase(t *testing.T) {
	t.Parallel()
	s := newStream(t, crashSchema)
	s.src(crashRows)
	stop := s.application()
	s.through(func(phase string, d *process) {
		select {
		case <-d.gone:
			t.Errorf("%s: the daemon had ended by itself:\n%s", phase, d.log)
		default:
		}
		d.kill()
	})
	stop()
	s.command("", "catchup").wants(t, 0, "the target has everything")
	s.equal()
	s.hasIndexes()
}

// hasIndexes fails the test unless the target has every index and constraint of the source, valid.
func (s *stream) hasIndexes() {
	s.t.Helper()
	const query = `SELECT ARRAY(SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL
		SELECT conrelid::regclass || ' ' || conname || ' ' || convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1)`
	source := one[[]string](s, s.sourceDSN, `SELECT ARRAY(SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL
		SELECT conrelid::regclass || ' ' || conname || ' ' || convalidated FROM pg_constraint WHERE connamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public') ORDER BY 1)`)
	target := one[[]string](s, s.targetDSN, query)
	missing := map[string]bool{}
	for _, name := range source {
		missing[name] = true
	}
	for _, name := range target {
		delete(missing, name)
		delete(missing, withoutSchema(name))
	}
	for name := range missing {
		s.t.Errorf("the target lacks %s; it has %q", name, target)
	}
}

func TestTerminatedInEveryPhase(t *testing.T) {
	t.Parallel()
	s := newStream(t, crashSchema)
	s.src(crashRows)
	s.through(func(phase string, d *process) {
		start := time.Now()
		d.terminate()
		if took := time.Since(start); took > 5*time.Second {
			t.Logf("%s: took %s to stop", phase, took)
		}
	})
	s.catchUp()
	s.equal()
	s.hasIndexes()

	first := s.daemon("")
	s.eventually("a daemon leads", 10*time.Second, func() bool { return s.status().Daemon })
	second := s.daemon("")
	second.says("waiting as its standby")
	second.terminate()
	first.terminate()
}

func TestServersKilled(t *testing.T) {
	t.Parallel()
	// Without full page images 9.2 may hang for ever in crash recovery, waiting for a lock that it holds itself.
	source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("full_page_writes", "on"))
	s := newStreamOn(t, source, pgtest.Own(t, pgserver.TargetVersion), crashSchema)
	s.src(crashRows)
	crash := func(server *pgserver.Server) {
		t.Helper()
		if err := errors.Join(server.Kill(), server.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	d := s.daemon(smallChunks)
	s.eventually("some chunks are copied", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf(someChunks, 3)))
	crash(s.source)
	s.src("UPDATE item SET note = 'after the first crash' WHERE id < 1000")
	s.eventually("more chunks are copied", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf(someChunks, 8)))
	crash(s.target)
	s.src("DELETE FROM item WHERE id BETWEEN 500 AND 600; INSERT INTO log VALUES (now(), 'crashed')")
	s.streaming()
	for round := range 2 {
		crash(s.source)
		s.src(fmt.Sprintf("INSERT INTO item (code, n) VALUES ('round %d', 1)", round))
		s.backlog()
		crash(s.target)
		s.src("DELETE FROM pair WHERE b % 97 = 5; INSERT INTO log VALUES (now(), 'again')")
		s.streaming()
	}
	s.eventually("everything is on the target", 20*time.Second, s.holds(s.targetDSN, "(SELECT count(*) FROM log WHERE what = 'again') = 2"))
	d.terminate()
	s.catchUp()
	s.equal()
	s.hasIndexes()
}

func TestServerDownForAWhile(t *testing.T) {
	t.Parallel()
	s := newStreamOn(t, pgtest.Own(t, pgserver.SourceVersion), pgtest.Target(t), crashSchema)
	d := s.daemon("")
	s.streaming()
	if err := s.source.Stop(pgserver.Fast); err != nil {
		t.Fatal(err)
	}
	d.says("interrupted; will go on")
	d.says("source (host 127.0.0.1")
	d.terminate() // while it waits for the server
	s.command("", "status").wants(t, 1, "source (host 127.0.0.1", "nothing listens on that port")
	if err := s.source.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.src("INSERT INTO log VALUES (now(), 'up again')")
	s.catchUp()
	s.equal()
}

func TestBackendsTerminated(t *testing.T) {
	t.Parallel()
	s := newStream(t, crashSchema)
	s.src(crashRows)
	stop := s.application()
	d := s.daemon(smallChunks)
	const terminate = "coalesce((SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/it/%'), false)"
	s.eventually("copying", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf(someChunks, 2)))
	for range 2 {
		s.eventually("its sessions on the source are terminated", 30*time.Second, s.holds(s.sourceDSN, terminate))
		s.eventually("its sessions on the target are terminated", 30*time.Second, s.holds(s.targetDSN, terminate))
	}
	s.eventually("all stream", 60*time.Second, s.holds(s.targetDSN, allStream))
	s.eventually("its sessions on the source are terminated", 30*time.Second, s.holds(s.sourceDSN, terminate))
	s.eventually("its sessions on the target are terminated", 30*time.Second, s.holds(s.targetDSN, terminate))
	stop()
	s.src("INSERT INTO log VALUES (now(), 'last')")
	s.eventually("it goes on", 60*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM log WHERE what = 'last')"))
	d.terminate()
	s.catchUp()
	s.equal()
	s.hasIndexes()
}

func TestStandbysTakeOver(t *testing.T) {
	t.Parallel()
	s := newStream(t, crashSchema)
	leader := s.daemon("")
	s.streaming()
	var standbys []*process
	for range 2 {
		d := s.daemon("")
		d.says("another pgibex carries this stream; waiting as its standby")
		standbys = append(standbys, d)
	}
	for len(standbys) > 0 {
		leader.kill()
		what := fmt.Sprintf("%d left", len(standbys))
		s.src("INSERT INTO log VALUES (now(), '" + what + "')")
		s.eventually("a standby goes on: "+what, 10*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM log WHERE what = '"+what+"')"))
		standbys = slices.DeleteFunc(standbys, func(d *process) bool {
			if !d.log.contains("taking over") {
				return false
			}
			leader = d
			return true
		})
	}
	leader.terminate()
	s.equal()
}

// withoutSchema makes an index definition of 14 what it is in 9.2.
func withoutSchema(definition string) string {
	return strings.Replace(definition, " ON public.", " ON ", 1)
}
