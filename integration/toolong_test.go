package integration

import (
	"strings"
	"testing"
	"time"
)

// TestRowLongerThanAGigabyte of text, of a value that takes an eighth of that: its table is set aside with the row's key, the others go on.
func TestRowLongerThanAGigabyte(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE tick (n serial PRIMARY KEY); CREATE TABLE a (id int PRIMARY KEY, v varbit); CREATE TABLE b (id int, n int, v varbit, PRIMARY KEY (n, id)); CREATE TABLE other (id int PRIMARY KEY)")
	const long = `(SELECT v || v || v || v || v || v || v || v || v || v || v || v || v FROM (SELECT 0::bit(83886080)::varbit AS v) v)` // 1,090,519,040 bits
	s.src("INSERT INTO a SELECT g, B'1' FROM generate_series(1, 5) g; UPDATE a SET v = " + long + " WHERE id = 3; INSERT INTO b SELECT g, -g, B'1' FROM generate_series(1, 5) g; INSERT INTO other VALUES (1)")
	s.run()
	quarantined := func(table, key string) {
		t.Helper()
		s.eventually(table+" is in quarantine", 60*time.Second, func() bool {
			state, reason := s.state(table)
			if state == "quarantined" && (!strings.Contains(reason, key) || !strings.Contains(reason, "longer than 1 GB as text")) {
				t.Fatalf("the reason of %s lacks the key %s or what is wrong: %s", table, key, reason)
			}
			return state == "quarantined"
		})
	}
	quarantined("public.a", "(id)=(3)")
	s.eventually("the others stream", 30*time.Second, func() bool { state, _ := s.state("public.b"); return state == "streaming" })
	s.src("UPDATE b SET v = B'0' WHERE id = 1; UPDATE b SET v = " + long + " WHERE id = 4; INSERT INTO other VALUES (2)")
	quarantined("public.b", "(n, id)=(-4, 4)")
	s.eventually("the others stream", 30*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM other") == 2 })
	s.src("UPDATE a SET v = B'0' WHERE id = 3; UPDATE b SET v = B'0' WHERE id = 4; INSERT INTO other VALUES (3)")
	if _, err := s.replicator().Resync(t.Context(), []string{"public.a", "public.b"}, false); err != nil {
		t.Fatal(err)
	}
	s.eventually("both tables are back", 60*time.Second, func() bool {
		for _, table := range s.status().Tables {
			if table.State != "streaming" {
				return false
			}
		}
		return true
	})
	s.streaming()
	s.marked()
	s.sameRows()
}
