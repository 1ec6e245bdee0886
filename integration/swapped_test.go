package integration

import (
	"strings"
	"testing"
	"time"
)

// TestTargetSwappedWhileNobodyLooks: a table of the target that has taken the name of the stream's is known by whoever looks first, whether or
// not a daemon saw it come; one that was merely rewritten is not.
func TestTargetSwappedWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE swapped (id int PRIMARY KEY, v text); CREATE TABLE remade (id int PRIMARY KEY, v text); CREATE TABLE rewritten (id int PRIMARY KEY, v varchar(10)); CREATE TABLE quick (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO swapped SELECT g, 'v' FROM generate_series(1, 50) g; INSERT INTO remade SELECT * FROM swapped; INSERT INTO rewritten SELECT * FROM swapped; INSERT INTO quick SELECT * FROM swapped")
	s.catchUp()
	s.dst(`ALTER TABLE swapped RENAME TO old; CREATE TABLE swapped (LIKE old INCLUDING ALL); DROP TABLE remade; CREATE TABLE remade (id int PRIMARY KEY, v text);
		ALTER TABLE rewritten ALTER v TYPE text USING v || ''; CLUSTER rewritten USING rewritten_pkey`)
	s.dst("VACUUM FULL rewritten")
	const reason = "the table on the target is not the one that it was: that was dropped or renamed, and its name given to this one"
	for _, command := range []string{"status", "verify", "catchup", "status", "verify"} { // catchup sets them aside
		r := s.command("", command)
		r.wants(t, 1, "public.swapped", "public.remade", "pgibex resync public.swapped", "pgibex resync public.remade")
		if said := r.out + r.log; strings.Count(said, reason) < 2 || strings.Contains(said, "rewritten: ") {
			t.Errorf("%s says:\n%s", command, said)
		}
	}
	s.src("UPDATE rewritten SET v = 'w' WHERE id = 5; UPDATE swapped SET v = 'w' WHERE id = 5")
	s.command("", "resync", "public.swapped", "public.remade").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()

	// By a daemon that is started again at once, before the other would have looked.
	d := s.daemon("")
	s.eventually("a daemon carries the stream", 20*time.Second, func() bool { return s.status().Daemon })
	s.dst("ALTER TABLE quick RENAME TO old_quick; CREATE TABLE quick (LIKE old_quick INCLUDING ALL)")
	d.kill()
	d = s.daemon("")
	s.eventually("quick is in quarantine", 20*time.Second, func() bool { state, why := s.state("public.quick"); return state == "quarantined" && why == reason })
	s.command("", "resync", "public.quick").wants(t, 0)
	s.resynced("public.quick")
	d.terminate()
	s.equal()
}
