package integration

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// copyFiles copies a tree with its owners, without what is named. Files may go while it runs: a server may be writing to them.
func copyFiles(tb testing.TB, from, to string, without ...string) {
	tb.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignore(err, fs.ErrNotExist)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return ignore(err, fs.ErrNotExist)
		}
		if rel != "." && slices.Contains(without, rel) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		dest := filepath.Join(to, rel)
		if entry.IsDir() {
			err = ignore(os.Mkdir(dest, info.Mode().Perm()), fs.ErrExist)
		} else if info.Mode().IsRegular() {
			err = copyOne(path, dest, info.Mode().Perm())
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if err == nil && ok {
			err = ignore(os.Chown(dest, int(owner.Uid), int(owner.Gid)), fs.ErrNotExist)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

func copyOne(from, to string, mode fs.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return ignore(err, fs.ErrNotExist)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// configuration is what a data directory keeps of its own when its contents are put back.
const configuration = "postgresql.conf"

// putBack gives a stopped server the contents of a copied data directory.
func putBack(t *testing.T, server *pgserver.Server, copied string) {
	t.Helper()
	if err := server.Stop(pgserver.Fast); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(server.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != configuration {
			if err := os.RemoveAll(filepath.Join(server.DataDir(), entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyFiles(t, copied, server.DataDir(), configuration)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, server.Log())
	}
}

// backup copies the data directory of a running server, as pg_basebackup does. The copy is of the moment when during has returned.
func backup(tb testing.TB, server *pgserver.Server, during func()) (dir string) {
	tb.Helper()
	begin, wal, end := "SELECT pg_start_backup('x', true, false)", "pg_wal", "SELECT labelfile FROM pg_stop_backup(false)"
	if strings.HasPrefix(server.Version(), "9.2") { // it writes the label itself, where it is copied with the rest
		begin, wal, end = "SELECT pg_start_backup('x', true)", "pg_xlog", "SELECT pg_stop_backup()::text"
	}
	conn, err := pgx.Connect(tb.Context(), server.DSN(""))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(tb.Context()) }()
	if _, err := conn.Exec(tb.Context(), begin); err != nil {
		tb.Fatal(err)
	}
	dir = filepath.Join(pgtest.TempDir(tb), "data")
	copyFiles(tb, server.DataDir(), dir, "postmaster.pid", "postmaster.opts", wal, configuration)
	during()
	var label string
	if err := conn.QueryRow(tb.Context(), end).Scan(&label); err != nil {
		tb.Fatal(err)
	}
	copyFiles(tb, filepath.Join(server.DataDir(), wal), filepath.Join(dir, wal))
	if wal == "pg_wal" {
		// Through a file that has the server's owner already.
		file := filepath.Join(dir, "backup_label")
		copyFiles(tb, filepath.Join(server.DataDir(), "PG_VERSION"), file)
		if err := os.WriteFile(file, []byte(label), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// arrived writes to the source, and waits until the target has it.
func (s *stream) arrived(what string) {
	s.t.Helper()
	s.src("INSERT INTO log VALUES (now(), '" + what + "')")
	s.eventually(what+" has arrived", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM log WHERE what = '"+what+"')"))
}

// towards has everything that follows go to another target.
func (s *stream) towards(dsn string) { s.targetDSN, s.config.Target.DSN = dsn, dsn }

// databaseOf is the database's name in an address.
func databaseOf(dsn string) string {
	return dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]
}

// TestCopiesOfTheTarget takes a physical copy of the target in the middle of everything, and goes on with it.
func TestCopiesOfTheTarget(t *testing.T) {
	t.Parallel()
	target := pgtest.Own(t, pgserver.TargetVersion, pgserver.WithSetting("wal_keep_size", "1GB"))
	s := newStreamOn(t, pgtest.Source(t), target, crashSchema)
	s.src(crashRows)
	stop := s.application()
	held, copied, after := s.copiedWhileNothingIsPurged(target)
	stop()

	original := s.targetDSN
	restored := pgtest.Own(t, pgserver.TargetVersion)
	putBack(t, restored, copied)
	name := databaseOf(original)
	s.towards(restored.DSN(name))
	if s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM log WHERE what = '"+after+"')")() {
		t.Fatal("the copy is not older than the original")
	}
	s.src("DELETE FROM part WHERE id % 50 = 7; UPDATE item SET n = -n WHERE id % 50 = 3")
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.hasIndexes()

	held.do("ROLLBACK")
	d := s.daemon(smallChunks) // the source purges what the other copies lack
	s.src("INSERT INTO log VALUES (now(), 'purged'); UPDATE item SET n = n + 1; UPDATE part SET v = v || '!'; UPDATE pair SET v = v - 1")
	s.eventually("the source has purged", 30*time.Second, s.holds(s.sourceDSN, "EXISTS (SELECT 1 FROM pgibex_it.captured WHERE table_name = 'item' AND purged <> '1:1:')"))
	s.streaming()
	d.terminate()
	for _, older := range []struct {
		name string
		dsn  func() string
	}{
		{"the original", func() string { return original }},
		{"the copy once more", func() string { putBack(t, restored, copied); return restored.DSN(name) }},
	} {
		t.Run(older.name, func(t *testing.T) {
			s := s.in(t)
			s.towards(older.dsn())
			for _, command := range []string{"run", "catchup"} {
				r := s.command("", command)
				r.wants(t, 1, "public.item: the source has purged changes that this target does not have (it was restored from an older copy?); pgibex resync --all")
			}
			s.command("", "resync", "--all").wants(t, 0, "public.item will be brought back", "public.log will be brought back")
			s.src("UPDATE item SET note = 'once more' WHERE id % 100 = 1; DELETE FROM log WHERE what = 'w1'")
			s.command("", "catchup").wants(t, 0)
			s.equal()
			s.hasIndexes()
			s.command("", "verify").wants(t, 0, ", 0 differ")
		})
	}
}

// copiedWhileNothingIsPurged copies the target's files while a daemon streams and drains, and kills the daemon. held, some dump of the source, has
// kept it from purging; after has arrived since. A segment that was made meanwhile is not held: if it was purged, it is all done once more.
func (s *stream) copiedWhileNothingIsPurged(target *pgserver.Server) (held session, copied, after string) {
	s.t.Helper()
	for round := 1; ; round++ {
		d := s.daemon(smallChunks)
		s.eventually("all stream", time.Minute, s.holds(s.targetDSN, allStream))
		held = s.session()
		held.do("BEGIN", `DO $$ DECLARE d regclass; BEGIN FOR d IN SELECT oid FROM pg_class WHERE relname LIKE 'delta\_%' LOOP EXECUTE 'LOCK TABLE ' || d || ' IN ACCESS SHARE MODE'; END LOOP; END $$`)
		const purged = "SELECT string_agg(number || ' ' || purged, ', ' ORDER BY number) FROM pgibex_it.captured"
		before := one[string](s, s.sourceDSN, purged)
		s.src("UPDATE pair SET v = v + 1") // drains while the copy is made
		copied = backup(s.t, target, func() { s.arrived(fmt.Sprint("during copy ", round)) })
		after = fmt.Sprint("after copy ", round)
		s.arrived(after) // only the original has it
		d.kill()
		switch {
		case one[string](s, s.sourceDSN, purged) == before:
			return held, copied, after
		case round == 10:
			s.t.Fatal("the source purges whatever is held")
		}
		held.do("ROLLBACK")
	}
}

// TestSourceRestored puts an older copy of the source back.
func TestSourceRestored(t *testing.T) {
	t.Parallel()
	source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("wal_level", "archive"))
	s := newStreamOn(t, source, pgtest.Target(t), "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE nk (v text)")
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 100) g; INSERT INTO nk VALUES ('x')")
	s.command("", "catchup").wants(t, 0)
	refused := func(restored string) {
		t.Helper()
		before := s.rows(s.targetDSN, "SELECT a::text FROM public.a")
		s.src("INSERT INTO a SELECT max(id) + 1, 'another future' FROM a")
		for _, command := range []string{"run", "catchup"} {
			s.command("", command).wants(t, 1, restored)
		}
		if after := s.rows(s.targetDSN, "SELECT a::text FROM public.a"); !slices.Equal(before, after) {
			t.Errorf("the target was written to")
		}
	}

	const behind = "it was restored from an older copy, or is a standby promoted too early" // by its transactions or by its count
	d := s.daemon("")
	s.eventually("a daemon leads", 10*time.Second, func() bool { return s.status().Daemon })
	copied := backup(t, source, func() {})
	for i := range 50 {
		s.src(fmt.Sprintf("UPDATE a SET v = 'lost %d'", i))
	}
	s.eventually("it has arrived", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM a WHERE v = 'lost 49')"))
	putBack(t, source, copied)
	if code := d.code(30 * time.Second); code != 1 || !d.log.contains(behind) {
		t.Errorf("exit code %d:\n%s", code, d.log)
	}
	refused(behind)

	s.command("", "resync", "--all").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	copied = backup(t, source, func() {})
	s.src("UPDATE a SET v = 'lost' WHERE id < 10")
	s.command("", "catchup").wants(t, 0)
	putBack(t, source, copied)
	for range 50 { // so that the numbers of its transactions say nothing
		s.src("SELECT txid_current()")
	}
	const fewer = "source: this stream was last taken there fewer times than the target remembers: it was restored from an older copy"
	refused(fewer)

	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	s.untouched()
	s.dst("TRUNCATE a, nk")
	d = s.daemon("") // takes it before the copy is made, and not after
	s.streaming()
	copied = backup(t, source, func() {})
	generation := one[int](s, s.targetDSN, "SELECT source_generation::int FROM pgibex_it.stream")
	s.src("UPDATE a SET v = 'lost' WHERE id < 10")
	s.eventually("the source is counted anew", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf("(SELECT source_generation FROM pgibex_it.stream) > %d", generation)))
	d.kill()
	putBack(t, source, copied)
	for range 50 {
		s.src("SELECT txid_current()")
	}
	refused(fewer)
}

// TestAnotherClusterBehindTheAddress: another source, with a stream of the same name or with none, and another stream of this source.
func TestAnotherClusterBehindTheAddress(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO a VALUES (1, 'v')")
	s.command("", "catchup").wants(t, 0)
	s.both("CREATE TABLE b (id int PRIMARY KEY)")
	right := s.sourceDSN
	unchanged := func(text string) {
		t.Helper()
		before := s.catalogs(s.sourceDSN, "")
		for _, args := range [][]string{{"run"}, {"catchup"}, {"install"}, {"add", "public.b"}, {"resync", "--all"}} {
			s.command("", args...).wants(t, 1, text)
		}
		if after := s.catalogs(s.sourceDSN, ""); !slices.Equal(before, after) {
			t.Errorf("it has changed the other source: %s", beyond(after, before))
		}
		if rows := s.rows(s.targetDSN, "SELECT a::text FROM public.a"); len(rows) != 1 {
			t.Errorf("it has written to the target: %q", rows)
		}
	}
	other := pgtest.Own(t, pgserver.SourceVersion)
	s.sourceDSN = pgtest.Database(t, other)
	s.src("CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (2, 'other')")
	unchanged("target: it holds stream it of a source whose capture is gone here")
	elsewhere := newStreamOn(t, other, s.target, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)")
	elsewhere.command("", "install").wants(t, 0)
	s.sourceDSN = elsewhere.sourceDSN
	unchanged("target: stream it follows another source (")

	s.sourceDSN = right
	s.config.Stream = "renamed"
	for _, command := range []string{"run", "catchup", "install"} {
		s.command("", command).wants(t, 1, "public.a: is not empty on the target and was not loaded by this stream")
	}
	if ours := s.ours(s.sourceDSN); slices.ContainsFunc(ours, func(name string) bool { return strings.Contains(name, "renamed") }) {
		t.Errorf("the renamed stream has left %q", ours)
	}
	s.config.Stream = "it"
	s.command("", "catchup").wants(t, 0)
	s.equal()
}

// TestRestoredSourceGivesOtherNumbers: tables that were captured after the copy was made get numbers that others have on the target.
func TestRestoredSourceGivesOtherNumbers(t *testing.T) {
	t.Parallel()
	source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("wal_level", "archive"), pgserver.WithSetting("full_page_writes", "on"))
	s := newStreamOn(t, source, pgtest.Target(t), "CREATE TABLE t1 (id int PRIMARY KEY, v text); CREATE TABLE t2 (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO t1 VALUES (1, 'v')")
	s.command("", "catchup").wants(t, 0)
	s.both("CREATE TABLE t3 (id int PRIMARY KEY)")
	copied := backup(t, source, func() {})
	s.command("", "add", "public.t3").wants(t, 0)
	s.src("DROP TRIGGER pgibex_it_insert ON t1")
	s.command("", "resync", "public.t1").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	putBack(t, source, copied)
	s.command("", "catchup").wants(t, 1, "resync --all")
	s.command("tables: {exclude: [public.t2]}\n", "remove", "public.t2").wants(t, 1, "resync --all") // it would make it forget
	app := s.session()
	app.do("BEGIN", "LOCK TABLE t3 IN ACCESS SHARE MODE")
	all := pgibex(t, nil, "resync", "--all", "-c", s.file("capture: {lock_wait: 200ms}"))
	all.says("waiting for a lock on a table of the source") // which costs numbers
	app.do("ROLLBACK")
	if code := all.code(30 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, all.log)
	}
	s.command("", "catchup").wants(t, 0)
	s.equal()
}

// TestRestoredSourceLacksATable that the stream has. A resync --all that is interrupted leaves the source refused, although to capture tables
// anew counts on the source as taking the stream does.
func TestRestoredSourceLacksATable(t *testing.T) {
	t.Parallel()
	source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("wal_level", "archive"), pgserver.WithSetting("full_page_writes", "on"))
	s := newStreamOn(t, source, pgtest.Target(t), "CREATE TABLE t1 (id int PRIMARY KEY, v text); CREATE TABLE t2 (id int PRIMARY KEY); CREATE TABLE t3 (id int PRIMARY KEY)")
	s.src("INSERT INTO t1 SELECT g, 'v' FROM generate_series(1, 100) g")
	s.command("", "catchup").wants(t, 0)
	copied := backup(t, source, func() {})
	s.both("CREATE TABLE young (id int PRIMARY KEY)")
	s.command("", "add", "public.young").wants(t, 0)
	s.src("INSERT INTO young VALUES (1); UPDATE t1 SET v = 'of another future'")
	s.command("", "catchup").wants(t, 0)
	putBack(t, source, copied)
	s.src("ALTER TABLE t1 DISABLE TRIGGER pgibex_it_insert; ALTER TABLE t2 DISABLE TRIGGER pgibex_it_insert; ALTER TABLE t3 DISABLE TRIGGER pgibex_it_insert")
	for range 50 { // beyond the position
		s.src("SELECT txid_current()")
	}
	s.command("", "catchup").wants(t, 1, "fewer times")
	app := s.session()
	app.do("BEGIN", "LOCK TABLE t3 IN ACCESS SHARE MODE")
	all := pgibex(t, nil, "resync", "--all", "-c", s.file("capture: {lock_wait: 200ms}"))
	all.says("waiting for a lock on a table of the source")
	all.kill()
	app.do("ROLLBACK")
	s.command("", "catchup").wants(t, 1, "resync --all")
	for range 2 { // what is left has a number of its own
		s.command("", "resync", "--all").wants(t, 0, "gone on the source", "pgibex remove public.young")
	}
	s.command("", "catchup").wants(t, 1, "public.young: the table is gone on the source")
	const exclude = "tables: {exclude: [public.young]}\n"
	s.command(exclude, "remove", "public.young").wants(t, 0)
	s.command(exclude, "catchup").wants(t, 0)
	s.dst("DROP TABLE young")
	s.equal()
}
