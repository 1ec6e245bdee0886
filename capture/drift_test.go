package capture

import (
	"testing"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
)

// What has become of a table is told with what mends it, whoever looks.
func TestDrift(t *testing.T) {
	c := New("it")
	column := func(number int16, name, kind string) catalog.Column {
		return catalog.Column{Number: number, Name: name, Type: kind, NotNull: true}
	}
	table := func(oid uint32, name string, columns ...catalog.Column) *catalog.Table {
		return &catalog.Table{
			OID: oid, Name: catalog.Name{Schema: "public", Relation: name}, Columns: columns,
			Uniques: []catalog.Unique{{Index: "a_pkey", Primary: true, Columns: []int16{1}, Equal: []string{"="}, Valid: true}},
		}
	}
	plain := table(7, "a", column(1, "id", "integer"), column(2, `v "x"`, "text"))
	was := Table{Number: 1, Name: plain.Name, OID: 7, Key: []string{"id"}, Signature: signature(plain)}
	stopped := was
	stopped.Stopped = "changes were recorded no more"
	all := map[string]bool{"pgibex_it_insert": true, "pgibex_it_update": true, "pgibex_it_delete": true, "pgibex_it_truncate": true}
	without := func(event string) map[string]bool {
		some := map[string]bool{}
		for name, always := range all {
			if name != "pgibex_it_"+event {
				some[name] = always
			}
		}
		return some
	}
	disabled := without("delete")
	disabled["pgibex_it_delete"] = false
	noKey := table(7, "a", plain.Columns...)
	noKey.Uniques = nil
	const resync = "pgibex resync public.a"
	for name, test := range map[string]struct {
		was          Table
		is, namesake *catalog.Table
		triggers     map[string]bool
		why, remedy  string
	}{
		"nothing":                      {was, plain, plain, all, "", ""},
		"dropped":                      {was, nil, nil, nil, "the table was dropped on the source", "take it out of tables.include, then: pgibex remove public.a"},
		"dropped and made again":       {was, nil, table(8, "a"), nil, "the table was dropped on the source, and another has its name", resync},
		"stopped":                      {stopped, plain, plain, all, "changes were recorded no more", "once the target can take the changes: pgibex resync public.a, or pgibex resync --all"},
		"a trigger dropped":            {was, plain, plain, without("update"), "trigger pgibex_it_update was dropped on the source: changes since then are not recorded", resync},
		"a trigger disabled":           {was, plain, plain, disabled, "trigger pgibex_it_delete is not ENABLE ALWAYS any more on the source: changes may have been missed", resync},
		"its key dropped":              {was, noKey, noKey, all, "the unique index on (id) was dropped on the source", "create it again, or go on without it; then: pgibex resync public.a"},
		"renamed, its triggers too":    {was, table(7, "b", plain.Columns...), nil, nil, "the table was renamed to public.b on the source", "rename it back, then: pgibex resync public.a; or write public.a into tables.exclude, then: pgibex remove public.a; rename and empty the target's table, then: pgibex add public.b"},
		"a column renamed":             {was, table(7, "a", column(1, "id", "integer"), column(2, "w", "text")), plain, all, `on the source column "v ""x""" text became "w" text`, `on the target: ALTER TABLE "public"."a" RENAME COLUMN "v ""x""" TO "w"; then: pgibex resync public.a`},
		"a column retyped":             {was, table(7, "a", column(1, "id", "integer"), column(2, `v "x"`, "character varying(9)")), plain, all, `on the source column "v ""x""" text became "v ""x""" character varying(9)`, `on the target: ALTER TABLE "public"."a" ALTER COLUMN "v ""x""" TYPE character varying(9); then: pgibex resync public.a`},
		"one dropped, another added":   {was, table(7, "a", column(1, "id", "integer"), column(3, "n", "numeric(10,2)")), plain, all, `on the source column "v ""x""" text was dropped, column "n" numeric(10,2) was added`, `on the target: ALTER TABLE "public"."a" DROP COLUMN "v ""x"""; ALTER TABLE "public"."a" ADD COLUMN "n" numeric(10,2); then: pgibex resync public.a`},
		"a column renamed and retyped": {was, table(7, "a", column(1, "id", "bigint"), column(2, "w", "integer")), plain, all, `on the source column "id" integer became "id" bigint, column "v ""x""" text became "w" integer`, `on the target: ALTER TABLE "public"."a" ALTER COLUMN "id" TYPE bigint; ALTER TABLE "public"."a" RENAME COLUMN "v ""x""" TO "w"; ALTER TABLE "public"."a" ALTER COLUMN "w" TYPE integer; then: pgibex resync public.a`},
	} {
		err := c.drifted(test.was, test.is, test.namesake, test.triggers)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != test.why || hint.Of(err) != test.remedy {
			t.Errorf("%s: %q, remedy %q;\nwant %q, %q", name, text, hint.Of(err), test.why, test.remedy)
		}
	}
}
