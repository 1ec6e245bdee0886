package integration

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/pg"
)

// drifts is what others do to table t of schema %s on either side, what is said of it, and what is done about it: the statements that its
// remedy names on that side, and then a resync, or a remove where the table is gone for good.
var drifts = []struct {
	name, does   string
	target       bool
	says, remedy string
	mend         string // on the other side where it begins with "other side: "
	remove       bool
}{
	{name: "dropped", does: "DROP TABLE %s.t", says: "the table was dropped on the source", remedy: "pgibex remove %s.t", remove: true},
	{name: "schema_dropped", does: "DROP SCHEMA %s CASCADE", says: "the table was dropped on the source", remedy: "pgibex remove %s.t", remove: true},
	{name: "made_again", does: "DROP TABLE %s.t; CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text)", says: "dropped on the source, and another has its name", remedy: "pgibex resync %s.t"},
	{name: "renamed", does: "ALTER TABLE %s.t RENAME TO x", says: "renamed to renamed.x on the source", remedy: "rename it back, then: pgibex resync", mend: "ALTER TABLE %s.x RENAME TO t"},
	{name: "swapped", does: "ALTER TABLE %s.t RENAME TO x; CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text)", says: "renamed to swapped.x on the source", remedy: "rename it back, then: pgibex resync", mend: "DROP TABLE %s.t; ALTER TABLE %s.x RENAME TO t"},
	{name: "schema_renamed", does: "ALTER SCHEMA %s RENAME TO %s_x", says: "renamed to schema_renamed_x.t on the source", remedy: "rename it back, then: pgibex resync", mend: "ALTER SCHEMA %s_x RENAME TO %s"},
	{name: "column_added", does: "ALTER TABLE %s.t ADD u int DEFAULT 7", says: `column "u" integer was added`, remedy: "ADD COLUMN", mend: `other side: ALTER TABLE %s.t ADD COLUMN u integer`},
	{name: "column_dropped", does: "ALTER TABLE %s.t DROP w", says: `column "w" text was dropped`, remedy: "DROP COLUMN", mend: "other side: ALTER TABLE %s.t DROP COLUMN w"},
	{name: "column_renamed", does: "ALTER TABLE %s.t RENAME w TO x", says: `column "w" text became "x" text`, remedy: "RENAME COLUMN", mend: "other side: ALTER TABLE %s.t RENAME COLUMN w TO x"},
	{name: "column_retyped", does: "ALTER TABLE %s.t ALTER w TYPE varchar(9)", says: `became "w" character varying(9)`, remedy: "ALTER COLUMN", mend: "other side: ALTER TABLE %s.t ALTER COLUMN w TYPE varchar(9)"},
	{name: "trigger_dropped", does: "DROP TRIGGER pgibex_it_update ON %s.t; UPDATE %s.t SET v = 'unseen', w = 'unseen!'", says: "trigger pgibex_it_update was dropped on the source", remedy: "pgibex resync %s.t"},
	{name: "trigger_disabled", does: "ALTER TABLE %s.t DISABLE TRIGGER pgibex_it_delete; DELETE FROM %s.t WHERE id = 'b'", says: "pgibex_it_delete is not ENABLE ALWAYS any more", remedy: "pgibex resync %s.t"},
	{name: "key_dropped", does: "ALTER TABLE %s.t DROP CONSTRAINT t_pkey", says: "the unique index on (id) was dropped", remedy: "create it again", mend: "ALTER TABLE %s.t ADD PRIMARY KEY (id)"},

	{name: "there_dropped", target: true, does: "DROP TABLE %s.t", says: "missing on the target", remedy: "create it on the target", mend: "CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text)"},
	{name: "there_schema_dropped", target: true, does: "DROP SCHEMA %s CASCADE", says: "missing on the target", remedy: "create it on the target", mend: "CREATE SCHEMA %s; CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text)"},
	{name: "there_made_again", target: true, does: "DROP TABLE %s.t; CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text)", says: "not the one that it was", remedy: "pgibex resync %s.t"},
	{name: "there_renamed", target: true, does: "ALTER TABLE %s.t RENAME TO x", says: "missing on the target", remedy: "give it its name back", mend: "ALTER TABLE %s.x RENAME TO t"},
	{name: "there_swapped", target: true, does: "ALTER TABLE %s.t RENAME TO x; CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text)", says: "not the one that it was", remedy: "pgibex resync %s.t", mend: "DROP TABLE %s.x"},
	{name: "there_swapped_for_another", target: true, does: "ALTER TABLE %s.t RENAME TO x; CREATE TABLE %s.t (id text PRIMARY KEY, v text)", says: "not the one that it was", remedy: `ADD COLUMN "w" text; then: pgibex resync %s.t`, mend: "DROP TABLE %s.x; ALTER TABLE %s.t ADD w text"},
	{name: "there_schema_renamed", target: true, does: "ALTER SCHEMA %s RENAME TO %s_x", says: "missing on the target", remedy: "give it its name back", mend: "ALTER SCHEMA %s_x RENAME TO %s"},
	{name: "there_column_dropped", target: true, does: "ALTER TABLE %s.t DROP w", says: "column w is missing on the target", remedy: "pgibex resync %s.t", mend: "ALTER TABLE %s.t ADD w text"},
	{name: "there_column_retyped", target: true, does: "ALTER TABLE %s.t ALTER w TYPE int USING 0", says: "column w is text on the source and integer on the target", remedy: "pgibex resync %s.t", mend: "ALTER TABLE %s.t ALTER w TYPE text"},
	{name: "there_column_added", target: true, does: "ALTER TABLE %s.t ADD u int NOT NULL DEFAULT 0; ALTER TABLE %s.t ALTER u DROP DEFAULT", says: "column u of the target does not exist on the source, is NOT NULL and has no default", remedy: "pgibex resync %s.t", mend: "ALTER TABLE %s.t DROP u"},
	{name: "there_key_retyped", target: true, does: "ALTER TABLE %s.t ALTER id TYPE public.citext", says: "would take for one value what the source tells apart", remedy: "pgibex resync %s.t", mend: "ALTER TABLE %s.t ALTER id TYPE text"},
	{name: "there_key_dropped", target: true, does: "ALTER TABLE %s.t DROP CONSTRAINT t_pkey", says: "no primary key or unique index on (id) on the target", remedy: "pgibex resync %s.t", mend: "ALTER TABLE %s.t ADD PRIMARY KEY (id)"},
}

// harmless is what others may do to a table of the target: it keeps its OID, or its columns still fit.
var harmless = map[string][]string{
	"vacuumed":      {"VACUUM FULL %s.t"},
	"clustered":     {"CLUSTER %s.t USING t_pkey"},
	"rewritten":     {"ALTER TABLE %s.t ALTER v TYPE varchar(100)", "ALTER TABLE %s.t ALTER v TYPE text COLLATE \"C\""},
	"truncated":     {"BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM %s.t; TRUNCATE %s.t; INSERT INTO %s.t SELECT * FROM kept; COMMIT"},
	"generated":     {"ALTER TABLE %s.t DROP w, ADD w text GENERATED ALWAYS AS (v || '!') STORED"},
	"index_rebuilt": {"BEGIN; ALTER TABLE %s.t DROP CONSTRAINT t_pkey; ALTER TABLE %s.t ADD PRIMARY KEY (id); COMMIT"},
}

func newDrifting(t *testing.T) *stream {
	t.Helper()
	s := newStream(t, "CREATE TABLE fine (id int PRIMARY KEY)")
	s.dst("CREATE EXTENSION citext")
	s.config.Tables.Exclude = []string{"*.x", "schema_renamed_x.*"}
	names := slices.Collect(maps.Keys(harmless))
	for _, d := range drifts {
		names = append(names, d.name)
	}
	var tables, rows strings.Builder
	for _, name := range names {
		tables.WriteString(in(name, "CREATE SCHEMA %s; CREATE TABLE %s.t (id text PRIMARY KEY, v text, w text);"))
		rows.WriteString(in(name, "INSERT INTO %s.t VALUES ('a', 'x', 'x!'), ('b', 'y', 'y!');"))
	}
	s.both(tables.String())
	s.src(rows.String())
	return s
}

func in(name, statement string) string { return strings.ReplaceAll(statement, "%s", name) }

func (s *stream) drift() {
	s.t.Helper()
	var source, target strings.Builder
	for _, d := range drifts {
		side := &source
		if d.target {
			side = &target
		}
		side.WriteString(in(d.name, d.does) + ";")
	}
	s.dst(target.String())
	for name, statements := range harmless {
		for _, statement := range statements {
			s.dst(in(name, statement))
		}
	}
	s.src(source.String())
	s.src("INSERT INTO there_dropped.t VALUES ('c', 'z', 'z!')") // the daemon that tries to bring it looks at all tables
}

// told is what somebody who looks is told of each table: reason and remedy.
type told map[string]string

func (s *stream) recorded() told {
	s.t.Helper()
	told := told{}
	s.eventually("all are in quarantine", 2*time.Minute, func() bool {
		for _, row := range one[[]string](s, s.targetDSN, "SELECT ARRAY(SELECT schema_name || E'.t\\t' || reason || '; ' || remedy FROM pgibex_it.relation WHERE state = 'quarantined')") {
			name, why, _ := strings.Cut(row, "\t")
			told[name] = why
		}
		return len(told) >= len(drifts)
	})
	return told
}

func (s *stream) toldByStatus() told {
	s.t.Helper()
	told := told{}
	for _, p := range s.status().Problems {
		told[p.Table] = p.Reason + "; " + p.Remedy
	}
	return told
}

func (s *stream) toldByVerify() told {
	s.t.Helper()
	told := told{}
	results, err := s.replicator().Verify(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range results {
		if r.Skipped != "" {
			told[r.Name] = strings.TrimPrefix(r.Skipped, "in quarantine: ") + "; " + r.Remedy
		}
		if r.Total > 0 {
			s.t.Errorf("%s differs: %v", r.Name, r.Differences)
		}
	}
	return told
}

func (s *stream) toldByCatchUp() told {
	s.t.Helper()
	told := told{}
	_, err := s.replicator().CatchUp(s.t.Context())
	if err == nil {
		err = errors.New("nothing")
	}
	for line := range strings.Lines(err.Error()) {
		if name, why, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			told[name] = why
		}
	}
	return told
}

// right compares what was told with what it should be.
func (s *stream) right(who string, told told) {
	s.t.Helper()
	for _, d := range drifts {
		why := told[d.name+".t"]
		if !strings.Contains(why, in(d.name, d.says)) || !strings.Contains(why, in(d.name, d.remedy)) {
			s.t.Errorf("%s: of %s it is told %q, not %q with %q", who, d.name, why, d.says, in(d.name, d.remedy))
		}
		delete(told, d.name+".t")
	}
	for name, why := range told {
		s.t.Errorf("%s: of %s it is told %s", who, name, why)
	}
}

// TestWhatIsToldDoesNotDependOnWhoLooks: a daemon that runs, one that starts, catchup, status and verify each look first at the same
// drifts, and say the same; the remedy mends it.
func TestWhatIsToldDoesNotDependOnWhoLooks(t *testing.T) {
	t.Parallel()
	looked := map[string]told{}
	look := func(s *stream, who string, told told) {
		looked[s.t.Name()+" "+who] = maps.Clone(told)
		s.right(who, told)
	}
	t.Run("a daemon that runs", func(t *testing.T) {
		s := newDrifting(t)
		stop := s.run()
		s.streaming()
		s.drift()
		look(s, "the daemon", s.recorded())
		look(s, "status", s.toldByStatus())
		look(s, "verify", s.toldByVerify())
		look(s, "catchup", s.toldByCatchUp())
		s.mend()
		stop()
	})
	t.Run("status, verify and catchup", func(t *testing.T) {
		s := newDrifting(t)
		s.catchUp()
		s.drift()
		look(s, "status", s.toldByStatus())
		look(s, "verify", s.toldByVerify())
		look(s, "catchup", s.toldByCatchUp())
		look(s, "status afterwards", s.toldByStatus())
	})
	t.Run("a daemon that starts", func(t *testing.T) {
		s := newDrifting(t)
		s.catchUp()
		s.drift()
		s.run()
		look(s, "the daemon", s.recorded())
	})
	var first told
	for who, told := range looked {
		if first == nil {
			first = told
		}
		if !maps.Equal(told, first) {
			t.Errorf("%s tells others: %v\nnot %v", who, told, first)
		}
	}
}

// mend follows each remedy, and compares all rows.
func (s *stream) mend() {
	s.t.Helper()
	remove, resync := []string{"remove"}, []string{"resync"}
	var mendSource, mendTarget strings.Builder
	for _, d := range drifts {
		mend, elsewhere := strings.CutPrefix(in(d.name, d.mend), "other side: ")
		if d.target != elsewhere {
			mendTarget.WriteString(mend + ";")
		} else {
			mendSource.WriteString(mend + ";")
		}
		if !d.remove {
			resync = append(resync, d.name+".t")
			continue
		}
		remove = append(remove, d.name+".t")
		mendTarget.WriteString(in(d.name, "DROP TABLE %s.t;"))
	}
	s.src(mendSource.String())
	s.dst(mendTarget.String())
	exclude := "tables: {exclude: [\"*.x\", \"schema_renamed_x.*\", " + strings.Join(remove[1:], ", ") + "]}\n"
	s.command(exclude, remove...).wants(s.t.(*testing.T), 0)
	s.command(exclude, resync...).wants(s.t.(*testing.T), 0)
	s.streaming()
	s.sameRows()
	if told := s.toldByStatus(); len(told) > 0 {
		s.t.Errorf("something is left: %v", told)
	}
}

// TestTargetRestoredFromADump: all tables have other OIDs, the stream's own too, and the rows that belong to its state.
func TestTargetRestoredFromADump(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)")
	s.src("INSERT INTO a VALUES (1, 'x')")
	s.catchUp()
	const again = "CREATE TABLE restored (LIKE %s INCLUDING ALL); INSERT INTO restored SELECT * FROM %s; DROP TABLE %s; ALTER TABLE restored RENAME TO %s;"
	s.dst(in("a", again) + in("b", again) + "SET search_path = pgibex_it;" + in("relation", again))
	if told := s.toldByStatus(); len(told) > 0 {
		t.Errorf("it is told %v", told)
	}
	s.src("INSERT INTO a VALUES (2, 'y')")
	s.catchUp()
	s.equal()
	s.dst(in("a", again)) // which is known by now
	if told := s.toldByStatus()["public.a"]; !strings.HasPrefix(told, "the table on the target is not the one that it was") {
		t.Errorf("it is told %q", told)
	}
}

// TestTableDroppedWhileTheSourceIsLookedAt: between the catalog and the triggers.
func TestTableDroppedWhileTheSourceIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
	s.catchUp()
	conn, err := pg.Server{Side: pg.Source, DSN: s.sourceDSN, Stream: "it"}.Connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	app := s.session()
	app.do("BEGIN", "LOCK TABLE pg_catalog.pg_trigger IN ACCESS EXCLUSIVE MODE")
	type look struct {
		seen capture.Seen
		err  error
	}
	done := make(chan look, 1)
	go func() {
		seen, err := capture.New("it").Look(t.Context(), conn)
		done <- look{seen, err}
	}()
	s.eventually("it has read the catalog and comes to the triggers", 20*time.Second, s.holds(s.sourceDSN,
		"EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'pg_catalog.pg_trigger'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"))
	app.do("DROP TABLE a", "COMMIT")
	l := <-done
	if l.err != nil || len(l.seen.Drift) > 0 {
		t.Errorf("it sees %v, %v", l.seen.Drift, l.err)
	}
	if told := s.toldByStatus()["public.a"]; !strings.HasPrefix(told, "the table was dropped on the source; ") {
		t.Errorf("afterwards it is told %q", told)
	}
}
