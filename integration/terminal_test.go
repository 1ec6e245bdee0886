package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pgibex/pgibex/replicator"
)

// Names and values as a stranger may choose them: they recolor the screen, go back to the line's begin, forge a line of ours, turn the
// reading direction, and hide characters.
const (
	forged   = "stream it: streaming, forged"
	venomous = "a\x1b[31m\u202eb\u200b\u009bc\r" + forged + "\n" + forged + "\t|"
	shown    = `a\u001b[31m\u202eb\u200b\u009bc\r` + forged + `\n` + forged + `\t|`
)

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// printsOnly fails the test where an output has what does not print, or a line that was forged.
func (r result) printsOnly(t *testing.T) {
	t.Helper()
	for _, output := range []string{r.out, r.log} {
		for line := range strings.Lines(output) {
			line = strings.TrimSuffix(line, "\n")
			if i := strings.IndexFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
				t.Errorf("at %d this does not print: %q", i, line)
			}
			if strings.HasPrefix(strings.TrimSpace(line), forged) {
				t.Errorf("a name has made a line: %q", line)
			}
		}
	}
}

func TestHostileNamesAndValuesAreQuotedOnTheTerminal(t *testing.T) {
	t.Parallel()
	const ending = "\x1b\u202e\n" + forged // a name has 63 bytes
	s := newStream(t, `CREATE TABLE `+quoted(venomous[:60])+` (id int PRIMARY KEY);
		CREATE TABLE keys (`+quoted("k"+ending)+` text PRIMARY KEY, v text);
		CREATE TABLE long (id int PRIMARY KEY, `+quoted("v"+ending)+` text);
		CREATE TABLE `+quoted("t"+ending)+` (id int PRIMARY KEY, v text CHECK (v <> '`+venomous+`'))`)
	s.dst(`ALTER TABLE long ALTER ` + quoted("v"+ending) + ` TYPE varchar(3)`)
	s.command("", "install").printsOnly(t)
	s.command("", "catchup").printsOnly(t)

	// Refused rows: their keys and the server's words.
	s.src(`INSERT INTO keys VALUES ('` + venomous + `', 'x'); INSERT INTO long VALUES (1, 'longer'); ALTER TABLE ` + quoted("t"+ending) + ` RENAME TO ` + quoted("n"+ending))
	for _, format := range []string{"text", "json"} {
		r := s.command("", "catchup", "--log-format", format)
		r.wants(t, 1, `tables in quarantine are not caught up:`+"\n", `public.t\u001b\u202e\n`+forged)
		r.printsOnly(t)
	}
	status := s.command("", "status")
	status.wants(t, 1, `public.a\u001b[31m\u202e`, `public.t\u001b\u202e\n`+forged+" is in quarantine: ")
	status.printsOnly(t)

	s.dst("SET session_replication_role = replica; UPDATE keys SET v = 'planted'")
	verify := s.command("", "verify")
	verify.wants(t, 1, "public.keys: 1 rows differ", shown, "not compared")
	verify.printsOnly(t)
	s.command("", "verify", "public."+venomous).printsOnly(t)
	s.command("", "resync", "public."+venomous).printsOnly(t)
	s.command("", "remove", "public."+venomous).printsOnly(t)
	s.command("", "st"+venomous).printsOnly(t)
	command(t, nil, "status", "-c", "/nowhere/"+venomous).printsOnly(t)

	// JSON means the same, and does not color the screen either.
	r := s.command("", "status", "--json")
	r.printsOnly(t)
	var read replicator.Status
	if err := json.Unmarshal([]byte(r.out), &read); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	if len(read.Tables) != 4 || !strings.HasPrefix(read.Tables[0].Table, "public.a\x1b[31m\u202eb\u200b\u009bc\r") {
		t.Errorf("JSON has other names: %+v", read.Tables)
	}
	s.command("", "verify", "--json").printsOnly(t)
	s.command("", "uninstall", "--yes").printsOnly(t)
}

// TestHostileSessionsAreQuoted: who is in the way is named with its statement.
func TestHostileStatementsAreQuoted(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text)")
	s.command("", "catchup").wants(t, 0)
	conn := s.connect(s.targetDSN)
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.PgConn().Exec(t.Context(), "LOCK TABLE a /* "+venomous+" */").ReadAll(); err != nil {
		t.Fatal(err)
	}
	d := s.daemon("")
	s.src("INSERT INTO a VALUES (1, 'x')")
	s.eventually("the lock is said", 30*time.Second, func() bool { st := s.status(); return len(st.Tables) == 1 && st.Tables[0].Waiting != "" })
	status := s.command("", "status")
	status.wants(t, 0, "public.a is locked on the target by", `\u001b[31m`)
	status.printsOnly(t)
	d.says("a table is locked on the target")
	result{log: d.log.String()}.printsOnly(t)
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	d.terminate()
}

// TestPlannedScriptRunsNothingOfANames: a comment of the script ends where its line does.
func TestPlannedScriptRunsNothingOfANames(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n", "\r"} {
		s := newStream(t, `CREATE TABLE `+quoted("x"+end+"CREATE TABLE injected ();--")+` (id int PRIMARY KEY)`)
		r := s.command("", "install", "--dry-run")
		r.wants(t, 0, "CREATE TRIGGER")
		s.src(r.out)
		if one[bool](s, s.sourceDSN, "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'injected')") {
			t.Errorf("with %q the script runs what the table's name says", end)
		}
		// It names the table as it is.
		if !one[bool](s, s.sourceDSN, "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = $1::regclass)", quoted("x"+end+"CREATE TABLE injected ();--")) {
			t.Errorf("with %q the table has no trigger", end)
		}
	}
}
