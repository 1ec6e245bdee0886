package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// raised are SQLSTATEs that a function of the target raises. Most of them mean something else where the server itself says them.
var raised = []string{
	"U0001", "02000", "08006", "25006", "28000", "3F000", "40001", "40P01", "53100", "55000", "55P03", "57014", "57P01", "58030", "72000", "HV000", "XX000",
}

// Whatever a table of the target raises is that table's, in a copy, a batch or a drain: the others go on.
func TestWhatATableRaisesIsItsOwn(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE fine (id int PRIMARY KEY)")
	s.dst(`CREATE FUNCTION refuse(v text, state text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
			IF v = 'bad' THEN RAISE EXCEPTION 'the rule of %', state USING ERRCODE = state; END IF; RETURN true; END $$;
		CREATE FUNCTION cancel(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
			IF v = 'bad' THEN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF; RETURN true; END $$;
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.refuse(NEW.v, TG_ARGV[0]); RETURN NEW; END $$`)
	var tables []string
	add := func(name, state, how string) {
		tables = append(tables, name)
		s.both("CREATE TABLE " + name + " (id int PRIMARY KEY, v text)")
		s.dst(fmt.Sprintf(how, name, state))
	}
	for _, state := range raised {
		name := strings.ToLower(state)
		add("check_"+name, state, "ALTER TABLE %s ADD CHECK (refuse(v, '%s'))")
		add("copy_"+name, state, "ALTER TABLE %s ADD CHECK (refuse(v, '%s'))")
		s.src("INSERT INTO copy_" + name + " VALUES (1, 'bad')")
	}
	add("by_trigger", "40001", "CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE PROCEDURE refuse('%s'); ALTER TABLE by_trigger ENABLE ALWAYS TRIGGER t")
	add("at_commit", "U0002", "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE PROCEDURE refuse('%s'); ALTER TABLE at_commit ENABLE ALWAYS TRIGGER t")
	add("cancels", "", "ALTER TABLE %s ADD CHECK (cancel(v)) -- %s") // as from outside, and each time
	add("cancels_keyless", "", "ALTER TABLE %s ADD CHECK (cancel(v)) -- %s")
	s.both("ALTER TABLE cancels_keyless DROP CONSTRAINT cancels_keyless_pkey")
	s.run()
	for _, name := range tables {
		if strings.HasPrefix(name, "copy_") {
			s.quarantined(name, "the rule of")
		}
	}
	s.streamingBut(len(raised))
	for _, name := range tables {
		if !strings.HasPrefix(name, "copy_") {
			s.src("INSERT INTO " + name + " VALUES (1, 'good')")
		}
	}
	s.streamingBut(len(raised))
	for i, name := range tables {
		if !strings.HasPrefix(name, "copy_") {
			s.src(fmt.Sprintf("INSERT INTO %s VALUES (2, 'bad'); INSERT INTO fine VALUES (%d)", name, i))
		}
	}
	for _, name := range tables {
		says := "the rule of"
		if strings.HasPrefix(name, "cancels") {
			says = "canceling statement due to user request"
		}
		s.quarantined(name, says)
	}
	s.equalTable("public.fine")
}

// reaching is what the code of a table of the target makes of the session or the transaction that writes to it.
var reaching = []struct {
	table, does, when, says string
	batchOnly               bool // each time is an interruption of everything
}{
	{"a_style", "set_config('DateStyle', 'SQL, DMY', false), set_config('IntervalStyle', 'sql_standard', false)", "", "changes pgibex's session: DateStyle, IntervalStyle", false},
	{"a_role", "set_config('role', 'pg_monitor', true)", "", "", false}, // or a right is missing
	{"a_origin", "set_config('session_replication_role', 'origin', true)", "", "changes pgibex's session: session_replication_role", false},
	{"a_readonly", "set_config('transaction_read_only', 'on', true)", "", "read", false},
	{"a_cancel", "pg_cancel_backend(pg_backend_pid()), pg_sleep(1)", "DEFERRABLE INITIALLY DEFERRED", "canceling statement due to user request", true},
	{"a_end", "pg_terminate_backend(pg_backend_pid()), pg_sleep(1)", "DEFERRABLE INITIALLY DEFERRED", "the session that writes to it is ended each time", true},
}

// TestCodeThatReachesForTheSession: what the code of one table makes of the session or of its transaction is that table's, in a batch, a drain or
// a copy, and never bends what others are written as.
func TestCodeThatReachesForTheSession(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE dates (id int PRIMARY KEY, d date, i interval)")
	var copied, streamed []string
	for _, code := range reaching {
		tables := []string{code.table}
		if !code.batchOnly {
			tables = append(tables, code.table+"_drains", code.table+"_copied")
			copied = append(copied, code.table+"_copied")
			streamed = append(streamed, code.table+"_drains")
		}
		streamed = append(streamed, code.table)
		for _, table := range tables {
			s.both("CREATE TABLE " + table + " (id int PRIMARY KEY, v text)")
			s.dst(fmt.Sprintf(`CREATE FUNCTION does_%[1]s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v = 'bad' THEN PERFORM %[2]s; END IF; RETURN NEW; END $$;
				CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE ON %[1]s %[3]s FOR EACH ROW EXECUTE PROCEDURE does_%[1]s(); ALTER TABLE %[1]s ENABLE ALWAYS TRIGGER t`,
				table, code.does, code.when))
		}
	}
	for _, table := range copied {
		s.src("INSERT INTO " + table + " VALUES (1, 'bad')")
	}
	s.config.Apply.BatchSize = 64 << 10
	s.run()
	for _, table := range copied {
		s.quarantined(table)
	}
	s.streamingBut(len(copied))
	for i, table := range streamed {
		rows := 1
		if strings.HasSuffix(table, "_drains") {
			rows = 5000
		}
		s.src(fmt.Sprintf("BEGIN; INSERT INTO %s SELECT g, 'bad' FROM generate_series(1, %d) g; INSERT INTO dates VALUES (%d, '2026-03-02', '-1 day 2 hours'); COMMIT", table, rows, i))
	}
	for _, code := range reaching {
		s.quarantined(code.table, code.says)
	}
	s.streamingBut(len(copied) + len(streamed))
	s.equalTable("public.dates")
}

// quarantined waits until a table is set aside for a reason that contains all of the texts.
func (s *stream) quarantined(table string, says ...string) {
	s.t.Helper()
	var state, reason string
	s.eventually(table+" is in quarantine", 60*time.Second, func() bool {
		state, reason = s.state("public." + table)
		return state == "quarantined"
	})
	for _, text := range says {
		if !strings.Contains(reason, text) {
			s.t.Errorf("%s is in quarantine not for %q: %s", table, text, reason)
		}
	}
}

// streamingBut waits until nothing is pending of all tables but so many in quarantine.
func (s *stream) streamingBut(quarantined int) {
	s.t.Helper()
	s.eventually("the other tables stream", 60*time.Second, func() bool {
		status, aside := s.status(), 0
		for _, t := range status.Tables {
			if t.State == "quarantined" {
				aside++
			} else if t.PendingRows > 0 {
				return false
			}
		}
		return aside == quarantined && status.Phase == "streaming" && status.Consistent
	})
}
