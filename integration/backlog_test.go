package integration

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBacklogInBoundedMemory lets 300,000 changes gather (PGIBEX_BACKLOG of them, if it is set) while no daemon runs, kills the
// daemon that applies them on the way, and watches what it takes: memory, the source's time, and the disk that is given back.
func TestBacklogInBoundedMemory(t *testing.T) {
	t.Parallel()
	changes := 300_000
	if text := os.Getenv("PGIBEX_BACKLOG"); text != "" {
		var err error
		if changes, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	s := newStream(t, "CREATE TABLE big (id int PRIMARY KEY, n int, v text); CREATE TABLE other (id int PRIMARY KEY, n int)")
	rows := changes / 5
	s.src(fmt.Sprintf("INSERT INTO big SELECT g, 0, repeat('v', 100) FROM generate_series(1, %d) g; INSERT INTO other SELECT generate_series(1, 100), 0", rows))
	s.catchUp()
	for i := range 5 {
		s.src(fmt.Sprintf("UPDATE big SET n = %d", i+1))
	}
	s.src(fmt.Sprintf("DELETE FROM big WHERE id %% 10 = 0; UPDATE big SET v = repeat('w', 1000) WHERE id > %d", rows*9/10))
	left := func() int64 {
		return one[int64](s, s.targetDSN, "SELECT coalesce(sum(end_block - next_block), 0)::bigint FROM pgibex_it.drain")
	}
	scanned := "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'delta%' OR relname = 'big'"
	scannedBefore := one[int64](s, s.sourceDSN, scanned)

	const smallBatches = "apply: {batch_size: 1MB}"
	began := time.Now()
	first := s.daemon(smallBatches)
	s.eventually("pieces are applied", time.Minute, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.drain WHERE next_block > 0 AND next_block < end_block)"))
	peak := first.peakMemory()
	first.kill()
	before := left()
	second := s.daemon(smallBatches)
	second.says("long backlog")
	if after := left(); after > before {
		t.Errorf("%d blocks are left to the second daemon, %d were when the first was killed", after, before)
	}
	s.src("UPDATE other SET n = 1")
	s.eventually("other tables do not wait", time.Minute, s.holds(s.targetDSN, "(SELECT bool_and(n = 1) FROM other)"))
	if left() > 0 && s.status().Tables[0].DrainBlocks == 0 { // the status reads the segments: it is asked once
		t.Error("the status does not say how far it is")
	}
	s.eventually("everything is applied", time.Duration(changes/10_000+60)*time.Second,
		s.holds(s.targetDSN, "NOT EXISTS (SELECT 1 FROM pgibex_it.drain) AND NOT EXISTS (SELECT 1 FROM pgibex_it.relation WHERE position IS NOT NULL OR state <> 'streaming')"))
	took := time.Since(began)
	s.src("UPDATE big SET n = -1 WHERE id = 1") // upkeep comes after a batch
	s.eventually("the disk is given back", time.Minute, s.holds(s.sourceDSN, "(SELECT sum(pg_relation_size(oid)) < 4000000 FROM pg_class WHERE relname LIKE 'delta%')"))
	s.eventually("the last change has come", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM big WHERE n = -1)"))
	peak = max(peak, second.peakMemory())
	// Each segment is looked through once before it is emptied, and once for the status.
	rowsScanned := one[int64](s, s.sourceDSN, scanned) - scannedBefore
	t.Logf("%d changes: applied in %s with a crash on the way, %d MiB resident at most, %d rows of tables or segments scanned", changes, took.Round(time.Millisecond), peak>>20, rowsScanned)
	if peak > 64<<20 {
		t.Errorf("the daemon took %d MiB", peak>>20)
	}
	if rowsScanned > 5*int64(changes) {
		t.Errorf("%d rows of tables or segments were scanned for %d changes", rowsScanned, changes)
	}
	second.terminate()
	s.sameRows()
}

// peakMemory is the most that the process has had resident, in bytes; 0 where the system does not tell.
func (p *process) peakMemory() int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kB, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return kB << 10
}

// TestCatchUpUnderLoad ends although tables with long backlogs are never all together at one moment: the application writes more in the
// time of a batch than a batch takes.
func TestCatchUpUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, v text); CREATE TABLE marks (id int PRIMARY KEY)")
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 20000) g; INSERT INTO b SELECT g, 'v' FROM generate_series(1, 20000) g")
	s.command("", "catchup").wants(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, sql := range []string{
		"UPDATE a SET v = v || '.' WHERE id % 10 = (random() * 10)::int", "UPDATE b SET v = v || '.' WHERE id % 10 = (random() * 10)::int",
		"BEGIN; TRUNCATE c; INSERT INTO c SELECT g, repeat('c', 100) FROM generate_series(1, 10000) g; COMMIT",
	} {
		conn := s.connect(s.sourceDSN)
		group.Go(func() {
			for ctx.Err() == nil {
				if _, err := conn.Exec(context.WithoutCancel(ctx), sql+"; SELECT pg_sleep(0.1)"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	s.src("INSERT INTO marks VALUES (1)")
	p := pgibex(t, nil, "catchup", "-c", s.file("apply: {batch_size: 64kB}\n"))
	code := p.code(90 * time.Second)
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM c"); n != 10000 { // which the source has at any moment
		t.Errorf("c has %d rows on the target", n)
	}
	cancel()
	group.Wait()
	if code != 0 || !s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM marks)")() {
		t.Errorf("exit code %d:\n%s", code, p.log)
	}
	s.catchUp()
	s.equal()
}
