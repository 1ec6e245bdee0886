package integration

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// checksOf are the target's CHECKs of a table, with whether each is validated.
func (s *stream) checksOf(dsn, table string) []string {
	s.t.Helper()
	return one[[]string](s, dsn, `SELECT ARRAY(SELECT conname || CASE WHEN convalidated THEN '' ELSE ' not valid' END || coalesce(' ' || obj_description(oid, 'pg_constraint'), '')
		FROM pg_constraint WHERE contype = 'c' AND conrelid = $1::text::regclass ORDER BY 1)`, table)
}

func (s *stream) wantChecks(when, table string, want ...string) {
	s.t.Helper()
	if got := s.checksOf(s.targetDSN, table); !slices.Equal(got, want) {
		s.t.Errorf("%s the checks of %s are %q, expected %q", when, table, got, want)
	}
}

// unvalidated has rows that break its check, which was added later and NOT VALID; by a long way more than a chunk.
const unvalidated = `CREATE TABLE aged (id int PRIMARY KEY, v int, pad text);`

// TestChecksThatOldRowsBreak: added NOT VALID on the source, they reject rows that the source has.
func TestChecksThatOldRowsBreak(t *testing.T) {
	t.Parallel()
	s := newStream(t, unvalidated+"CREATE TABLE keyless (v int); CREATE TABLE above (id int PRIMARY KEY, v int); CREATE TABLE below (PRIMARY KEY (id)) INHERITS (above)")
	s.src(`INSERT INTO aged SELECT g, -g, repeat('p', 50) FROM generate_series(1, 3000) g; INSERT INTO keyless SELECT -g FROM generate_series(1, 20) g;
		INSERT INTO above VALUES (1, -1); INSERT INTO below VALUES (2, -2)`)
	s.both(`ALTER TABLE aged ADD CONSTRAINT positive CHECK (v > 0) NOT VALID, ADD CONSTRAINT short CHECK (length(pad) < 1000), ADD CONSTRAINT either CHECK (id > 0 OR v > 0) NOT VALID;
		COMMENT ON CONSTRAINT positive ON aged IS 'for new rows'; ALTER TABLE keyless ADD CONSTRAINT positive CHECK (v > 0) NOT VALID;
		ALTER TABLE above ADD CONSTRAINT inherited CHECK (v > 0) NOT VALID`)
	stop := s.run()
	s.streaming()
	s.wantChecks("while it streams", "aged", "short")
	if put := s.status().Checks; len(put) != 4 || !strings.Contains(put[1], "check either of public.aged is put off; pgibex catchup") {
		t.Errorf("status says of the checks: %q", put)
	}
	s.src("UPDATE aged SET v = 1, pad = 'new' WHERE id <= 10; DELETE FROM aged WHERE id BETWEEN 11 AND 20; DELETE FROM keyless WHERE v > -5; INSERT INTO below VALUES (3, 3)")
	s.streaming()
	stop()
	if done := s.catchUp(); len(done.Checks) > 0 {
		t.Errorf("after the catch-up: %q", done.Checks)
	}
	s.wantChecks("after the catch-up", "aged", "either not valid", "positive not valid for new rows", "short")
	s.wantChecks("after the catch-up", "keyless", "positive not valid")
	s.wantChecks("after the catch-up", "above", "inherited not valid")
	s.wantChecks("after the catch-up", "below", "inherited not valid")
	s.equal()
}

// TestChecksComeBackAfterWhatBreaksThem is about checks that are in place when rows come that are older than they.
func TestChecksComeBackAfterWhatBreaksThem(t *testing.T) {
	t.Parallel()
	s := newStream(t, unvalidated+"CREATE TABLE drained (id int PRIMARY KEY, v int)")
	s.src("INSERT INTO aged SELECT g, -g, 'old' FROM generate_series(1, 100) g; INSERT INTO drained SELECT g, 1 FROM generate_series(1, 20000) g")
	s.catchUp()
	s.src("UPDATE aged SET v = -1000 WHERE id <= 50; UPDATE drained SET v = -id") // pending, and then the rule comes
	s.both("ALTER TABLE aged ADD CONSTRAINT positive CHECK (v > 0) NOT VALID; ALTER TABLE drained ADD CONSTRAINT positive CHECK (v > 0) NOT VALID")
	s.config.Apply.BatchSize = 64 << 10
	s.catchUp()
	s.wantChecks("after the backlog", "aged", "positive not valid")
	s.wantChecks("after the backlog", "drained", "positive not valid")
	s.equal()
	s.dst("SET session_replication_role = replica; DELETE FROM aged WHERE id > 60")
	if _, err := s.replicator().Resync(t.Context(), []string{"public.aged"}, false); err != nil {
		t.Fatal(err)
	}
	s.catchUp()
	s.wantChecks("after the resync", "aged", "positive not valid")
	s.equal()

	s.src("UPDATE aged SET v = 5 WHERE id = 1")
	stop := s.run()
	s.streaming()
	s.wantChecks("while nothing breaks it", "aged", "positive not valid")
	stop()
}

// TestChecksThatReadOtherTables rely on the order in which the source was written to, or on the search_path of its sessions.
func TestChecksThatReadOtherTables(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE zone (id int PRIMARY KEY, name text); CREATE TABLE city (id int PRIMARY KEY, zone_id int, v int);
		CREATE FUNCTION zone_exists(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT 1 FROM public.zone WHERE id = $1)';
		CREATE FUNCTION zone_known(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT 1 FROM zone WHERE id = $1); END';
		ALTER TABLE city ADD CONSTRAINT in_zone CHECK (zone_exists(zone_id)), ADD CONSTRAINT in_path CHECK (zone_known(zone_id)), ADD CONSTRAINT plain CHECK (v > 0);
		CREATE TABLE lease (id int PRIMARY KEY, until timestamptz, CONSTRAINT future CHECK (until > now() - interval '1 hour'));
		CREATE SCHEMA app; CREATE TABLE app.zone_of (id int PRIMARY KEY); CREATE FUNCTION app.odd(int) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN EXISTS (SELECT 1 FROM zone_of WHERE id = $1); END';
		CREATE TABLE app.deep (id int PRIMARY KEY, z int);`)
	s.both("SET search_path = app; ALTER TABLE app.deep ADD CONSTRAINT in_app CHECK (app.odd(z))")
	database := one[string](s, s.targetDSN, "SELECT quote_ident(current_database())")
	s.dst("ALTER DATABASE " + database + " SET search_path = app, public")
	s.src(`INSERT INTO zone SELECT g, 'z' FROM generate_series(1, 50) g; INSERT INTO city SELECT g, g % 50 + 1, 1 FROM generate_series(1, 500) g; INSERT INTO lease SELECT g, now() FROM generate_series(1, 5) g;
		SET search_path = app; INSERT INTO app.zone_of VALUES (7); INSERT INTO app.deep VALUES (1, 7)`)
	stop := s.run()
	s.streaming()
	s.src(`BEGIN; INSERT INTO zone VALUES (100, 'new'); INSERT INTO city VALUES (1000, 100, 1); COMMIT;
		BEGIN; INSERT INTO zone VALUES (101, 'new'); UPDATE city SET zone_id = 101 WHERE id = 5; DELETE FROM city WHERE zone_id = 3; DELETE FROM zone WHERE id = 3; COMMIT`)
	s.streaming()
	s.wantChecks("while it streams", "city", "plain")
	stop()
	s.catchUp()
	s.equal()
	s.wantChecks("after the catch-up", "city", "in_path", "in_zone", "plain")
	s.wantChecks("after the catch-up", "lease", "future")
	s.wantChecks("after the catch-up", "app.deep", "in_app")

	stop = s.run() // once more, with the checks in place, which the order of the tables breaks
	s.src("BEGIN; INSERT INTO zone VALUES (200, 'new'); INSERT INTO city VALUES (2000, 200, 1); COMMIT; BEGIN; UPDATE city SET zone_id = 200 WHERE zone_id = 4; DELETE FROM zone WHERE id = 4; COMMIT")
	s.streaming()
	s.equal()
	stop()
	if err := s.replicator().Uninstall(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	s.wantChecks("after uninstall", "city", "in_path", "in_zone", "plain")
}

// TestChecksThatOnlyTheTargetHas are meant: a row that breaks one puts its table into quarantine, and nothing drops them.
func TestChecksThatOnlyTheTargetHas(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int); CREATE TABLE other (id int PRIMARY KEY);
		CREATE FUNCTION small(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN IF $1 > 10 THEN RAISE ''too large''; END IF; RETURN true; END'`)
	s.dst("ALTER TABLE a ADD CONSTRAINT ours CHECK (small(v)); ALTER TABLE b ADD CONSTRAINT ours CHECK (v < 10) NOT VALID")
	s.src("INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1), (2, 20)")
	s.run()
	s.eventually("b is in quarantine", 30*time.Second, func() bool { state, _ := s.state("public.b"); return state == "quarantined" })
	s.eventually("a streams", 30*time.Second, func() bool { state, _ := s.state("public.a"); return state == "streaming" })
	s.src("INSERT INTO a VALUES (2, 20); INSERT INTO other VALUES (1)")
	s.eventually("a is in quarantine", 30*time.Second, func() bool {
		state, reason := s.state("public.a")
		return state == "quarantined" && strings.Contains(reason, "(id)=(2)") && strings.Contains(reason, "too large")
	})
	s.wantChecks("in quarantine", "a", "ours")
	s.wantChecks("in quarantine", "b", "ours not valid")
	s.eventually("the others stream", 30*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM other") == 1 })
}

// TestDomainThatReadsAnotherTable cannot be put off: the reason says which function of which domain, and following the remedy mends it.
func TestDomainThatReadsAnotherTable(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE word (w text PRIMARY KEY); CREATE FUNCTION known(text) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN EXISTS (SELECT 1 FROM word WHERE w = $1); END';
		CREATE DOMAIN term AS text CONSTRAINT listed CHECK (known(VALUE)); CREATE TYPE pair AS (t term, u term); CREATE TABLE used (id int PRIMARY KEY, p pair)`)
	s.src("INSERT INTO word VALUES ('a'), ('b'); INSERT INTO used VALUES (1, '(a,b)')")
	_, err := s.replicator().CatchUp(t.Context())
	if err == nil {
		t.Fatal("caught up although the domain's function does not find its table")
	}
	remedy := one[string](s, s.targetDSN, "SELECT remedy FROM pgibex_it.relation WHERE table_name = 'used'")
	for _, part := range []string{"CHECK listed of domain public.term calls public.known(text)", "ALTER FUNCTION … SET search_path", "CREATE OR REPLACE FUNCTION", "pgibex resync public.used"} {
		if !strings.Contains(remedy, part) {
			t.Errorf("the remedy lacks %q: %s", part, remedy)
		}
	}
	s.dst("CREATE OR REPLACE FUNCTION known(text) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN true; END'")
	if _, err := s.replicator().Resync(t.Context(), []string{"public.used"}, false); err != nil {
		t.Fatal(err)
	}
	s.catchUp()
	s.equal()
}

// TestRemovedTableHasItsChecks although the others stream on.
func TestRemovedTableHasItsChecks(t *testing.T) {
	t.Parallel()
	s := newStream(t, unvalidated+"CREATE TABLE other (id int PRIMARY KEY)")
	s.src("INSERT INTO aged VALUES (1, -1, 'old')")
	s.both("ALTER TABLE aged ADD CONSTRAINT positive CHECK (v > 0) NOT VALID")
	s.run()
	s.streaming()
	s.wantChecks("while it streams", "aged")
	s.config.Tables.Exclude = []string{"public.aged"}
	if err := s.replicator().Remove(t.Context(), []string{"public.aged"}); err != nil {
		t.Fatal(err)
	}
	s.wantChecks("after the removal", "aged", "positive not valid")
}

// TestConstraintsThatDoNotHold on the target: catchup names them, each with its remedy, and ends with 1, as status does, until they hold.
func TestConstraintsThatDoNotHold(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE zone (id int PRIMARY KEY); CREATE TABLE city (id int PRIMARY KEY, zone_id int REFERENCES zone, v int);
		CREATE FUNCTION zone_exists(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT 1 FROM public.zone WHERE id = $1)';
		ALTER TABLE city ADD CONSTRAINT in_zone CHECK (zone_exists(zone_id)); CREATE TABLE owned (id int PRIMARY KEY, v int)`)
	s.config.Tables.Exclude = []string{"public.zone"}
	s.src("INSERT INTO zone VALUES (1), (2); INSERT INTO city VALUES (1, 1, 1), (2, 2, 2); INSERT INTO owned VALUES (1, -1)")
	s.both("ALTER TABLE owned ADD CONSTRAINT positive CHECK (v > 0) NOT VALID")
	role := s.plainTarget(t)
	file := addresses(t, s.config.Source.DSN, s.config.Target.DSN, "tables: {exclude: [public.zone]}")
	stop := s.run()
	s.streaming()
	stop()
	s.dst("ALTER TABLE owned OWNER TO CURRENT_USER")
	owner := one[string](s, s.targetDSN, "SELECT current_user::text")
	for _, name := range []string{"catchup", "status"} {
		command(t, nil, name, "-c", file).wants(t, 1, "in_zone", "city_zone_id_fkey", "is not present in table", "pgibex catchup",
			"must be owner of table owned", "on the target: GRANT "+owner+" TO "+role)
	}
	s.dst("ALTER TABLE owned OWNER TO " + role + "; INSERT INTO zone VALUES (1), (2)")
	for _, name := range []string{"catchup", "status"} {
		command(t, nil, name, "-c", file).wants(t, 0)
	}
	s.wantChecks("at the end", "city", "in_zone")
	s.wantChecks("at the end", "owned", "positive not valid")
	s.equal()
}

// plainTarget has the stream use, on the target, a role that is no superuser and owns the tables.
func (s *stream) plainTarget(t *testing.T) (role string) {
	t.Helper()
	database := one[string](s, s.targetDSN, "SELECT current_database()::text")
	role = "plain_of_" + database
	s.dst(fmt.Sprintf("CREATE ROLE %[1]s LOGIN; ALTER ROLE %[1]s SET session_replication_role = replica; GRANT CREATE ON DATABASE %[2]s TO %[1]s", role, database))
	t.Cleanup(func() { s.cleanUp(s.targetDSN, fmt.Sprintf("DROP OWNED BY %s CASCADE; DROP ROLE %[1]s", role)) })
	for _, table := range s.tables() {
		s.dst(fmt.Sprintf("ALTER TABLE %s OWNER TO %s", table, role))
	}
	s.config.Target.DSN = with(t, s.targetDSN, func(u *url.URL) { u.User = url.User(role) })
	return role
}
