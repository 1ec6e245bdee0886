package catalog

import (
	"strings"
	"testing"
)

func TestCompareTypes(t *testing.T) {
	for _, test := range []struct {
		source, target string
		want           fit
	}{
		{"integer", "integer", fits},
		{"integer", "bigint", fits},
		{"bigint", "integer", incompatible},
		{"integer", "uuid", incompatible},
		{"character varying(10)", "character varying(20)", fits},
		{"character varying(20)", "character varying(10)", narrower},
		{"character varying", "character varying(10)", narrower},
		{"character varying(10)", "text", fits},
		{"text", "character varying(10)", narrower},
		{"numeric(10,2)", "numeric", fits},
		{"numeric(10,2)", "numeric(10,1)", incompatible},
		{"numeric", "numeric(10,1)", incompatible},
		{"timestamp(3) with time zone", "timestamp with time zone", fits},
		{"timestamp with time zone", "timestamp(3) with time zone", incompatible},
		{"timestamp without time zone", "timestamp with time zone", incompatible},
		{"json", "jsonb", fits},
		{"public.hstore", "extensions.hstore", fits},
		{"public.mood", "public.color", incompatible},
		{"integer[]", "bigint[]", incompatible},
		{"abstime", "timestamp with time zone", fits},
	} {
		if got := compare(Column{Type: test.source, Base: test.source}, Column{Type: test.target, Base: test.target}); got != test.want {
			t.Errorf("%s into %s: %v, want %v", test.source, test.target, got, test.want)
		}
	}
}

func TestFitNamesWhatIsWrong(t *testing.T) {
	source := &Table{Name: Name{"public", "t"}, Kind: Ordinary, Columns: []Column{{Number: 1, Name: "id", Type: "integer", Base: "integer"}, {Number: 2, Name: "v", Type: "text", Base: "text"}}}
	for want, target := range map[string]*Table{
		"only ordinary tables":   {Kind: Partitioned},
		`ADD COLUMN "v" text`:    {Kind: Ordinary, Columns: source.Columns[:1]},
		"is text on the source":  {Kind: Ordinary, Columns: []Column{source.Columns[0], {Name: "v", Type: "uuid", Base: "uuid"}}},
		"column x of the target": {Kind: Ordinary, Columns: append([]Column{{Number: 3, Name: "x", NotNull: true}}, source.Columns...)},
	} {
		problems, _ := Fit(source, target)
		if len(problems) != 1 || !strings.Contains(problems[0], want) || !strings.HasPrefix(problems[0], "public.t: ") {
			t.Errorf("%q is not in %q", want, problems)
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
