package integration

import (
	"strings"
	"testing"

	"github.com/pgibex/pgibex/internal/config"
)

// arbiters are what the target's index on (a, b) may look like beside others of the same columns: ON CONFLICT has to choose among them.
var arbiters = []struct{ name, source, target string }{
	{"deferrable_and_plain", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b) DEFERRABLE INITIALLY DEFERRED, UNIQUE (a, b))", ""},
	{"plain_and_deferrable", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b), UNIQUE (b, a) DEFERRABLE)", ""},
	{"deferrable_there", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b))", "ALTER TABLE %s ADD UNIQUE (b, a) DEFERRABLE INITIALLY DEFERRED"},
	{"partial", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b)); CREATE UNIQUE INDEX ON %s (a, b) WHERE v > 0", ""},
	{"superset", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b)); CREATE UNIQUE INDEX ON %s (a, b, v)", ""},
	{"superset_deferrable", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b), UNIQUE (a, b, v) DEFERRABLE INITIALLY DEFERRED)", ""},
	{"expression", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b)); CREATE UNIQUE INDEX ON %s ((a + 0), (b + 0))", ""},
	{"including", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b))", "CREATE UNIQUE INDEX ON %s (a, b) INCLUDE (v)"},
	{"including_deferrable", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b))", "ALTER TABLE %s ADD UNIQUE (a, b) INCLUDE (v) DEFERRABLE"},
	{"excluding", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b), EXCLUDE USING btree (a WITH =, b WITH =) DEFERRABLE INITIALLY DEFERRED)", ""},
	{"swapped", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b), UNIQUE (v) DEFERRABLE INITIALLY DEFERRED)", ""},
	{"made_later", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b))", ""},
	{"invalid", "CREATE TABLE %s (a int, b int, v int, PRIMARY KEY (a, b))", ""},
}

// Whatever else is unique on the target, changes come over, by batches and by drains.
func TestArbiters(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	each := func(run func(string), sql string) {
		var all []string
		for _, a := range arbiters {
			all = append(all, strings.ReplaceAll(sql, "%s", a.name))
		}
		run(strings.Join(all, ";\n"))
	}
	for _, a := range arbiters {
		s.both(strings.ReplaceAll(a.source, "%s", a.name))
		s.dst(strings.ReplaceAll(a.target, "%s", a.name))
	}
	each(s.src, "INSERT INTO %s SELECT g, -g, g FROM generate_series(1, 2000) g")
	stop := s.run()
	s.streaming()
	s.dst(`ALTER TABLE made_later ADD UNIQUE (b, a) DEFERRABLE INITIALLY DEFERRED;
		CREATE UNIQUE INDEX invalid_i ON invalid (b, a); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'invalid_i'::regclass`)
	each(s.src, "UPDATE %s SET v = 2002 - v WHERE a < 20 OR a > 1982; DELETE FROM %s WHERE a = 7; INSERT INTO %s VALUES (0, 0, 5000)")
	s.streaming()
	stop()
	s.sameRows()
	s.config.Apply.BatchSize = 16 * config.KB
	each(s.src, "UPDATE %s SET v = v + 10000 WHERE a % 2 = 0; UPDATE %s SET v = 2001 - v WHERE a % 2 = 1")
	s.catchUp()
	s.sameRows()
}
