package integration

import (
	"testing"
	"time"
)

// TestUninstallRefusesToLose what only the source has, and names it.
func TestUninstallRefusesToLose(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE odd (id int PRIMARY KEY, v text); CREATE TABLE idle (id int PRIMARY KEY)")
	s.dst("ALTER TABLE odd ALTER v TYPE varchar(3)")
	s.src("INSERT INTO a VALUES (1, 'x'); INSERT INTO odd VALUES (1, 'x')")
	s.command("", "catchup").wants(t, 0)
	s.src("UPDATE a SET v = 'y'; INSERT INTO a VALUES (2, 'z')") // while no daemon runs

	s.command("", "uninstall").wants(t, 2, "removes stream it from both sides", "--yes")
	s.command("", "uninstall", "--yes").wants(t, 1, "would be lost", "public.a: ", "changes pending", "--force")
	s.command("", "catchup").wants(t, 0) // nothing is lost yet
	s.equal()

	s.src("UPDATE odd SET v = 'toolong'")
	s.command("", "catchup").wants(t, 1, "public.odd")
	s.command("", "uninstall", "--yes").wants(t, 1, "public.odd: in quarantine, 1 changes pending")
	s.dst("ALTER TABLE odd ALTER v TYPE text")
	s.command("", "resync", "public.odd").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.command("", "uninstall", "--yes").wants(t, 0, "removed from both sides")
	s.untouched()
}

// TestUninstallRefusesAnUnfinishedCopy unless it is forced to.
func TestUninstallRefusesAnUnfinishedCopy(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO b SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g; ANALYZE")
	release := s.holdCopy("b", 1)
	d := s.daemon("copy: {chunk_size: 64kB, workers: 1}\n")
	s.eventually("b is being copied", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.relation WHERE table_name = 'b' AND state = 'copying')"))
	d.kill()
	release()
	s.eventually("it is gone", 30*time.Second, func() bool { return !s.status().Daemon })
	s.command("", "uninstall", "--yes").wants(t, 1, "public.b: not copied (")
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	s.untouched()
}
