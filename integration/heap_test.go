package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

// unindexed runs a statement on the source whose rows the index does not get, as after a collation was changed under it.
func (s *stream) unindexed(index, statement string) {
	s.t.Helper()
	s.src(fmt.Sprintf("UPDATE pg_index SET indisready = false WHERE indexrelid = '%s'::regclass", index))
	s.src(statement)
	s.src(fmt.Sprintf("UPDATE pg_index SET indisready = true WHERE indexrelid = '%s'::regclass", index))
}

// verifySays is what verify says of a table, "" where it was compared and found equal.
func (s *stream) verifySays(table string) string {
	s.t.Helper()
	results, err := s.replicator().Verify(s.t.Context(), []string{table})
	if err != nil {
		s.t.Fatal(err)
	}
	if results[0].Equal() {
		return ""
	}
	return fmt.Sprintf("%s %d %v", results[0].Skipped, results[0].Total, results[0].Differences)
}

// TestRowsThatAnIndexOfTheSourceLacks are copied, are not swept away and are brought by resync; verify names the index and what mends it.
func TestRowsThatAnIndexOfTheSourceLacks(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE small (id int PRIMARY KEY, v text); CREATE TABLE large (id bigint PRIMARY KEY, v text);
		CREATE TABLE word (w text, n int, v text, PRIMARY KEY (w, n)); CREATE TABLE whole (id int PRIMARY KEY)`)
	tables := []struct{ name, row, key, index string }{
		{"small", "(-7, 'lost')", "(id)=(-7)", "small_pkey"},
		{"large", "(-7, 'lost')", "(id)=(-7)", "large_pkey"},
		{"word", "('lost', -7, 'lost')", "(w, n)=(lost, -7)", "word_pkey"},
	}
	s.config.Copy.ChunkSize = 64 * config.KB
	s.src(`INSERT INTO small SELECT g, 's' FROM generate_series(1, 50) g; INSERT INTO large SELECT g, repeat('l', 60) FROM generate_series(1, 8000) g;
		INSERT INTO word SELECT 'w' || g, g, repeat('w', 60) FROM generate_series(1, 5000) g; INSERT INTO whole SELECT g FROM generate_series(1, 10) g; ANALYZE`)
	for _, table := range tables {
		s.unindexed(table.index, fmt.Sprintf("INSERT INTO %s VALUES %s", table.name, table.row))
	}
	there := func(when string) {
		t.Helper()
		for _, table := range tables {
			source := one[int](s, s.sourceDSN, "SELECT count(v) FROM "+table.name)
			if n := one[int](s, s.targetDSN, "SELECT count(*) FROM "+table.name); n != source {
				t.Errorf("%s %s has %d rows, the source %d", when, table.name, n, source)
			}
			if n := one[int](s, s.targetDSN, fmt.Sprintf("SELECT count(*) FROM %s WHERE v = 'lost'", table.name)); n != 1 {
				t.Errorf("%s %s has %d of the row that the index lacks", when, table.name, n)
			}
		}
	}
	resync := func() {
		t.Helper()
		if _, err := s.replicator().Resync(t.Context(), []string{"public.small", "public.large", "public.word"}, false); err != nil {
			t.Fatal(err)
		}
		s.eventually("the resync is done", 60*time.Second, func() bool { return s.status().Consistent })
		s.streaming()
	}
	s.run() // verify waits for a stream that stands still
	s.streaming()
	there("after the copy")
	for _, table := range tables {
		said := s.verifySays("public." + table.name)
		for _, part := range []string{"the source contradicts itself", table.key, `REINDEX INDEX "public"."` + table.index + `"`, "pgibex resync public." + table.name} {
			if !strings.Contains(said, part) {
				t.Errorf("verify of %s lacks %q: %s", table.name, part, said)
			}
		}
	}
	if said := s.verifySays("public.whole"); said != "" {
		t.Errorf("verify of a table whose index is whole: %s", said)
	}
	s.dst("SET session_replication_role = replica; DELETE FROM small WHERE v = 'lost'; DELETE FROM large WHERE v = 'lost'; DELETE FROM word WHERE v = 'lost' OR n = 7; INSERT INTO small VALUES (900, 'more'); INSERT INTO large VALUES (90000, 'more'); INSERT INTO word VALUES ('x', 1, 'more')")
	resync()
	there("after a resync")
	for _, table := range tables {
		s.src("REINDEX INDEX " + table.index)
	}
	resync()
	there("after REINDEX")
	for _, table := range tables {
		if said := s.verifySays("public." + table.name); said != "" {
			t.Errorf("verify of %s after REINDEX and resync: %s", table.name, said)
		}
	}
	s.equal()
}

// TestRowWrittenPastAnIndex does not reach the target with a batch, which goes by the index; verify says so, and resync brings it.
func TestRowWrittenPastAnIndex(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY)")
	s.src("INSERT INTO a SELECT g, 'a' FROM generate_series(1, 100) g")
	s.catchUp()
	s.unindexed("a_pkey", "INSERT INTO a VALUES (42000, 'past'); INSERT INTO other VALUES (1)")
	s.catchUp()
	if said := s.verifySays("public.a"); !strings.Contains(said, `"a_pkey" does not find 1 rows of the table, (id)=(42000)`) {
		t.Errorf("verify: %s", said)
	}
	if _, err := s.replicator().Resync(t.Context(), []string{"public.a"}, false); err != nil {
		t.Fatal(err)
	}
	s.catchUp()
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM a WHERE v = 'past'"); n != 1 {
		t.Errorf("after the resync the target has %d of the row", n)
	}
	s.src("REINDEX INDEX a_pkey")
	if said := s.verifySays("public.a"); said != "" {
		t.Errorf("verify after REINDEX: %s", said)
	}
}

// TestIndexWhoseOrderWasChanged has all rows and does not find them, as after an upgrade of the system's collations.
func TestIndexWhoseOrderWasChanged(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE other (id int PRIMARY KEY)")
	collation := one[string](s, s.sourceDSN, "SELECT coalesce((SELECT quote_ident(collname) FROM pg_collation WHERE oid NOT IN (100, 950, 951) AND collencoding IN (-1, 6) ORDER BY collname LIMIT 1), '')")
	if collation == "" {
		t.Skip("the source knows no collation but C")
	}
	s.src("CREATE TABLE a (w text COLLATE " + collation + " PRIMARY KEY); INSERT INTO a SELECT 'w' || g FROM generate_series(1, 500) g")
	s.dst("CREATE TABLE a (w text PRIMARY KEY)")
	s.catchUp()
	s.src("UPDATE pg_index SET indoption = '1' WHERE indexrelid = 'a_pkey'::regclass") // descending, which it was not built as
	if said := s.verifySays("public.a"); !strings.Contains(said, "the source contradicts itself") || !strings.Contains(said, "a_pkey") {
		t.Errorf("verify: %s", said)
	}
	s.src("REINDEX INDEX a_pkey")
	if said := s.verifySays("public.a"); said != "" {
		t.Errorf("verify after REINDEX: %s", said)
	}
}

// TestAnotherIndexThanTheKeys is smaller than the key's, so that look-ups and counts go by it: what it lacks is found missing, and it is the one
// that is named; and what the key's has does not count for it.
func TestAnotherIndexThanTheKeys(t *testing.T) {
	t.Parallel()
	const fat = "WITH (fillfactor = 10)"
	s := newStream(t, `CREATE TABLE one (id int PRIMARY KEY `+fat+`, v text); CREATE INDEX one_other ON one (id);
		CREATE TABLE two (a int, b int, v text, PRIMARY KEY (a, b) `+fat+`); CREATE INDEX two_other ON two (b, a);
		CREATE TABLE three (id int PRIMARY KEY `+fat+`, v text); CREATE INDEX three_other ON three (id DESC)`)
	s.src(`INSERT INTO one SELECT g, repeat('o', 60) FROM generate_series(1, 8000) g; INSERT INTO two SELECT g, g, repeat('t', 60) FROM generate_series(1, 8000) g;
		INSERT INTO three SELECT g, repeat('t', 60) FROM generate_series(1, 8000) g; ANALYZE`)
	s.unindexed("one_other", "INSERT INTO one VALUES (42000, 'lost')")
	s.unindexed("two_other", "INSERT INTO two VALUES (42000, 42000, 'lost')")
	s.unindexed("three_other", "INSERT INTO three VALUES (42000, 'lost')")
	s.catchUp()
	for _, table := range []string{"one", "two", "three"} {
		if n := one[int](s, s.targetDSN, "SELECT count(*) FROM "+table+" WHERE v = 'lost'"); n != 1 {
			t.Errorf("the copy of %s has brought %d of the row that an index lacks", table, n)
		}
		if said := s.verifySays("public." + table); !strings.Contains(said, "does not find 1 rows") || !strings.Contains(said, `REINDEX INDEX "public"."`+table+`_other"`) {
			t.Errorf("verify of %s: %s", table, said)
		}
		s.src("REINDEX INDEX " + table + "_other")
		if said := s.verifySays("public." + table); said != "" {
			t.Errorf("verify of %s after REINDEX: %s", table, said)
		}
	}
	s.equal()
}
