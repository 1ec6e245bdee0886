package capture

import (
	"testing"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/golden"
)

// keyed is a table with a key of two columns, in another order than the table's, one of them of an extension's type.
var keyed = &catalog.Table{
	Name: catalog.Name{Schema: "public", Relation: `Order "Items"`},
	Columns: []catalog.Column{
		{Number: 1, Name: "Code", Type: "public.citext", Base: "public.citext", BaseType: "public.citext", Created: true, PlainText: true, NotNull: true},
		{Number: 2, Name: "note", Type: "character varying(10)", Base: "character varying(10)", BaseType: "character varying"},
		{Number: 4, Name: "line", Type: "integer", Base: "integer", BaseType: "integer", NotNull: true},
	},
	Key: &catalog.Unique{Primary: true, Columns: []int16{4, 1}, Equal: []string{"OPERATOR(pg_catalog.=)", "OPERATOR(public.=)"}, Valid: true},
}

var keyless = &catalog.Table{
	Name: catalog.Name{Schema: "public", Relation: "log"},
	Columns: []catalog.Column{
		{Number: 1, Name: "at", Type: "timestamp with time zone", Base: "timestamp with time zone", BaseType: "timestamp with time zone"},
		{Number: 3, Name: "what", Type: "text", Base: "text", BaseType: "text"},
		{Number: 4, Name: "where", Type: "public.cube", Base: "public.cube", BaseType: "public.cube", Created: true},
	},
}

func TestScript(t *testing.T) {
	c := New("main")
	for name, table := range map[string]*catalog.Table{"keyed": keyed, "keyless": keyless} {
		golden.Equal(t, name+".sql", c.Plan(7, table))
	}
	golden.Equal(t, "stream.sql", c.PlanStream())
}

func TestReadingSQL(t *testing.T) {
	since := change.Snapshot{Xmin: 10, Xmax: 15, Xip: []uint64{10, 12}}
	from := []string{`"pgibex_main".delta_7_1`, `"pgibex_main".delta_7_2`}
	golden.Equal(t, "read.sql", "-- keyed\n"+rowsSQL(keyed, from, unapplied(since))+
		"\n\n-- images\n"+imagesSQL(keyless, from, unapplied(since), -1)+
		"\n\n-- whole\n"+wholeSQL(keyless)+
		"\n\n-- whole, without a column\n"+wholeSQL(&catalog.Table{Name: keyless.Name})+"\n")
}

func TestStillThere(t *testing.T) {
	for _, test := range []struct {
		name        string
		before, now []writer
		still       []writer
		ended       bool
	}{
		{name: "nobody"},
		{name: "goes on and learns its txid", before: []writer{{"3/7", ""}}, now: []writer{{"3/7", "100"}, {"4/1", ""}}, still: []writer{{"3/7", "100"}}},
		{name: "ended", before: []writer{{"3/7", "100"}}, now: []writer{{"4/1", "101"}}, ended: true},
		{name: "prepared", before: []writer{{"3/7", "100"}}, now: []writer{{"-1/100", "100"}, {"-1/99", "99"}}, still: []writer{{"-1/100", "100"}}, ended: true},
		{name: "may be any prepared one", before: []writer{{"3/7", ""}}, now: []writer{{"-1/100", "100"}, {"-1/99", "99"}}, still: []writer{{"-1/100", "100"}, {"-1/99", "99"}}, ended: true},
		{name: "a prepared one ended", before: []writer{{"-1/100", "100"}}, now: []writer{{"-1/99", "99"}}, ended: true},
		{name: "with savepoints", before: []writer{{"3/7", "100"}, {"3/7", "101"}}, now: []writer{{"-1/100", "100"}, {"-1/100", "101"}}, still: []writer{{"-1/100", "100"}, {"-1/100", "101"}}, ended: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			still, ended := stillThere(test.before, test.now)
			if len(still) != len(test.still) || ended != test.ended {
				t.Fatalf("got %v, ended %v", still, ended)
			}
			for i := range still {
				if still[i] != test.still[i] {
					t.Errorf("got %v", still)
				}
			}
		})
	}
}

func TestColumnDrift(t *testing.T) {
	was := []string{`1 "id" integer`, `2 "a" text`, `4 "b" text`}
	for want, is := range map[string][]string{
		"": was,
		`on the source column "a" text was dropped`:                               {`1 "id" integer`, `4 "b" text`},
		`on the source column "c" text was added`:                                 {`1 "id" integer`, `2 "a" text`, `4 "b" text`, `5 "c" text`},
		`on the source column "a" text became "renamed" text`:                     {`1 "id" integer`, `2 "renamed" text`, `4 "b" text`},
		`on the source column "id" integer became "id" bigint`:                    {`1 "id" bigint`, `2 "a" text`, `4 "b" text`},
		`on the source column "b" text was dropped, column "b" integer was added`: {`1 "id" integer`, `2 "a" text`, `5 "b" integer`},
	} {
		if got, _ := columnDrift(catalog.Name{}, was, is); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
