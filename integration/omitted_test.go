package integration

import (
	"strings"
	"testing"
)

// TestWhatIsNotCarriedIsSaid by each command: a table left out, a pattern that selects nothing, what no trigger can follow.
func TestWhatIsNotCarriedIsSaid(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE sessions (id int PRIMARY KEY); CREATE VIEW seen AS SELECT 1 AS x; CREATE SEQUENCE ticket")
	s.src("INSERT INTO orders VALUES (1); SELECT lo_create(0)")
	const typo = "tables: {exclude: [\"public.sesions\"]}\n"
	warned := []string{"tables.exclude: public.sesions matches no table of the source; did you mean public.sessions?", "1 large objects of the source are not replicated"}
	s.command(typo, "install", "--dry-run").wants(t, 0, append(warned, "-- tables.exclude: public.sesions")...)
	for _, c := range []string{"install", "catchup", "status", "verify"} {
		s.command(typo, c).wants(t, 0, warned...)
	}

	s.src("SELECT lo_create(0) FROM generate_series(1, 1001)")
	s.command("", "status").wants(t, 0, "more than 1000 large objects of the source are not replicated")

	s.src("CREATE TABLE fresh (id int PRIMARY KEY)")
	const why = "public.fresh is included by the configuration and not replicated"
	s.command("", "install", "--dry-run").wants(t, 0, "public.fresh: is missing on the target")
	s.command("", "catchup").wants(t, 1, why, "pgibex add public.fresh")
	s.command("", "status").wants(t, 1, "streaming, 1 not carried, ", why, "pgibex add public.fresh")
	s.command("", "verify").wants(t, 1, "public.fresh: not compared: ", "2 tables, 1 rows compared, 0 differ, 1 not compared")

	// A sequence is named like a table; a view cannot be followed.
	const views = "tables: {include: [public.orders, public.sessions, public.ticket, public.seen]}\n"
	const only = "tables.include: public.seen matches no table that can be replicated, only others, such as the view public.seen"
	s.command(views, "status").wants(t, 1, "streaming, 1 not carried, ", only)
	s.command(views, "catchup").wants(t, 1, only)
	r := s.command(views, "verify")
	r.wants(t, 1, "tables.include: public.seen: not compared: ", "1 not compared")
	if strings.Contains(r.out+r.log, "ticket") {
		t.Errorf("a sequence counts as misspelled:\n%s%s", r.out, r.log)
	}
	s.command("tables: {include: [\"public.ordres\"]}\n", "status").wants(t, 0, "did you mean public.orders?")
}

// TestTargetFromADumpWithTheCapture: a dump of the source that was made too late has our schema, and triggers that fire always.
func TestTargetFromADumpWithTheCapture(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text)")
	s.src("INSERT INTO a VALUES (1, 'x')")
	s.dst(s.command("", "install", "--dry-run").out)
	for _, c := range []string{"run", "catchup", "install", "status", "verify", "uninstall"} {
		args := []string{c}
		if c == "uninstall" {
			args = append(args, "--yes")
		}
		s.command("", args...).wants(t, 1, "is the source's capture with its triggers", `DROP SCHEMA "pgibex_it" CASCADE`)
	}
	s.dst(`DROP SCHEMA "pgibex_it" CASCADE`)
	s.command("", "catchup").wants(t, 0)
	s.equal()

	// Made again from a schema-only dump of itself.
	s.dst("DELETE FROM pgibex_it.stream")
	s.command("", "catchup").wants(t, 1, "no stream in them", `DROP SCHEMA "pgibex_it" CASCADE`, "pgibex uninstall --yes --force")
	s.dst(`DROP SCHEMA "pgibex_it" CASCADE; TRUNCATE a`)
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	s.command("", "catchup").wants(t, 0)
	s.equal()
}
