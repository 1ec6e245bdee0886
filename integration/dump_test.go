package integration

import (
	"context"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// TestPlainRolesDumpTheSource: the application's backup goes on while it is captured. What the stream records is the application's data, and
// not for PUBLIC: a role that is no superuser leaves the stream's schema out of its dump.
func TestPlainRolesDumpTheSource(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE log (v text)")
	pgDump, there := s.source.Installation().Tool("pg_dump")
	if !there {
		pgtest.Skip(t, "the source's installation has no pg_dump")
	}
	role := "backup_of_" + one[string](s, s.sourceDSN, "SELECT current_database()::text")
	s.src("CREATE ROLE " + role + " LOGIN; ALTER TABLE a OWNER TO " + role + "; ALTER TABLE log OWNER TO " + role + "; INSERT INTO a VALUES (1, 'x')")
	t.Cleanup(func() {
		if err := tryExec(context.WithoutCancel(t.Context()), s.sourceDSN, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	dsn := with(t, s.sourceDSN, func(u *url.URL) { u.User = url.User(role) })
	dump := func(args ...string) (string, error) {
		c := exec.Command(pgDump, append(args, dsn)...)
		c.Env = s.source.Installation().Env()
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := dump(); err != nil {
		t.Fatalf("before: %v: %s", err, out)
	}
	s.command("", "install").wants(t, 0)
	s.src("INSERT INTO a VALUES (2, 'y'); INSERT INTO log VALUES ('secret')")
	if out, err := dump(); err == nil || !strings.Contains(out, "permission denied for schema pgibex_it") {
		t.Errorf("the whole: %v: %s", err, out)
	}
	out, err := dump("--exclude-schema=pgibex_*")
	if err != nil || !strings.Contains(out, "COPY a (id, v) FROM stdin;\n1\tx\n2\ty\n") || strings.Contains(out, "delta_") {
		t.Errorf("without it: %v: %s", err, out)
	}
	if err := tryExec(t.Context(), dsn, "SELECT * FROM pgibex_it.delta_2_1"); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("what is recorded may be read: %v", err)
	}
}
