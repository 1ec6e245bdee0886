package integration

import (
	"strings"
	"testing"
	"time"
)

// TestValuesThatWouldBecomeOne: what the source tells apart is not one value to the target. Such a pair is refused by name before anything
// is changed; in a running stream the table is set aside, and the others go on.
func TestValuesThatWouldBecomeOne(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE other (id int PRIMARY KEY)")
	s.src(`CREATE TABLE a (name text PRIMARY KEY, v int); CREATE TABLE b (name text PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, name text);
		CREATE TABLE d (names text[] PRIMARY KEY); CREATE TABLE e (id int PRIMARY KEY, name varchar(20) UNIQUE);
		INSERT INTO a VALUES ('anna', 1), ('ANNA', 2); INSERT INTO other VALUES (1)`)
	s.dst(`CREATE EXTENSION citext; CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE DOMAIN folded AS citext;
		CREATE TABLE a (name citext PRIMARY KEY, v int); CREATE TABLE b (name text COLLATE ci PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, name folded, EXCLUDE (name WITH =));
		CREATE TABLE d (names citext[] PRIMARY KEY); CREATE TABLE e (id int PRIMARY KEY, name varchar(20)); CREATE UNIQUE INDEX e_name ON e (name COLLATE ci)`)
	_, err := s.replicator().Install(t.Context())
	if err == nil {
		t.Fatal("installed")
	}
	for _, want := range []string{
		"public.a: column name in index a_pkey of the target would take for one value what the source tells apart (public.citext there, text on the source); give it text there",
		"public.b: column name in index b_pkey of the target goes by collation ci", "public.c: column name in index c_name_excl", "public.d: column names in index d_pkey", "public.e: column name in index e_name",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s\nin: %v", want, err)
		}
	}
	if n := one[int](s, s.sourceDSN, "SELECT count(*)::int FROM pg_namespace WHERE nspname LIKE 'pgibex%'"); n != 0 {
		t.Error("something was installed")
	}
	s.dst(`ALTER TABLE a ALTER name TYPE text; ALTER TABLE b ALTER name TYPE text COLLATE "C"; DROP TABLE c; CREATE TABLE c (id int PRIMARY KEY, name folded);
		ALTER TABLE d ALTER names TYPE text[]; DROP INDEX e_name`)
	s.catchUp()
	s.equal()
	s.dst("DELETE FROM a WHERE name = 'ANNA'; ALTER TABLE a ALTER name TYPE citext")
	s.src("INSERT INTO a VALUES ('Anna', 3); INSERT INTO other VALUES (2)")
	s.run()
	s.eventually("a is set aside", 30*time.Second, func() bool {
		state, reason := s.state("public.a")
		return state == "quarantined" && strings.Contains(reason, "give it text there")
	})
	s.eventually("the other streams", 30*time.Second, s.holds(s.targetDSN, "EXISTS (SELECT 1 FROM other WHERE id = 2)"))
}

// TestUnknown: CREATE TABLE AS SELECT 'x' makes a column of type unknown before 10.
func TestUnknown(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	s.src("CREATE TABLE keyed AS SELECT 1 AS id, 'x' AS v; ALTER TABLE keyed ADD PRIMARY KEY (id); CREATE TABLE keyless AS SELECT 1 AS id, 'x' AS v")
	s.dst("CREATE TABLE keyed (id int PRIMARY KEY, v text); CREATE TABLE keyless (id int, v varchar(10))")
	s.follows(s.equalTables, `INSERT INTO keyed VALUES (2, NULL), (3, E'a\t\\ "b"'); INSERT INTO keyless SELECT id, v FROM keyed`,
		"INSERT INTO keyed VALUES (4, ''); INSERT INTO keyless VALUES (4, ''), (1, 'x'), (1, NULL)",
		"UPDATE keyed SET v = 'new' WHERE id = 1; UPDATE keyless SET v = 'new' WHERE id = 3", "DELETE FROM keyed WHERE id = 2; DELETE FROM keyless WHERE v IS NULL")
	s.verified(0)
	s.dst("UPDATE keyed SET v = 'other' WHERE id = 4; DELETE FROM keyless WHERE id = 4")
	s.verified(1)
}

// TestResyncTellsTextsApart: a key that a char(n) cannot tell from its own has no row on the source.
func TestResyncTellsTextsApart(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	s.src("CREATE TABLE c (k char(5) PRIMARY KEY, v int); INSERT INTO c VALUES ('ab', 1), ('cd', 2); CREATE TABLE n (k int PRIMARY KEY, v int); INSERT INTO n VALUES (1, 1), (2, 2)")
	s.dst("CREATE TABLE c (k text PRIMARY KEY, v int); CREATE TABLE n (k numeric(12,2) PRIMARY KEY, v int)")
	s.catchUp()
	s.dst("INSERT INTO c VALUES ('ab', 7); INSERT INTO n VALUES (1.5, 7)")
	if _, err := s.replicator().Resync(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	s.catchUp()
	s.verified(0)
	if got := one[string](s, s.targetDSN, "SELECT (SELECT string_agg(k || v, ',' ORDER BY k) FROM c) || '|' || (SELECT string_agg(k || '=' || v, ',' ORDER BY k) FROM n)"); got != "ab   1,cd   2|1.00=1,2.00=2" {
		t.Errorf("the target has %s", got)
	}
}
