package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// sequencesEqual waits until every sequence stands on the target where it does on the source.
func (s *stream) sequencesEqual() {
	s.t.Helper()
	s.eventually("the sequences are equal", 30*time.Second, func() bool { return slices.Equal(s.sequences(s.sourceDSN), s.sequences(s.targetDSN)) })
}

func TestSequences(t *testing.T) {
	t.Parallel()
	s := newStream(t, `
		CREATE TABLE tick (n serial PRIMARY KEY);
		CREATE SEQUENCE by_one; CREATE SEQUENCE down INCREMENT -5 MINVALUE -1000 MAXVALUE 100 START 100;
		CREATE SEQUENCE circle MINVALUE 1 MAXVALUE 5 CYCLE; CREATE SEQUENCE untouched START 42; CREATE SEQUENCE "Odd ""name";
		CREATE TABLE owner (id serial PRIMARY KEY, big bigserial);`)
	s.src(`SELECT nextval('by_one') FROM generate_series(1, 17); SELECT nextval('down') FROM generate_series(1, 9); SELECT nextval('circle') FROM generate_series(1, 7);
		SELECT setval('owner_big_seq', 9000000000000, false); INSERT INTO owner DEFAULT VALUES; SELECT setval('"Odd ""name"', 5)`)
	s.catchUp()
	s.equal()
	if got := one[int64](s, s.targetDSN, "SELECT nextval('circle')"); got != 3 {
		t.Errorf("the cycling sequence goes on with %d, expected 3", got)
	}
	s.src(`SELECT setval('by_one', 3); SELECT setval('down', 100, false); SELECT setval('circle', 5); SELECT setval('owner_id_seq', 1, false); SELECT nextval('untouched')`)
	s.catchUp()
	s.equal()
	if got := one[int64](s, s.targetDSN, "SELECT nextval('circle')"); got != 1 {
		t.Errorf("the cycling sequence goes on with %d, expected 1", got)
	}
	s.run() // the daemon follows them as well, backwards too
	s.src(`SELECT setval('by_one', 2, false); SELECT nextval('circle'); SELECT setval('"Odd ""name"', 1, false)`)
	s.sequencesEqual()
}

// A sequence that the application has locked holds up no table.
func TestLockedSequence(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id serial PRIMARY KEY)`)
	stop := s.run()
	s.streaming()
	app := s.connect(s.sourceDSN)
	if _, err := app.PgConn().Exec(t.Context(), "BEGIN; TRUNCATE a RESTART IDENTITY").ReadAll(); err != nil {
		t.Fatal(err)
	}
	s.eventually("it was met", 20*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM pgibex_it.sequence WHERE reason LIKE 'is locked on the source by pid %')"))
	s.command("", "catchup").wants(t, 1, "public.a_id_seq: sequence is locked on the source by pid", "end that transaction")
	s.src("INSERT INTO b DEFAULT VALUES")
	s.eventually("the other table follows", 10*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM b") == 1 })
	if err := app.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	stop()
	s.catchUp()
	s.equal()
}

// badSequences are what can be wrong with one of a stream: how it comes about on either side, and what is said of it.
var badSequences = []struct{ name, src, dst, says, remedy string }{
	{"public.ticket", "ALTER SEQUENCE ticket MAXVALUE 100000; SELECT setval('ticket', 1001)", "", "stands at 1001 on the source, beyond its MAXVALUE 1000 on the target", `ALTER SEQUENCE "public"."ticket" MAXVALUE 100000`},
	{"public.narrow", "SELECT setval('narrow', 3000000000)", "ALTER SEQUENCE narrow AS integer", "beyond its MAXVALUE 2147483647", "AS bigint MAXVALUE"},
	{"public.low", "ALTER SEQUENCE low MINVALUE -10; SELECT setval('low', -5)", "", "stands at -5 on the source, below its MINVALUE 1 on the target", "MINVALUE -10"},
	{"public.down", "ALTER SEQUENCE down MINVALUE -1000; SELECT setval('down', -101)", "", "below its MINVALUE -100", "MINVALUE -1000"},
	{"public.gone", "SELECT nextval('gone')", "DROP SEQUENCE gone", "is missing on the target", `CREATE SEQUENCE "public"."gone" INCREMENT 7 MINVALUE 3 MAXVALUE 77 START 10 CACHE 2 CYCLE`},
	{"public.away", "SELECT nextval('away')", "ALTER SEQUENCE away RENAME TO elsewhere", "is missing on the target", `CREATE SEQUENCE "public"."away"`},
	{"other.s", "SELECT nextval('other.s')", "DROP SCHEMA other CASCADE", "is missing on the target, and so is its schema", `CREATE SCHEMA "other"; CREATE SEQUENCE "other"."s"`},
	{"public.viewed", "SELECT nextval('viewed')", "DROP SEQUENCE viewed; CREATE VIEW viewed AS SELECT 1", "is missing on the target, where a view has its name", "rename or drop that"},
	{"public.now_so", "ALTER SEQUENCE once RENAME TO now_so; SELECT nextval('now_so')", "DROP SEQUENCE once", "is missing on the target", `CREATE SEQUENCE "public"."now_so"`},
	{"public.brand_new", "CREATE SEQUENCE brand_new; SELECT nextval('brand_new')", "", "is missing on the target", `CREATE SEQUENCE "public"."brand_new"`},
	{"public.secret", "REVOKE ALL ON SEQUENCE secret FROM PUBLIC; SELECT nextval('secret')", "", "may not be read on the source by role", "GRANT SELECT ON SEQUENCE"},
	{"public.a_id_seq", "INSERT INTO a DEFAULT VALUES", "ALTER SEQUENCE a_id_seq OWNED BY NONE; ALTER TABLE a ALTER id DROP DEFAULT; DROP SEQUENCE a_id_seq", "is missing on the target", `CREATE SEQUENCE "public"."a_id_seq"`},
	{"public.held", "SELECT nextval('held')", "", "is locked on the target by pid", "end that transaction"},
	{"public.damaged", "UPDATE pg_class SET relfilenode = 424242424 WHERE relname = 'damaged'", "", "cannot be read on the source: ERROR: could not open file", "mend the cause on the source"},
	{"public.damaged_there", "SELECT nextval('damaged_there')", "UPDATE pg_class SET relfilenode = 424242424 WHERE relname = 'damaged_there'", "cannot be read on the target: ERROR: could not open file", "mend the cause on the target"},
	{"public.turned", "", "", "is locked on the source by pid", "end that transaction"},
}

const badSequencesSchema = `
	CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id serial PRIMARY KEY); CREATE SEQUENCE turned; CREATE SEQUENCE damaged; CREATE SEQUENCE damaged_there;
	CREATE SEQUENCE ticket MAXVALUE 1000; CREATE SEQUENCE narrow; CREATE SEQUENCE low; CREATE SEQUENCE down INCREMENT -1 MINVALUE -100; CREATE SEQUENCE gone INCREMENT 7 MINVALUE 3 MAXVALUE 77 START 10 CACHE 2 CYCLE;
	CREATE SEQUENCE away; CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC; CREATE SEQUENCE other.s; CREATE SEQUENCE viewed; CREATE SEQUENCE once; CREATE SEQUENCE secret; CREATE SEQUENCE held;
	CREATE SEQUENCE good; CREATE SEQUENCE "Good, too" INCREMENT -5 MAXVALUE 100 MINVALUE -10000 START 100; CREATE SEQUENCE made_again; CREATE SEQUENCE dropped;`

// narrowRole gives the source a role that owns the tables, and has the stream use it there.
func (s *stream) narrowRole(t *testing.T, tables ...string) (role string) {
	t.Helper()
	database := one[string](s, s.sourceDSN, "SELECT current_database()::text")
	role = "role_of_" + database
	s.src(fmt.Sprintf("CREATE ROLE %s LOGIN; GRANT CREATE ON DATABASE %s TO %[1]s", role, database))
	admin := s.sourceDSN
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.WithoutCancel(t.Context()), admin)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
		if _, err := conn.PgConn().Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("DROP OWNED BY %s CASCADE; DROP ROLE %[1]s", role)).ReadAll(); err != nil {
			t.Error(err)
		}
	})
	for _, table := range tables {
		s.src(fmt.Sprintf("ALTER TABLE %s OWNER TO %s", table, role))
	}
	s.src(fmt.Sprintf("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO %s; GRANT USAGE ON SCHEMA other TO %[1]s; GRANT SELECT ON ALL SEQUENCES IN SCHEMA other TO %[1]s", role))
	s.config.Source.DSN = with(t, s.sourceDSN, func(u *url.URL) { u.User = url.User(role) })
	return role
}

// TestSequencesInEveryWrongState: each is named with a reason and a remedy wherever somebody looks, all others and the tables go on, and
// what the remedy says mends it.
func TestSequencesInEveryWrongState(t *testing.T) {
	t.Parallel()
	s := newStream(t, badSequencesSchema)
	role := s.narrowRole(t, "a", "b")
	file := addresses(t, s.config.Source.DSN, s.config.Target.DSN, "")
	call := func(args ...string) result { t.Helper(); return command(t, nil, append(args, "-c", file)...) }
	stop := s.run()
	s.streaming()
	s.src("SELECT nextval('made_again') FROM generate_series(1, 50); SELECT nextval('good'); INSERT INTO b DEFAULT VALUES")
	s.sequencesEqual()

	for _, bad := range badSequences {
		s.dst(bad.dst)
		s.src(bad.src)
	}
	s.src("REVOKE ALL ON SEQUENCE secret FROM " + role)
	s.src("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO " + role + "; REVOKE ALL ON SEQUENCE secret FROM " + role)
	onTarget, onSource := s.connect(s.targetDSN), s.session()
	if _, err := onTarget.PgConn().Exec(t.Context(), "BEGIN; ALTER SEQUENCE held INCREMENT 1").ReadAll(); err != nil {
		t.Fatal(err)
	}
	onSource.do("BEGIN; ALTER SEQUENCE turned RENAME TO returned")

	s.src(`SELECT nextval('good') FROM generate_series(1, 30); SELECT nextval('"Good, too"'); INSERT INTO b DEFAULT VALUES; DROP SEQUENCE dropped; DROP SEQUENCE made_again; CREATE SEQUENCE made_again;
		GRANT SELECT ON SEQUENCE made_again TO ` + role)
	s.eventually("the other sequences and tables follow", 30*time.Second, s.holds(s.targetDSN, `(SELECT last_value FROM good) = 31 AND (SELECT last_value FROM "Good, too") = 100 AND (SELECT last_value FROM b_id_seq) = 2
		AND (SELECT last_value FROM made_again) = 1 AND (SELECT count(*) FROM b) = 2 AND (SELECT count(*) FROM a) = 1`))
	s.eventually("every bad one is noted", 30*time.Second, s.holds(s.targetDSN, fmt.Sprintf("(SELECT count(*) FROM pgibex_it.sequence WHERE reason IS NOT NULL) = %d", len(badSequences))))
	type said struct{ Sequence, Reason, Remedy string }
	unset := func() (list []said) {
		t.Helper()
		r := call("status", "--json")
		r.wants(t, r.code)
		var status struct {
			Sequences []said `json:"sequences_not_set"`
		}
		if err := json.Unmarshal([]byte(r.out), &status); err != nil {
			t.Fatalf("%v: %s", err, r.out)
		}
		return status.Sequences
	}
	told := unset()
	if len(told) != len(badSequences) {
		t.Errorf("status names %d sequences, expected %d: %+v", len(told), len(badSequences), told)
	}
	inJSON := func(name string) said {
		return told[slices.IndexFunc(told, func(s said) bool { return s.Sequence == name })]
	}
	text, verify, catchup, plan := call("status"), call("verify"), call("catchup"), call("install", "--dry-run")
	verify.wants(t, 1, "2 tables, ", " 0 differ", "sequences: 4 compared, 0 differ")
	catchup.wants(t, 1, "the target does not have everything", "done by the daemon")
	plan.wants(t, 0)
	for _, bad := range badSequences {
		for where, text := range map[string]string{"status": text.out, "status --json": fmt.Sprint(inJSON(bad.name)), "verify": verify.out, "catchup": catchup.log, "install --dry-run": plan.log, "the log": s.log.String()} {
			i := strings.Index(text, bad.name)
			if remedy := strings.ReplaceAll(bad.remedy, `"`, `\"`); i < 0 || !strings.Contains(text, bad.says) || !strings.Contains(text, bad.remedy) && !strings.Contains(text, remedy) {
				t.Errorf("%s does not say of %s %q and %q:\n%s", where, bad.name, bad.says, bad.remedy, text)
			}
		}
		said := 0 // of one that was just made it may first be said that it may not be read yet
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, "sequence="+bad.name+" ") && strings.Contains(line, bad.says) {
				said++
			}
		}
		if said != 1 {
			t.Errorf("the log says of %s %d times that it %s", bad.name, said, bad.says)
		}
	}

	s.src("UPDATE pg_class SET relfilenode = oid WHERE relname = 'damaged'")
	s.dst("DROP VIEW viewed; UPDATE pg_class SET relfilenode = oid WHERE relname = 'damaged_there'")
	onSource.do("ROLLBACK")
	if _, err := onTarget.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	statement := regexp.MustCompile(`(?:GRANT|CREATE|ALTER) .*`)
	for _, bad := range told {
		if strings.Contains(bad.Remedy, "on the source: ") {
			s.src(statement.FindString(bad.Remedy))
		} else if sql := statement.FindString(bad.Remedy); sql != "" {
			s.dst(sql)
		}
	}
	s.dst("DROP SEQUENCE elsewhere, dropped")
	s.sequencesEqual()
	s.eventually("nothing is noted any more", 30*time.Second, s.holds(s.targetDSN, "NOT EXISTS (SELECT 1 FROM pgibex_it.sequence WHERE reason IS NOT NULL)"))
	if left := unset(); len(left) > 0 {
		t.Errorf("status still names %+v", left)
	}
	call("catchup").wants(t, 0)
	call("verify").wants(t, 0, ", 0 differ")
	stop()
	s.equal()
}

// TestSequencesAreNotSetBack: once the application draws from them on the target, they go on there, whatever pgibex is asked to do.
func TestSequencesAreNotSetBack(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id serial PRIMARY KEY); CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -1; CREATE SEQUENCE circle MAXVALUE 100 CYCLE; CREATE SEQUENCE straggler; CREATE SEQUENCE beyond;
		CREATE SEQUENCE back; CREATE SEQUENCE lost`)
	s.src(`INSERT INTO a SELECT nextval('a_id_seq') FROM generate_series(1, 10); SELECT nextval('up'), nextval('down'), nextval('circle'), nextval('straggler'), nextval('beyond'), nextval('back'), nextval('lost')
		FROM generate_series(1, 50)`)
	s.command("", "catchup").wants(t, 0)
	s.equal()

	// The switch: the application is on the target now, but for a straggler and two who use the source's sequences by hand.
	s.dst(`INSERT INTO a SELECT nextval('a_id_seq') FROM generate_series(1, 5); SELECT nextval('up'), nextval('down'), nextval('straggler'), nextval('beyond'), nextval('back') FROM generate_series(1, 10);
		SELECT setval('circle', 3)`)
	s.src(`SELECT nextval('straggler') FROM generate_series(1, 5); SELECT nextval('beyond') FROM generate_series(1, 20); SELECT setval('back', 7)`)
	s.dst("DROP SEQUENCE lost; CREATE SEQUENCE lost")
	want := map[string]int64{"a_id_seq": 15, "up": 60, "down": -60, "circle": 3, "straggler": 60, "beyond": 70, "back": 7, "lost": 50}
	stand := func() {
		t.Helper()
		for name, value := range want {
			if got := one[int64](s, s.targetDSN, "SELECT last_value FROM "+name); got != value {
				t.Errorf("%s stands at %d on the target, expected %d", name, got, value)
			}
		}
	}
	s.command("", "catchup").wants(t, 0)
	stand()
	s.dst("INSERT INTO a DEFAULT VALUES") // finds no duplicate key
	want["a_id_seq"]++
	d := s.daemon("") // as after a reboot
	s.eventually("the daemon has looked at the sequences", 30*time.Second, func() bool {
		return s.command("", "status").code == 0 && one[bool](s, s.targetDSN, "SELECT sequences_at > now() - interval '4 s' FROM pgibex_it.stream")
	})
	s.command("", "catchup").wants(t, 0)
	stand()
	s.command("", "verify").wants(t, 1, "a: 6 rows differ", "public.up: something else has moved it on the target: 50 on the source, 60 on the target", "sequences: 8 compared, 0 differ")
	d.terminate()
	stand()
}

// TestSequenceMadeAgainOnTheSource goes back on the target too, where nothing else has moved it, although it was gone for a while.
func TestSequenceMadeAgainOnTheSource(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE SEQUENCE again; CREATE SEQUENCE drawn; CREATE TABLE a (id int PRIMARY KEY)")
	s.src("SELECT setval('again', 50), setval('drawn', 50)")
	s.catchUp()
	s.src("DROP SEQUENCE again")
	s.dst("SELECT setval('drawn', 60)") // by the application, after the switch
	s.catchUp()
	s.src("CREATE SEQUENCE again; SELECT nextval('again')")
	s.catchUp()
	for name, want := range map[string]int{"again": 1, "drawn": 60} {
		if got := one[int](s, s.targetDSN, "SELECT last_value::int FROM "+name); got != want {
			t.Errorf("%s stands at %d on the target, want %d", name, got, want)
		}
	}
}

// TestACrashBetweenSettingASequenceAndNotingIt: whether the target was set is told from what it was about to be set to.
func TestACrashBetweenSettingASequenceAndNotingIt(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY); CREATE SEQUENCE done; CREATE SEQUENCE undone")
	s.src("SELECT setval('done', 10), setval('undone', 10)")
	s.catchUp()
	s.dst("UPDATE pgibex_it.sequence SET setting_value = 50, setting_called = true; SELECT setval('done', 50)")
	s.src("SELECT setval('done', 40), setval('undone', 40)") // lower than what was about to be set
	s.catchUp()
	s.equal()
}

func TestSequencesAreCheckedBeforeTheFirstCopy(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE SCHEMA other; CREATE TABLE a (id serial PRIMARY KEY); CREATE SEQUENCE secret; CREATE TABLE aside (id serial PRIMARY KEY)")
	role := s.narrowRole(t, "a", "aside")
	s.src("REVOKE ALL ON SEQUENCE secret FROM " + role + "; CREATE SEQUENCE alone MAXVALUE 5; GRANT SELECT ON SEQUENCE alone TO " + role + "; SELECT nextval('a_id_seq')")
	s.dst("ALTER TABLE a ALTER id DROP DEFAULT; DROP SEQUENCE a_id_seq; ALTER TABLE aside ALTER id DROP DEFAULT; DROP SEQUENCE aside_id_seq")
	call := func(more string, args ...string) result {
		t.Helper()
		return command(t, nil, append(args, "-c", addresses(t, s.config.Source.DSN, s.config.Target.DSN, more))...)
	}
	const aside = "tables: {exclude: [public.aside]}\n"
	for _, args := range [][]string{{"install", "--dry-run"}, {"install"}, {"run"}, {"catchup"}} {
		call(aside, args...).wants(t, 1,
			`public.a_id_seq: sequence is missing on the target; create it on the target as pg_dump --schema-only of the source has it, or: CREATE SEQUENCE "public"."a_id_seq"`,
			`public.alone: sequence is missing on the target`, `CREATE SEQUENCE "public"."alone" MAXVALUE 5`,
			fmt.Sprintf(`public.secret: sequence may not be read on the source by role %s; on the source: GRANT SELECT ON SEQUENCE "public"."secret" TO "%[1]s"`, role))
	}
	s.untouched()
	s.src("GRANT SELECT ON SEQUENCE secret TO " + role)
	s.dst("CREATE SEQUENCE alone MAXVALUE 5")
	const byName = "tables: {exclude: [public.aside, public.a_id_seq]}\n" // one that is not wanted is left out by its name
	call(byName, "catchup").wants(t, 0)
	call(byName, "verify").wants(t, 0, "sequences: 2 compared, 0 differ")

	// The stream exists: one that is missing stops nothing.
	s.src("INSERT INTO a DEFAULT VALUES")
	call(aside, "install", "--dry-run").wants(t, 0, "public.a_id_seq: sequence is missing on the target")
	call(aside, "catchup").wants(t, 1, "public.a_id_seq: sequence is missing on the target")
	call(aside, "status").wants(t, 1, "sequence public.a_id_seq is not set on the target: it is missing on the target", `CREATE SEQUENCE "public"."a_id_seq"`)
	call(aside, "verify").wants(t, 1, "public.a_id_seq: not compared: is missing on the target", `CREATE SEQUENCE "public"."a_id_seq"`, "1 tables, 1 rows compared, 0 differ", "sequences: 2 compared, 0 differ")
	call("", "add", "public.aside").wants(t, 1, "public.aside_id_seq: sequence is missing on the target")
}

func TestVerifyComparesSequences(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id serial PRIMARY KEY); CREATE SEQUENCE busy; CREATE SEQUENCE quiet; CREATE SEQUENCE turning MAXVALUE 7 CYCLE")
	s.src("SELECT nextval('quiet') FROM generate_series(1, 20); INSERT INTO a DEFAULT VALUES")
	s.command("", "catchup").wants(t, 0)
	s.command("", "verify").wants(t, 0, "2 tables, 1 rows compared, 0 differ", "sequences: 5 compared, 0 differ")

	s.src("SELECT nextval('quiet'); SELECT nextval('b_id_seq')")
	s.dst("ALTER SEQUENCE busy INCREMENT 3; ALTER SEQUENCE turning NO CYCLE MAXVALUE 6")
	s.command("", "verify").wants(t, 1, "public.quiet: the sequence differs: 21 on the source, 20 on the target", "public.quiet: no process carries the stream",
		"public.b_id_seq: the sequence differs: 1 on the source, 1, not called on the target", "sequences: 5 compared, 2 differ",
		"public.busy: counts by 1 on the source and by 3 on the target", "public.turning: ends sooner on the target", "public.turning: is CYCLE on the source")
	s.command("", "verify", "public.a").wants(t, 0, "1 tables, 1 rows compared, 0 differ", "sequences: 1 compared, 0 differ")
	r := s.command("", "verify", "--json")
	r.wants(t, 1, `"table": "public.quiet"`, `"sequence": true`, `"key": "21 on the source, 20 on the target"`)
	s.dst("ALTER SEQUENCE busy INCREMENT 1; ALTER SEQUENCE turning CYCLE MAXVALUE 7")

	// Behind a daemon that sets them every few seconds nothing differs while they move.
	s.run()
	ctx, cancel := context.WithCancel(t.Context())
	moving := make(chan error, 1)
	conn := s.connect(s.sourceDSN)
	go func() {
		for ctx.Err() == nil {
			if _, err := conn.Exec(context.WithoutCancel(ctx), "SELECT nextval('busy'), nextval('a_id_seq'), nextval('turning')"); err != nil {
				moving <- err
				return
			}
		}
		moving <- nil
	}()
	s.eventually("the daemon sets them", 30*time.Second, s.holds(s.targetDSN, "(SELECT last_value FROM busy) > 10"))
	for range 2 {
		s.command("", "verify").wants(t, 0, "sequences: 5 compared, 0 differ")
	}
	s.dst("SELECT setval('quiet', 3)") // which no daemon would be told of
	s.command("", "catchup").wants(t, 0)
	cancel()
	if err := <-moving; err != nil {
		t.Error(err)
	}
	s.command("", "catchup").wants(t, 0)
	s.equal()
}

// TestSequencesOfColumns: of a column that owns one the target's is the one that the same column owns; one that a column only draws from
// comes with its table, whether or not the configuration names it.
func TestSequencesOfColumns(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	s.src(`CREATE TABLE a (id serial PRIMARY KEY); CREATE SEQUENCE shared; CREATE TABLE b (id int PRIMARY KEY DEFAULT nextval('shared')); CREATE TABLE c (id serial PRIMARY KEY); CREATE TABLE d (id int PRIMARY KEY DEFAULT nextval('c_id_seq'));
		CREATE SEQUENCE named; CREATE SEQUENCE unnamed; CREATE TEMP SEQUENCE passing`)
	s.dst(`CREATE SEQUENCE a_id_seq START 7; CREATE TABLE a (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME other_name)); CREATE SEQUENCE shared; CREATE TABLE b (id int PRIMARY KEY DEFAULT nextval('shared'));
		CREATE TABLE c (id serial PRIMARY KEY); CREATE TABLE d (id int PRIMARY KEY DEFAULT nextval('c_id_seq')); CREATE SEQUENCE named; CREATE SEQUENCE unnamed`)
	s.src(`INSERT INTO a SELECT nextval('a_id_seq') FROM generate_series(1, 11); INSERT INTO b SELECT nextval('shared') FROM generate_series(1, 12); INSERT INTO d SELECT nextval('c_id_seq') FROM generate_series(1, 13);
		SELECT setval('named', 14), setval('unnamed', 15)`)
	const config = "tables: {include: [public.a, public.b, public.d, public.named]}\n"
	s.command(config, "catchup").wants(t, 0)
	for name, want := range map[string]int64{"other_name": 11, "a_id_seq": 7, "shared": 12, "c_id_seq": 13, "named": 14, "unnamed": 1} {
		if got := one[int64](s, s.targetDSN, "SELECT last_value FROM "+name); got != want {
			t.Errorf("%s stands at %d on the target, expected %d", name, got, want)
		}
	}
	s.command(config, "verify").wants(t, 0, "public.a_id_seq: is public.other_name on the target, of the same column", "sequences: 4 compared, 0 differ")
	s.dst("INSERT INTO a DEFAULT VALUES; INSERT INTO b DEFAULT VALUES; INSERT INTO d DEFAULT VALUES")
}
