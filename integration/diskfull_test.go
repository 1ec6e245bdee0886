package integration

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// newSmallTarget is a stream to a server that has a tablespace named small, of that size. resize gives it another.
func newSmallTarget(t *testing.T, size, schema string) (s *stream, resize func(size string)) {
	t.Helper()
	disk := pgtest.TempDir(t)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0777,size="+size, "pgibex-test", disk).CombinedOutput(); err != nil {
		pgtest.Skip(t, fmt.Sprintf("may not mount a file system to fill up: %v: %s", err, out))
	}
	t.Cleanup(func() { // the server that uses it is asked for later, so it goes before
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	own := pgtest.Own(t, pgserver.TargetVersion)
	if own.DataDir() == "" {
		pgtest.Skip(t, "the target's files are not on this machine")
	}
	s = newStreamOn(t, pgtest.Source(t), own, schema)
	s.dst("COPY (SELECT WHERE false) TO PROGRAM 'mkdir -m 700 " + disk + "/own'") // it must belong to the server's user
	s.dst("CREATE TABLESPACE small LOCATION '" + disk + "/own'")
	return s, func(size string) {
		t.Helper()
		if out, err := exec.Command("mount", "-o", "remount,size="+size, disk).CombinedOutput(); err != nil {
			t.Fatalf("remount: %v: %s", err, out)
		}
	}
}

// The target's disk fills up while a table is copied, and again under a batch: nobody has to do more than make room.
func TestDiskFullOnTheTarget(t *testing.T) {
	t.Parallel()
	s, resize := newSmallTarget(t, "4m", "CREATE TABLE big (id int PRIMARY KEY, v text NOT NULL); CREATE TABLE plain (n int, v text)")
	s.dst("ALTER TABLE big SET TABLESPACE small")
	s.dst("ALTER TABLE plain SET TABLESPACE small")
	s.src("INSERT INTO big SELECT g, repeat('x', 400) FROM generate_series(1, 15000) g; INSERT INTO plain SELECT g % 3, 'p' FROM generate_series(1, 100) g")
	d := s.daemon(smallChunks)
	full := func(times int) {
		t.Helper()
		s.eventually("it says that the target's disk is full", 30*time.Second, func() bool { return diskFull(d.log) >= times })
	}

	full(2) // it tries again
	s.src("UPDATE big SET v = 'changed while the copy waits' WHERE id % 100 = 7; DELETE FROM plain WHERE n = 1")
	if state, reason := s.state("public.big"); state != "copying" {
		t.Errorf("the table is %s: %s", state, reason)
	}
	resize("16m")
	s.streaming()

	before := diskFull(d.log)
	s.src("INSERT INTO big SELECT g, repeat('y', 800) FROM generate_series(100000, 120000) g; INSERT INTO plain SELECT 5, repeat('z', 300) FROM generate_series(1, 2000)")
	full(before + 2)
	s.src("DELETE FROM big WHERE id BETWEEN 110000 AND 110100; UPDATE big SET id = -id WHERE id < 50; DELETE FROM plain WHERE n = 2")
	for _, table := range []string{"public.big", "public.plain"} {
		if state, reason := s.state(table); state != "streaming" {
			t.Errorf("%s is %s: %s", table, state, reason)
		}
	}
	resize("96m")
	s.streaming()
	d.terminate()
	s.equal()
}

// The disk fills up under one batch of several tables, which is atomic: all of it is tried again.
func TestDiskFullUnderABatch(t *testing.T) {
	t.Parallel()
	s, resize := newSmallTarget(t, "2m", "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (v text)")
	s.dst("ALTER TABLE b SET TABLESPACE small")
	s.config.Apply.BatchSize = 64 * config.MB
	stop := s.run()
	s.streaming()
	s.src("BEGIN; INSERT INTO a SELECT g, 'a' FROM generate_series(1, 1000) g; INSERT INTO b SELECT repeat('b', 1000) FROM generate_series(1, 5000); COMMIT")
	s.eventually("it says that the target's disk is full", 20*time.Second, func() bool { return diskFull(s.log) >= 2 })
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM a"); n != 0 {
		t.Errorf("%d rows of half a batch are there", n)
	}
	resize("32m")
	s.streaming()
	stop()
	s.equal()
}

// diskFull counts the warnings that tell an operator so: which side, what, and that it goes on by itself.
func diskFull(log *syncBuffer) (times int) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "target") && strings.Contains(line, "disk full") && strings.Contains(line, "retry_in=") {
			times++
		}
	}
	return times
}
