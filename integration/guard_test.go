package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// TestGuard fills the source with changes that can not be applied, until they are recorded no more; the application goes on.
func TestGuard(t *testing.T) {
	t.Parallel()
	s := newStream(t, memberSchema)
	s.src(memberRows)
	d := s.daemon("capture: {backlog_alert: 1MB, backlog_stop: 3MB}")
	s.streaming()
	gate := session{s, s.connect(s.targetDSN)}
	gate.do("BEGIN; LOCK TABLE keyed, child, other") // nothing is applied
	prepared := s.session()
	prepared.do("PREPARE touch AS UPDATE keyed SET v = 'by an old plan' WHERE id = $1; EXECUTE touch(1)")
	s.src("UPDATE keyed SET v = '1'; UPDATE child SET v = '1'")
	d.says("the changes waiting take much of the source's disk")
	s.src("UPDATE keyed SET v = '2'; UPDATE keyed SET v = '3'; UPDATE keyed SET v = '4'; UPDATE keyed SET v = '5'; UPDATE child SET v = '2'")
	d.says("they are recorded no more")
	prepared.do("EXECUTE touch(2)")
	s.src("UPDATE keyed SET v = 'unseen' WHERE id = 3; DELETE FROM keyed WHERE id > 19990; INSERT INTO plain VALUES (1, 'unseen'); TRUNCATE other; INSERT INTO texts VALUES ('unseen', 1, '')")
	gate.do("ROLLBACK")
	for _, name := range []string{"keyed", "texts", "child", "plain", "other"} {
		s.eventually(name+" is in quarantine for it", 40*time.Second, func() bool {
			state, reason := s.state("public." + name)
			return state == "quarantined" && strings.Contains(reason, "changes were recorded no more since") && strings.Contains(reason, "capture.backlog_stop is 3MB")
		})
	}
	s.eventually("the disk is given back", 30*time.Second, s.holds(s.sourceDSN, `(SELECT sum(pg_total_relation_size(c.oid)) < 200000 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname = 'pgibex_it' AND relname LIKE 'delta%')`))
	s.command("", "resync", "--all").wants(t, 0)
	s.resynced("public.keyed", "public.texts", "public.child", "public.plain", "public.other")
	prepared.do("EXECUTE touch(4)")
	s.src("UPDATE other SET v = 'on'; INSERT INTO plain VALUES (1, 'seen again')")
	s.streaming()
	s.sameRows()
	d.terminate()
}

// TestGuardWithoutTheTarget does so while the target can not be reached.
func TestGuardWithoutTheTarget(t *testing.T) {
	t.Parallel()
	s := newStreamOn(t, pgtest.Source(t), pgtest.Own(t, pgserver.TargetVersion), memberSchema)
	s.src(memberRows)
	d := s.daemon("capture: {backlog_alert: 1MB, backlog_stop: 2MB}")
	s.streaming()
	if err := s.target.Kill(); err != nil {
		t.Fatal(err)
	}
	s.src("UPDATE keyed SET v = '1'; UPDATE keyed SET v = '2'; UPDATE keyed SET v = '3'")
	d.says("they are recorded no more")
	if err := s.target.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.command("", "resync", "--all").wants(t, 0)
	s.resynced("public.keyed", "public.texts", "public.child", "public.plain", "public.other")
	s.streaming()
	s.sameRows()
}

// TestGuardOfADaemonThatDoesNotStart for want of its target.
func TestGuardOfADaemonThatDoesNotStart(t *testing.T) {
	t.Parallel()
	s := newStreamOn(t, pgtest.Source(t), pgtest.Own(t, pgserver.TargetVersion), memberSchema)
	s.src(memberRows)
	s.catchUp()
	if err := s.target.Kill(); err != nil {
		t.Fatal(err)
	}
	s.src("UPDATE keyed SET v = '1'; UPDATE keyed SET v = '2'; UPDATE keyed SET v = '3'")
	s.command("capture: {backlog_stop: 2MB}", "run").wants(t, 1, "nothing listens on that port", "they are recorded no more")
	if err := s.target.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.command("", "resync", "--all").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
}
