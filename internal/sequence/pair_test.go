package sequence

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
)

func free(name string) *Sequence {
	return &Sequence{
		Name: catalog.Name{Schema: "public", Relation: name}, Value: Value{5, true}, role: "pgibex", visible: true, readable: true, settable: true,
		Properties: Properties{Type: "bigint", Increment: 1, Min: 1, Max: math.MaxInt64, Start: 1, CacheSize: 1},
	}
}

func owned(name, table, column string) *Sequence {
	s := free(name)
	s.Owner, s.Column, s.ColumnType = catalog.Name{Schema: "public", Relation: table}, column, "integer"
	return s
}

func TestMatch(t *testing.T) {
	t.Parallel()
	source := []*Sequence{
		free("alone"), free("missing"), owned("a_id_seq", "a", "id"), owned("b_id_seq", "b", "id"), owned("two_1", "two", "id"), owned("two_2", "two", "id"),
		owned("c_id_seq", "c", "id"),
	}
	target := []*Sequence{free("alone"), owned("a_id_seq1", "a", "id"), free("a_id_seq"), free("b_id_seq"), owned("two_2", "two", "id"), owned("two_1", "two", "id"), owned("c_id_seq", "z", "id")}
	want := map[string]string{
		"alone": "alone", "missing": "", "a_id_seq": "a_id_seq1", "b_id_seq": "b_id_seq", "two_1": "two_1", "two_2": "two_2", "c_id_seq": "c_id_seq",
	}
	for _, p := range match(source, target) {
		got := ""
		if p.Target != nil {
			got = p.Target.Relation
		}
		if got != want[p.Source.Relation] {
			t.Errorf("%s belongs to %q, expected %q", p.Source.Relation, got, want[p.Source.Relation])
		}
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change       func(p *Pair)
		says, remedy string
	}{
		"none":      {func(*Pair) {}, "", ""},
		"missing":   {func(p *Pair) { p.Target = nil }, "is missing on the target", `CREATE SEQUENCE "public"."s"`},
		"no schema": {func(p *Pair) { p.Target, p.noSchema = nil, true }, "is missing on the target, and so is its schema", `CREATE SCHEMA "public"; CREATE SEQUENCE "public"."s"`},
		"a view":    {func(p *Pair) { p.Target, p.taken = nil, catalog.View }, "is missing on the target, where a view has its name", "rename or drop"},
		"with properties": {
			func(p *Pair) {
				p.Target, p.Source.Properties = nil, Properties{Type: "bigint", Increment: -5, Min: -1000, Max: 100, Start: 100, CacheSize: 7, Cycle: true}
			},
			"is missing", `CREATE SEQUENCE "public"."s" INCREMENT -5 MINVALUE -1000 MAXVALUE 100 START 100 CACHE 7 CYCLE`,
		},
		"downward, from 9.2": {
			func(p *Pair) {
				p.Target, p.Source.Properties = nil, Properties{Type: "bigint", Increment: -1, Min: -math.MaxInt64, Max: -1, Start: -1, CacheSize: 1}
			},
			"is missing", `CREATE SEQUENCE "public"."s" INCREMENT -1`,
		},
		"not to be read": {func(p *Pair) { p.Source.readable = false }, "may not be read on the source by role pgibex", `GRANT SELECT ON SEQUENCE "public"."s" TO "pgibex"`},
		"not to be set":  {func(p *Pair) { p.Target.settable = false }, "may not be set on the target by role pgibex", `GRANT UPDATE ON SEQUENCE "public"."s" TO "pgibex"`},
		"hidden":         {func(p *Pair) { p.Target.visible = false }, "is in a schema of the target that role pgibex may not use", `GRANT USAGE ON SCHEMA "public" TO "pgibex"`},
		"locked":         {func(p *Pair) { p.Source.lockedBy = "pid 7" }, "is locked on the source by pid 7", "end that transaction"},
		"broken":         {func(p *Pair) { p.Source.failure = errors.New("bad block") }, "cannot be read on the source: bad block", "mend the cause"},
		"beyond":         {func(p *Pair) { p.Target.Max = 4 }, "stands at 5 on the source, beyond its MAXVALUE 4", `ALTER SEQUENCE "public"."s" MAXVALUE 9223372036854775807`},
		"below": {
			func(p *Pair) { p.Source.Value.Last, p.Source.Min = -9, -10 },
			"stands at -9 on the source, below its MINVALUE 1", `ALTER SEQUENCE "public"."s" MINVALUE -10`,
		},
		"narrower": {
			func(p *Pair) { p.Source.Value.Last, p.Target.Type, p.Target.Max = 1<<40, "integer", math.MaxInt32 },
			"beyond its MAXVALUE 2147483647", `ALTER SEQUENCE "public"."s" AS bigint MAXVALUE 9223372036854775807`,
		},
	} {
		p := &Pair{Source: free("s"), Target: free("s")}
		test.change(p)
		switch err := p.Problem(); {
		case test.says == "" && err == nil:
		case test.says == "" || err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(hint.Of(err), test.remedy):
			t.Errorf("%s: %v (%s)", name, err, hint.Of(err))
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(p *Pair)
		want   string
	}{
		"the same":          {func(*Pair) {}, ""},
		"wider":             {func(p *Pair) { p.Source.Max = 1000 }, ""},
		"serial, as int":    {func(p *Pair) { p.Target.ColumnType, p.Target.Type, p.Target.Max = "integer", "integer", math.MaxInt32 }, ""},
		"bigserial, as int": {func(p *Pair) { p.Target.ColumnType, p.Target.Type, p.Target.Max = "bigint", "integer", math.MaxInt32 }, "AS bigint MAXVALUE"},
		"ends sooner":       {func(p *Pair) { p.Target.Max = 1000 }, "ends sooner on the target (bigint from 1 to 1000)"},
		"another step":      {func(p *Pair) { p.Target.Increment = 2 }, "INCREMENT 1"},
		"no cycle":          {func(p *Pair) { p.Source.Cycle = true }, "is CYCLE on the source"},
		"a cycle":           {func(p *Pair) { p.Target.Cycle = true }, "is NO CYCLE on the source"},
		"another name":      {func(p *Pair) { p.Target.Relation = "other" }, "is public.other on the target, of the same column"},
	} {
		p := &Pair{Source: free("s"), Target: free("s")}
		test.change(p)
		notes := p.Notes()
		if test.want == "" && len(notes) > 0 || test.want != "" && !slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, test.want) }) {
			t.Errorf("%s: %q", name, notes)
		}
	}
}
