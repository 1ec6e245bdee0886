package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// ownSource is a 9.2 that may have standbys, and may be one.
func ownSource(t *testing.T) *pgserver.Server {
	t.Helper()
	server := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("wal_level", "hot_standby"), pgserver.WithSetting("max_wal_senders", "3"),
		pgserver.WithSetting("wal_keep_segments", "20"), pgserver.WithSetting("hot_standby", "on"), pgserver.WithSetting("full_page_writes", "on"))
	file, err := os.OpenFile(filepath.Join(server.DataDir(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("\nhost replication repl 127.0.0.1/32 trust\n")
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return server
}

// standby makes a standby of the source, which follows it; promote makes it the source.
func (s *stream) standby(t *testing.T) (server *pgserver.Server, promote func()) {
	t.Helper()
	copied := backup(t, s.source, func() {})
	server = ownSource(t)
	trigger := filepath.Join(server.DataDir(), "promote")
	conf := fmt.Sprintf("standby_mode = on\nprimary_conninfo = 'host=127.0.0.1 port=%s user=repl'\ntrigger_file = '%s'\n", one[string](s, s.sourceDSN, "SHOW port"), trigger)
	if err := os.WriteFile(filepath.Join(copied, "recovery.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	putBack(t, server, copied)
	s.eventually("the standby streams", 30*time.Second, s.holds(s.sourceDSN, "EXISTS (SELECT 1 FROM pg_stat_replication WHERE state = 'streaming')"))
	return server, func() {
		t.Helper()
		if err := os.WriteFile(trigger, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		s.source, s.sourceDSN = server, server.DSN(databaseOf(s.sourceDSN))
		s.config.Source.DSN = s.sourceDSN
		s.eventually("the standby is promoted", 30*time.Second, s.holds(s.sourceDSN, "NOT pg_is_in_recovery()"))
	}
}

// fromBackup has the source recover from a backup, with all of its log.
func (s *stream) fromBackup(t *testing.T) {
	t.Helper()
	copied := backup(t, s.source, func() {})
	if err := s.source.Stop(pgserver.Fast); err != nil {
		t.Fatal(err)
	}
	wal := filepath.Join(pgtest.TempDir(t), "wal")
	copyFiles(t, filepath.Join(s.source.DataDir(), "pg_xlog"), wal)
	command := fmt.Sprintf("restore_command = 'cp %s/%%f %%p'\n", wal)
	if err := os.WriteFile(filepath.Join(copied, "recovery.conf"), []byte(command), 0o644); err != nil {
		t.Fatal(err)
	}
	putBack(t, s.source, copied)
	s.eventually("it has recovered", 30*time.Second, s.holds(s.sourceDSN, "NOT pg_is_in_recovery()"))
}

const failoverSchema = `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE nk (v text); CREATE TABLE q (id int PRIMARY KEY, v text);
	CREATE TABLE log (at timestamptz, what text);`

// newFailover is a stream from a source that may fail over.
func newFailover(t *testing.T) *stream {
	t.Helper()
	first := ownSource(t)
	s := newStreamOn(t, first, pgtest.Target(t), failoverSchema)
	t.Cleanup(func() { _ = first.Restart(context.WithoutCancel(t.Context())) }) // its database is dropped at the end
	s.src("SELECT pg_reload_conf(); CREATE ROLE repl LOGIN REPLICATION; INSERT INTO a SELECT g, 'v' FROM generate_series(1, 1000) g; INSERT INTO nk VALUES ('x')")
	return s
}

// refusedAsPromoted: the stream is not carried from a source that may have lost what the target has, and resync --all brings both together.
func (s *stream) refusedAsPromoted(t *testing.T, why string) {
	t.Helper()
	before := s.rows(s.targetDSN, "SELECT a::text FROM public.a")
	for _, command := range []string{"run", "catchup"} {
		s.command("", command).wants(t, 1, "source: it has been promoted, or restored from a backup (its timeline was ", why, "; pgibex resync --all compares and repairs every table")
	}
	if after := s.rows(s.targetDSN, "SELECT a::text FROM public.a"); !slices.Equal(before, after) {
		t.Errorf("the target was written to")
	}
	s.command("", "resync", "--all").wants(t, 0, "public.a will be brought back")
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.command("", "verify").wants(t, 0, ", 0 differ")
}

// TestSourceFailsOver to a standby that has everything that the target has.
func TestSourceFailsOver(t *testing.T) {
	t.Parallel()
	s := newFailover(t)
	s.dst("ALTER TABLE q ALTER v TYPE varchar(3)")
	d := s.daemon("")
	s.streaming()
	s.src("INSERT INTO q VALUES (1, 'too long')")
	s.eventually("q is in quarantine", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.relation WHERE table_name = 'q' AND state = 'quarantined' AND resumable)"))
	standby, promote := s.standby(t)
	s.src("UPDATE a SET v = 'kept' WHERE id < 10; INSERT INTO nk VALUES ('kept')")
	s.session().do("BEGIN; INSERT INTO log VALUES (now(), 'all of it'); COMMIT; SELECT pg_switch_xlog()") // the log goes on behind the header of a page
	s.eventually("all of it has arrived", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM log WHERE what = 'all of it')"))
	d.terminate()
	s.eventually("the standby has it", 20*time.Second, s.holds(standby.DSN(databaseOf(s.sourceDSN)), "EXISTS (SELECT 1 FROM log WHERE what = 'all of it')"))
	if err := s.source.Kill(); err != nil {
		t.Fatal(err)
	}
	promote()
	s.src("UPDATE a SET v = 'after' WHERE id BETWEEN 5 AND 15; DELETE FROM nk WHERE v = 'x'")

	// The former daemon's last batch commits while the next one is about to take the stream.
	former := session{s, s.connect(s.targetDSN)}
	wal := one[string](s, s.targetDSN, "SELECT source_wal FROM pgibex_it.stream")
	former.do("BEGIN", "UPDATE pgibex_it.stream SET source_wal = '1:FF/0'")
	d = s.daemon("")
	s.eventually("it waits for the former daemon's commit", 20*time.Second, s.holds(s.targetDSN,
		"EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/it/%' AND wait_event_type = 'Lock')"))
	former.do("COMMIT")
	if code := d.code(20 * time.Second); code != 1 || !d.log.contains("had received its log up to") {
		t.Errorf("it ended with %d:\n%s", code, d.log)
	}
	former.do("UPDATE pgibex_it.stream SET source_wal = '" + wal + "'")

	// A table that was catching up may be ahead of the stream.
	s.dst("UPDATE pgibex_it.relation SET position = stream.position, position_clock = stream.position_clock FROM pgibex_it.stream WHERE table_name = 'nk'")
	s.command("", "catchup").wants(t, 1, "public.nk was being copied or caught up, and may have rows that it has lost; pgibex resync public.nk")
	s.command("", "resync", "public.nk").wants(t, 0)

	d = s.daemon("")
	s.arrived("after the failover")
	d.says("the source has been promoted; nothing that the target has was lost")
	s.eventually("nk streams", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.relation WHERE table_name = 'nk' AND state = 'streaming' AND position IS NULL)"))
	if one[bool](s, s.targetDSN, "SELECT resumable FROM pgibex_it.relation WHERE table_name = 'q'") {
		t.Error("q may go on from a position of the former primary")
	}
	s.dst("ALTER TABLE q ALTER v TYPE text")
	s.command("", "resync", "public.q").wants(t, 0)
	d.terminate()
	s.catchUp()
	s.equal()
}

// TestSourceFailsOverTooEarly to a standby that lacks the last second, and to what does not know any more whether it does.
func TestSourceFailsOverTooEarly(t *testing.T) {
	t.Parallel()
	s := newFailover(t)
	d := s.daemon("")
	s.streaming()
	_, promote := s.standby(t)
	const counted = "SELECT source_generation::int FROM pgibex_it.stream"
	generation := one[int](s, s.targetDSN, counted)
	s.arrived("what tells a copy by its count")
	// The next comes 10 s later at the earliest.
	s.eventually("the source is counted anew", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf("(%s) > %d", counted, generation)))
	generation = one[int](s, s.targetDSN, counted)
	s.eventually("the standby has it", 20*time.Second, s.holds(s.sourceDSN, "EXISTS (SELECT 1 FROM pg_stat_replication WHERE flush_location >= pg_current_xlog_location())"))
	s.src("ALTER ROLE repl NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
	s.eventually("the standby is cut off", 20*time.Second, s.holds(s.sourceDSN, "NOT EXISTS (SELECT 1 FROM pg_stat_replication)"))
	s.src("UPDATE a SET v = 'lost' WHERE id < 100; DELETE FROM a WHERE id = 500; INSERT INTO a VALUES (2000, 'lost'); INSERT INTO nk VALUES ('lost')")
	s.arrived("the last second")
	d.kill()
	if now := one[int](s, s.targetDSN, counted); now != generation {
		t.Fatalf("the source was counted anew, which is not what is tested here: %d, %d", generation, now)
	}
	if err := s.source.Kill(); err != nil {
		t.Fatal(err)
	}
	promote()
	// Beyond the position in every respect.
	s.src("INSERT INTO a SELECT g, repeat('another future', 100) FROM generate_series(3000, 4000) g; UPDATE nk SET v = 'another'")
	for range 50 {
		s.src("SELECT txid_current()")
	}
	s.refusedAsPromoted(t, "had received its log up to ")

	s.fromBackup(t)
	if err := errors.Join(s.source.Kill(), s.source.Restart(t.Context())); err != nil { // its crash recovery must not be taken for a standby's
		t.Fatal(err)
	}
	s.refusedAsPromoted(t, "started once more since, or did not stream from its primary")
	s.fromBackup(t)
	s.fromBackup(t)
	s.refusedAsPromoted(t, "that more than once")
}

// TestCrashGivesNumbersAgain: the source crashes after transactions that were rolled back, whose end it had not written yet. It gives
// their numbers to others.
func TestCrashGivesNumbersAgain(t *testing.T) {
	t.Parallel()
	source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("full_page_writes", "on"), pgserver.WithSetting("autovacuum", "off"), pgserver.WithSetting("wal_writer_delay", "10s"))
	s := newStreamOn(t, source, pgtest.Target(t), "CREATE TABLE a (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 12) g")
	d := s.daemon("")
	s.streaming()
	const counted = "(SELECT source_generation FROM pgibex_it.stream)"
	generation := one[int](s, s.targetDSN, "SELECT "+counted+"::int")
	s.src("UPDATE a SET v = 'w' WHERE id = 1")
	s.eventually("the daemon's own commits are over", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf("%s > %d", counted, generation)))
	app := s.session()
	for range 5 {
		app.do("BEGIN", "UPDATE a SET v = 'never' WHERE id = 1", "ROLLBACK")
	}
	const xmax = "txid_snapshot_xmax(txid_current_snapshot())::int"
	after := one[int](s, s.sourceDSN, "SELECT "+xmax)
	s.eventually("the target has the position", 10*time.Second, s.holds(s.targetDSN, fmt.Sprintf("(SELECT split_part(position, ':', 2)::int FROM pgibex_it.stream) >= %d", after)))
	if err := errors.Join(source.Kill(), source.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	if again := one[int](s, s.sourceDSN, "SELECT "+xmax); again < after {
		t.Errorf("the target's position sees transactions up to %d, the source goes on with %d", after, again)
	}
	for id := range 12 {
		s.src(fmt.Sprintf("UPDATE a SET v = 'after the crash' WHERE id = %d", id+1))
	}
	s.streaming()
	s.equal()
	d.terminate()
}
