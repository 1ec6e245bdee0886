package integration

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/replicator"
	"github.com/pgibex/pgibex/verify"
)

func TestHelpHasExamples(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary; not with -short")
	}
	root := command(t, nil, "--help")
	root.wants(t, 0, "The usual way", "pgibex run")
	listed := regexp.MustCompile(`(?m)^  ([a-z]+) +\S`).FindAllStringSubmatch(root.out[strings.Index(root.out, "Available Commands:"):], -1)
	if len(listed) < 10 {
		t.Fatalf("--help lists %d commands:\n%s", len(listed), root.out)
	}
	for _, found := range listed {
		name := found[1]
		r := command(t, nil, name, "--help")
		r.wants(t, 0)
		switch name {
		case "config": // its subcommand has
			r = command(t, nil, name, "example", "--help")
		case "help", "completion": // cobra's own
			continue
		}
		r.wants(t, 0, "Examples:\n  pgibex "+name)
	}
}

func TestCommandLineErrors(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary; not with -short")
	}
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"version"}, 0, "pgibex v0.0.0-test (go"},
		{[]string{"--version"}, 0, "pgibex v0.0.0-test"},
		{[]string{"completion", "bash"}, 0, "bash completion"},
		{[]string{"config", "example"}, 0, "poll_interval"},
		{[]string{"servers"}, 0, "9.2"},
		{[]string{"help", "run"}, 0, "Examples:"},
		{[]string{"stats"}, 2, `unknown command "stats" for "pgibex"`},
		{[]string{"statsu"}, 2, "did you mean status?"},
		{[]string{"config", "stats"}, 2, `"stats"`},
		{[]string{"run", "--fast"}, 2, "unknown flag: --fast; see pgibex run --help"},
		{[]string{"run", "now"}, 2, `takes no argument, got "now"`},
		{[]string{"status", "--json=maybe"}, 2, "--json"},
		{[]string{"status", "--log-format", "xml"}, 2, "give text or json"},
	} {
		command(t, nil, test.args...).wants(t, test.code, test.says)
	}
}

func TestInstallDryRun(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE "B "" b" ("K k" text, n int, PRIMARY KEY (n, "K k")); CREATE TABLE c (v text)`)
	r := s.command("", "install", "--dry-run")
	r.wants(t, 0, "CREATE SCHEMA", "CREATE TRIGGER")
	s.untouched()
	r.runsInPsql(t, s)
	planned := s.ours(s.sourceDSN)
	writes := `INSERT INTO a VALUES (1, 'x'); UPDATE "B "" b" SET n = n + 1; INSERT INTO "B "" b" VALUES ('k', 1); DELETE FROM c; TRUNCATE a, c`
	s.src(writes) // what was planned works
	s.src("DROP SCHEMA pgibex_it CASCADE")
	s.command("", "install").wants(t, 0, "capture installed on 3 tables")
	if installed := s.ours(s.sourceDSN); strings.Join(installed, "\n") != strings.Join(planned, "\n") {
		t.Errorf("planned:\n%q\ninstalled:\n%q", planned, installed)
	}
	s.command("", "install").wants(t, 0, "capture installed on 0 tables")
	if ours := s.ours(s.targetDSN); len(ours) > 0 {
		t.Errorf("install has left %v on the target", ours)
	}
	s.src(writes)
	s.command("", "catchup").wants(t, 0)
	s.equal()
	s.command("", "uninstall", "--yes").wants(t, 0, "stream it is removed from both sides")
	s.untouched()
	s.command("", "uninstall", "--yes").wants(t, 0) // once more does no harm
}

// runsInPsql runs what was printed, in psql where there is one.
func (r result) runsInPsql(t *testing.T, s *stream) {
	t.Helper()
	psql, there := s.source.Installation().Tool("psql")
	run := func(args ...string) *exec.Cmd {
		c := exec.Command(psql, args...)
		c.Env, c.Stdin = s.source.Installation().Env(), strings.NewReader(r.out)
		return c
	}
	if !there || run("--version").Run() != nil { // it may lack a library that the server does not need
		s.src(r.out)
		return
	}
	psqlRun := run("-v", "ON_ERROR_STOP=1", "-q", "-d", s.sourceDSN)
	if out, err := psqlRun.CombinedOutput(); err != nil {
		t.Errorf("psql: %v: %s", err, out)
	}
}

func TestStatusAndVerify(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE big (id serial PRIMARY KEY, v text); CREATE TABLE odd (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 2000) g; INSERT INTO big (v) SELECT repeat('x', 100) FROM generate_series(1, 10000) g; ANALYZE; INSERT INTO odd VALUES (1, 'toolong')")
	s.dst("ALTER TABLE odd ALTER v TYPE varchar(3)")
	status := func() (st replicator.Status) {
		t.Helper()
		r := s.command("", "status", "--json")
		if err := json.Unmarshal([]byte(r.out), &st); err != nil {
			t.Fatalf("%v: %s", err, r.out)
		}
		r.wants(t, min(len(st.Problems), 1))
		return st
	}
	s.command("", "status").wants(t, 0, "stream it: not installed, no daemon")
	if st := status(); st.Phase != "not installed" || st.LagSeconds != -1 || len(st.Tables) != 0 {
		t.Errorf("%+v", st)
	}
	s.untouched()
	s.command("", "verify").wants(t, 1, "holds no state of this stream")

	// Somebody reads big on the target, which its index waits for.
	d := s.daemon("copy: {chunk_size: 64kB, workers: 1}\n")
	s.eventually("big is being copied", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.relation WHERE table_name = 'big' AND state = 'copying')"))
	release := s.lock(s.targetDSN, "big", "ROW EXCLUSIVE")
	s.eventually("its index waits", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'big'::regclass)"))
	st := status()
	if st.Phase != "copying" || st.Consistent || !st.Daemon {
		t.Errorf("%+v", st)
	}
	s.command("", "status").wants(t, 0, "copying, daemon running", "public.big", "10,000 of 10,000", "does not show one state of the source yet")
	s.command("", "verify", "public.big").wants(t, 1, "public.big: not compared: not copied yet")
	release()
	s.eventually("all stream", 20*time.Second, func() bool { return s.status().Phase == "streaming" })
	s.src("UPDATE a SET v = 'w' WHERE id <= 10")
	s.command("", "catchup").wants(t, 1, "tables in quarantine", "done by the daemon that carries the stream")
	if st = status(); st.Phase != "streaming" || st.BacklogRows != 0 || st.LagSeconds != 0 || st.Position == "" {
		t.Errorf("%+v", st)
	}
	s.command("", "status").wants(t, 1, "streaming, 1 of 3 tables quarantined, daemon running, lag 0s, 0 changes (0 B) behind", "public.odd is in quarantine: ", "character varying(3)", "quarantined")
	if len(st.Problems) != 1 || st.Problems[0].Table != "public.odd" || st.Problems[0].Reason == "" || st.Problems[0].Remedy == "" {
		t.Errorf("problems: %+v", st.Problems)
	}
	only := s.command("", "status", "--problems")
	if only.wants(t, 1, "public.odd is in quarantine: ", "pgibex resync public.odd"); strings.Contains(only.out, "public.big") {
		t.Errorf("--problems shows more than them:\n%s", only.out)
	}
	s.command("", "verify", "public.a", "public.big").wants(t, 0, "2 tables, 12000 rows compared, 0 differ")
	s.command("", "verify", "public.nothing").wants(t, 2, "public.nothing is no table of stream it; pgibex status lists them")

	s.dst("SET session_replication_role = replica; UPDATE a SET v = 'planted' WHERE id = 4; DELETE FROM big WHERE id = 44; INSERT INTO a VALUES (4444, 'more')")
	s.command("", "verify").wants(t, 1, "public.a: 2 rows differ", "public.big: 1 rows differ", "44", "4444", "public.odd: not compared", "2 tables, ", ", 1 not compared")
	r := s.command("", "verify", "--json")
	r.wants(t, 1)
	var results []verify.Result
	if err := json.Unmarshal([]byte(r.out), &results); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	var total int64
	for _, result := range results {
		total += result.Total
	}
	if len(results) != 4 || total != 3 { // with a sequence
		t.Errorf("%d results, %d differences: %s", len(results), total, r.out)
	}
	d.terminate()
	s.command("", "status").wants(t, 1, "no daemon")
}

func TestCatchUpCommand(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE log (v text)")
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 100) g; INSERT INTO log VALUES ('x')")
	s.command("", "catchup").wants(t, 0, "the target has everything up to", "done by this process")
	s.equal()
	s.command("", "catchup").wants(t, 0, "done by this process")
	s.equal()
	d := s.daemon("")
	s.eventually("a daemon leads", 10*time.Second, func() bool { return s.status().Daemon })
	for i := range 3 {
		s.src(fmt.Sprintf("UPDATE a SET v = v || %d WHERE id %% 3 = %[1]d; INSERT INTO log VALUES ('%[1]d')", i))
		s.command("", "catchup").wants(t, 0, "done by the daemon that carries the stream")
		s.equal() // right after it, with no further wait
	}
	d.terminate()
	s.command("", "verify").wants(t, 0, "2 tables, 104 rows compared, 0 differ")
	s.command("", "uninstall", "--yes").wants(t, 0)
	s.untouched()
	if n := one[int](s, s.targetDSN, "SELECT count(*)::int FROM a"); n != 100 {
		t.Errorf("uninstall has left %d rows", n)
	}
}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY)")
	r := s.command("", "catchup", "--log-format", "json", "-v")
	r.wants(t, 0)
	for line := range strings.SplitSeq(strings.TrimSpace(r.log), "\n") {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["msg"] == nil {
			t.Errorf("no JSON: %s", line)
		}
	}
}
