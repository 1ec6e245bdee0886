package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// vanishing is what happens to a table, %s, of the schema %s_s while its changes are on their way; where, and what is then said of it.
var vanishing = []struct {
	name, does string
	target     bool
	says       string
}{
	{"schema_dropped", "DROP SCHEMA %s_s CASCADE", false, "the table was dropped on the source"},
	{"schema_renamed", "ALTER SCHEMA %s_s RENAME TO %s_r", false, "the table was renamed to schema_renamed_r.schema_renamed on the source"},
	{"schema_made_anew", "DROP SCHEMA %s_s CASCADE; CREATE SCHEMA %s_s; CREATE TABLE %s_s.%s (id int PRIMARY KEY, v int)", false, "the table was dropped on the source"},
	{"type_dropped", "DROP TYPE %s_s.t CASCADE", false, "was dropped"},
	{"there_schema_dropped", "DROP SCHEMA %s_s CASCADE", true, "missing on the target"},
	{"there_schema_renamed", "ALTER SCHEMA %s_s RENAME TO %s_r", true, "missing on the target"},
	{"there_dropped", "DROP TABLE %s_s.%s", true, "missing on the target"},
	{"there_renamed", "ALTER TABLE %s_s.%s RENAME TO other", true, "missing on the target"},
	{"there_swapped", "ALTER TABLE %s_s.%s RENAME TO other; CREATE TABLE %s_s.%s (id int, v int, w int)", true, "not the one that it was"},
	{"there_type_dropped", "DROP TYPE %s_s.t CASCADE", true, "column w is missing on the target"},
	{"there_key_dropped", "ALTER TABLE %s_s.%s DROP CONSTRAINT %s_pkey", true, "no primary key or unique index on (id) on the target"},
}

// A table that goes away while its changes are applied is set aside for what has become of it; nothing else stops.
func TestTablesVanishUnderTheStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE fine (id int PRIMARY KEY)")
	for _, v := range vanishing {
		s.both(strings.ReplaceAll("CREATE SCHEMA %s_s; CREATE TYPE %s_s.t AS ENUM ('x'); CREATE TABLE %s_s.%s (id int PRIMARY KEY, v int, w %s_s.t)", "%s", v.name))
		s.src(strings.ReplaceAll("INSERT INTO %s_s.%s VALUES (1, 1, 'x')", "%s", v.name))
	}
	s.run()
	s.streaming()
	for i, v := range vanishing {
		write, does := strings.ReplaceAll("INSERT INTO %s_s.%s VALUES (2, 2, 'x'); ", "%s", v.name), strings.ReplaceAll(v.does, "%s", v.name)
		if v.target {
			s.dst(does)
			s.src(write)
		} else {
			s.src("BEGIN; " + write + does + "; COMMIT")
		}
		s.src(fmt.Sprintf("INSERT INTO fine VALUES (%d)", i))
		s.eventually("the others go on beside "+v.name, 30*time.Second, func() bool { return one[int](s, s.targetDSN, "SELECT count(*) FROM fine") == i+1 })
	}
	for _, v := range vanishing {
		var state, reason string
		s.eventually(v.name+" is in quarantine", time.Minute, func() bool {
			state, reason = s.state(v.name + "_s." + v.name)
			return state == "quarantined"
		})
		if !strings.Contains(reason, v.says) {
			t.Errorf("%s is in quarantine not for %q: %s", v.name, v.says, reason)
		}
	}
	s.equalTable("public.fine")
}
