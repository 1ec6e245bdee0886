package integration

import (
	"strings"
	"testing"
	"time"
)

// An index of the target that cannot be built after the copy keeps neither its table nor any other from streaming. It is named, and is
// there once its cause is mended, or it is built by hand, or it is forgotten with its table.
func TestIndexThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE mended (id int PRIMARY KEY, v text); CREATE TABLE byhand (id int PRIMARY KEY, v text); CREATE TABLE unwanted (id int PRIMARY KEY, v text)")
	const function = "CREATE OR REPLACE FUNCTION folded(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN %s RETURN lower(v); END$$;"
	const refuses = "IF current_setting('application_name') LIKE 'pgibex/%' THEN RAISE EXCEPTION 'folded has no dictionary'; END IF;"
	s.dst(strings.Replace(function, "%s", refuses, 1) + `CREATE INDEX mended_folded ON mended (folded(v)); CREATE INDEX mended_v ON mended (v);
		CREATE INDEX byhand_folded ON byhand (folded(v)); CREATE INDEX unwanted_folded ON unwanted (folded(v))`)
	s.src("INSERT INTO mended SELECT g, 'V' || g FROM generate_series(1, 1000) g; INSERT INTO byhand SELECT * FROM mended; INSERT INTO unwanted SELECT * FROM mended")
	d := s.daemon("")
	s.streaming()
	s.src("UPDATE mended SET v = 'after' WHERE id = 1; UPDATE byhand SET v = 'after' WHERE id = 1")
	s.streaming()
	s.sameRows()
	s.command("", "status").wants(t, 1, "3 indexes failed", "folded has no dictionary", "mend the cause, then: CREATE INDEX byhand_folded ON public.byhand")
	indexes := func() string {
		return one[string](s, s.targetDSN, "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'")
	}
	if got := indexes(); got != "byhand_pkey mended_pkey mended_v unwanted_pkey" {
		t.Errorf("the target's indexes are %s", got)
	}

	s.dst(strings.Replace(function, "%s", "", 1) + "CREATE INDEX byhand_folded ON byhand (folded(v))")
	s.command("", "status").wants(t, 1, "2 indexes failed")
	heap := one[int](s, s.targetDSN, "SELECT pg_relation_filenode('mended')::int")
	s.command("", "resync", "public.mended").wants(t, 0)
	s.eventually("the index is built", 30*time.Second, func() bool { return strings.Contains(indexes(), "mended_folded") })
	s.resynced("public.mended")
	if one[int](s, s.targetDSN, "SELECT pg_relation_filenode('mended')::int") != heap {
		t.Error("the table was emptied for its index")
	}
	s.command("", "status").wants(t, 1, "1 index failed", "unwanted_folded")
	d.terminate()
	s.equal()
	s.dst(strings.Replace(function, "%s", refuses, 1))
	s.command("tables: {exclude: [public.unwanted]}", "remove", "public.unwanted").wants(t, 0, "build it if it is needed", "CREATE INDEX unwanted_folded")
	s.command("tables: {exclude: [public.unwanted]}", "status").wants(t, 0)
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM pgibex_it.definition WHERE name <> 'byhand_folded'"); n != 0 {
		t.Errorf("%d definitions are left", n)
	}
	s.command("", "uninstall", "--yes", "--force").wants(t, 0)
	if got := indexes(); got != "byhand_folded byhand_pkey mended_folded mended_pkey mended_v unwanted_pkey" {
		t.Errorf("the target's indexes are %s", got)
	}
}
