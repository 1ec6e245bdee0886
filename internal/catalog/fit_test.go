package catalog

import (
	"strings"
	"testing"
)

// builtIn is a built-in type; modifier is 0 for none, else the length, precision or numeric(p,s) as catalogs have it.
func builtIn(name string, modifier ...int32) *Type {
	t := &Type{Schema: "pg_catalog", Name: name, SQL: name, Kind: "b", Modifier: -1}
	if len(modifier) > 0 {
		t.Modifier = modifier[0]
	}
	return t
}

func chars(n int32) int32     { return n + 4 }
func digits(p, s int32) int32 { return p<<16 | s + 4 }

func own(schema, name, kind string, change func(*Type)) *Type {
	t := &Type{Schema: schema, Name: name, SQL: schema + "." + name, Kind: kind, Modifier: -1}
	if change != nil {
		change(t)
	}
	return t
}

func array(element *Type) *Type {
	return own("pg_catalog", "_", "b", func(t *Type) { t.Element = element })
}

func domain(name string, over *Type, checked bool) *Type {
	return own("public", name, "d", func(t *Type) { t.Domain, t.Checked = over, checked })
}

func enum(name string, labels ...string) *Type {
	return own("public", name, "e", func(t *Type) { t.Labels = labels })
}

func composite(name string, fields ...Field) *Type {
	return own("public", name, "c", func(t *Type) { t.Fields = fields })
}

var (
	integer, bigint, text = builtIn("integer"), builtIn("bigint"), builtIn("text")
	citext                = own("extensions", "citext", "b", nil)
)

func TestCompareTypes(t *testing.T) {
	money := builtIn("money")
	for i, test := range []struct {
		source, target *Type
		want           fit
	}{
		{integer, integer, fits},
		{integer, bigint, fits},
		{bigint, integer, incompatible},
		{integer, money, incompatible},
		{builtIn("character varying", chars(10)), builtIn("character varying", chars(20)), fits},
		{builtIn("character varying", chars(20)), builtIn("character varying", chars(10)), narrower},
		{builtIn("character", chars(20)), builtIn("character varying", chars(10)), incompatible},
		{builtIn("character", chars(20)), builtIn("character", chars(10)), narrower},
		{builtIn("name"), builtIn("character varying", chars(63)), fits},
		{builtIn("character varying", chars(10)), text, fits},
		{text, builtIn("character varying", chars(10)), narrower},
		{builtIn("numeric", digits(10, 2)), builtIn("numeric"), fits},
		{builtIn("numeric", digits(10, 2)), builtIn("numeric", digits(12, 2)), fits},
		{builtIn("numeric", digits(10, 2)), builtIn("numeric", digits(12, 4)), fits},
		{builtIn("numeric", digits(10, 2)), builtIn("numeric", digits(10, 4)), narrower},
		{builtIn("numeric", digits(10, 2)), builtIn("numeric", digits(12, 1)), incompatible},
		{builtIn("numeric"), builtIn("numeric", digits(10, 1)), incompatible},
		{integer, builtIn("numeric", digits(10, 0)), fits},
		{bigint, builtIn("numeric", digits(20, 2)), narrower},
		{builtIn("timestamp with time zone", 3), builtIn("timestamp with time zone"), fits},
		{builtIn("timestamp with time zone", 0), builtIn("timestamp with time zone", 3), fits},
		{builtIn("timestamp with time zone"), builtIn("timestamp with time zone", 6), fits},
		{builtIn("timestamp with time zone"), builtIn("timestamp with time zone", 3), incompatible},
		{builtIn("timestamp without time zone"), builtIn("timestamp with time zone"), incompatible},
		{builtIn("json"), builtIn("jsonb"), narrower},
		{builtIn("unknown"), text, fits},
		{own("public", "hstore", "b", nil), own("extensions", "hstore", "b", nil), fits},
		{own("public", "text", "b", nil), text, incompatible},
		{enum("mood", "sad"), enum("mood", "ok", "sad"), fits},
		{enum("mood", "sad", "ok"), enum("mood", "ok"), narrower},
		{enum("mood", "sad"), enum("color", "red"), incompatible},
		{array(integer), array(bigint), fits},
		{array(bigint), array(integer), incompatible},
		{array(integer), integer, incompatible},
		{domain("d", integer, true), bigint, fits},
		{bigint, domain("d", bigint, false), fits},
		{bigint, domain("d", bigint, true), narrower},
		{domain("d", integer, true), domain("d", bigint, true), fits},
		{domain("over", domain("d", integer, true), true), domain("d", bigint, true), fits},
		{composite("c", Field{"a", integer, ""}), composite("c", Field{"a", bigint, ""}), fits},
		{composite("c", Field{"a", integer, ""}), composite("c", Field{"b", integer, ""}), incompatible},
		{builtIn("abstime"), builtIn("timestamp with time zone"), narrower},
		{nil, integer, incompatible},
	} {
		if got := compare(test.source, test.target); got.fit != test.want {
			t.Errorf("%d: %+v into %+v: %v, want %v", i, test.source, test.target, got, test.want)
		}
	}
}

// interval's modifiers as 9.2 and 14 make them.
func TestIntervals(t *testing.T) {
	const (
		year, yearToMonth, day = 4<<16 | 0xffff, 6<<16 | 0xffff, 8<<16 | 0xffff
		hourToSecond3          = (1<<10|1<<11|1<<12)<<16 | 3
		of3                    = 0x7fff<<16 | 3
	)
	for _, test := range []struct {
		source, target int32
		want           bool
	}{
		{-1, -1, true},
		{of3, -1, true},
		{-1, of3, false},
		{year, yearToMonth, true},
		{yearToMonth, year, false},
		{yearToMonth, day, true},
		{day, of3, true},
		{hourToSecond3, of3, true},
		{-1, hourToSecond3, false},
		{of3, hourToSecond3, true},
		{-1, 0x7fff<<16 | 6, true},
	} {
		if got := intervalHolds(test.source, test.target); got != test.want {
			t.Errorf("%x into %x: %v", test.source, test.target, got)
		}
	}
}

func TestFitNamesWhatIsWrong(t *testing.T) {
	column := func(number int16, name string, of *Type) Column {
		return Column{Number: number, Name: name, Type: of.SQL, Base: of.SQL, Of: of}
	}
	id, v := column(1, "id", integer), column(2, "v", text)
	source := &Table{Name: Name{"public", "t"}, Kind: Ordinary, Columns: []Column{id, v}}
	for want, target := range map[string]*Table{
		"only ordinary tables":            {Kind: Partitioned},
		`ADD COLUMN "v" text`:             {Kind: Ordinary, Columns: source.Columns[:1]},
		"is text on the source":           {Kind: Ordinary, Columns: []Column{id, column(2, "v", builtIn("uuid"))}},
		"it integer, bigint or numeric":   {Kind: Ordinary, Columns: []Column{column(1, "id", builtIn("uuid")), v}},
		"it text, character varying or c": {Kind: Ordinary, Columns: []Column{id, column(2, "v", builtIn("uuid"))}},
		"column x of the target":          {Kind: Ordinary, Columns: append([]Column{{Number: 3, Name: "x", NotNull: true}}, source.Columns...)},
	} {
		problems, _ := Fit(source, target)
		if len(problems) != 1 || !strings.Contains(problems[0], want) || !strings.HasPrefix(problems[0], "public.t: ") {
			t.Errorf("%q is not in %q", want, problems)
		}
	}
}

// Two values of a source's key are never one on the target, and no value becomes two.
func TestValuesAreTheSameOnBothSides(t *testing.T) {
	bpchar, short := builtIn("character"), builtIn("character varying", chars(3))
	for i, test := range []struct {
		source, target *Type
		loose, class   string
		free, key      bool // refused in an index that is not the key; as the key
	}{
		{source: text, target: text},
		{source: text, target: text, loose: "ci", free: true, key: true},
		{source: text, target: citext, free: true, key: true},
		{source: text, target: citext, class: "text"},
		{source: text, target: text, class: "character", free: true, key: true},
		{source: citext, target: citext},
		{source: citext, target: text, key: true},
		{source: array(text), target: array(citext), free: true, key: true},
		{source: text, target: domain("d", citext, false), free: true, key: true},
		{source: composite("c", Field{"a", text, ""}), target: composite("c", Field{"a", citext, ""}), free: true, key: true},
		{source: composite("c", Field{"a", text, ""}), target: composite("c", Field{"a", text, "ci"}), free: true, key: true},
		{source: text, target: short, free: true, key: true},
		{source: builtIn("character", chars(5)), target: builtIn("character", chars(3))},
		{source: builtIn("character", chars(5)), target: text},
		{source: bpchar, target: text, key: true},
		{source: integer, target: builtIn("numeric", digits(12, 2))},
		{source: array(integer), target: array(builtIn("numeric", digits(12, 2))), key: true},
		{source: integer, target: bigint},
		{source: builtIn("json"), target: builtIn("jsonb"), free: true, key: true},
	} {
		for _, key := range []bool{false, true} {
			s := Column{Number: 1, Name: "k", NotNull: true, Of: test.source}
			d := Column{Number: 1, Name: "k", NotNull: true, Of: test.target}
			u := Unique{Index: "i", Columns: []int16{1}, Equal: []string{"="}, Valid: true, Compares: []string{test.class}, Loose: []string{test.loose}}
			source := &Table{Columns: []Column{s}, Uniques: []Unique{{Index: "i", Columns: []int16{1}, Equal: []string{"="}, Valid: true}}}
			if key {
				source.chooseKey()
			}
			want := test.free
			if key {
				want = test.key
			}
			if got := confused(source, &Table{Columns: []Column{d}, Uniques: []Unique{u}}); (len(got) > 0) != want {
				t.Errorf("%d, key %v: %q", i, key, got)
			}
		}
	}
}

func TestChooseKey(t *testing.T) {
	id := Column{Number: 1, Name: "id", NotNull: true}
	a, b := Column{Number: 2, Name: "a", NotNull: true}, Column{Number: 3, Name: "b", NotNull: true}
	null := Column{Number: 4, Name: "n"}
	columns := []Column{id, a, b, null}
	unique := func(name string, columns ...int16) Unique {
		return Unique{Index: name, Columns: columns, Equal: make([]string, len(columns)), Valid: true}
	}
	deferrable, partial, expression, invalid, primary := unique("deferrable", 1), unique("partial", 1), unique("expression", 0), unique("invalid", 1), unique("primary", 2, 3)
	deferrable.Deferrable, partial.Partial, expression.Expression, invalid.Valid, primary.Primary = true, true, true, false, true
	for _, test := range []struct {
		uniques []Unique
		want    string
	}{
		{[]Unique{primary, unique("shorter", 1)}, "primary"},
		{[]Unique{unique("two", 2, 3), unique("one", 1)}, "one"},
		{[]Unique{unique("nullable", 4), deferrable, partial, expression, invalid}, ""},
	} {
		table := &Table{Columns: columns, Uniques: test.uniques}
		table.chooseKey()
		got := ""
		if table.Key != nil {
			got = table.Key.Index
		}
		if got != test.want {
			t.Errorf("%v: chose %q", test.uniques, got)
		}
		if test.want == "" && strings.Count(table.WhyKeyless(), "unique index") != 5 {
			t.Errorf("why: %s", table.WhyKeyless())
		}
	}
}

func TestDeferrableOn(t *testing.T) {
	column := func(number int16, name string) Column { return Column{Number: number, Name: name} }
	index := func(columns ...int16) Unique { return Unique{Columns: columns, Valid: true, Deferrable: true} }
	partial, expression, invalid, immediate := index(1, 2), index(0, 2), index(1, 2), index(1, 2)
	partial.Partial, expression.Expression, invalid.Valid, immediate.Deferrable = true, true, false, false
	for name, test := range map[string]struct {
		unique Unique
		want   bool
	}{
		"the same columns":    {index(1, 2), true},
		"in another order":    {index(2, 1), true},
		"more columns":        {index(1, 2, 3), false},
		"fewer columns":       {index(1), false},
		"partial":             {partial, false},
		"on an expression":    {expression, false},
		"not valid":           {invalid, false},
		"checked immediately": {immediate, false},
	} {
		table := &Table{Columns: []Column{column(1, "a"), column(2, "b"), column(3, "c")}, Uniques: []Unique{immediate, test.unique}}
		if got := table.DeferrableOn([]string{"a", "b"}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
