package config

import (
	"slices"
	"testing"
	"time"
)

func TestPatternMatch(t *testing.T) {
	tests := []struct {
		pattern, schema, table string
		want                   bool
	}{
		{"public.*", "public", "orders", true},
		{"public.*", "Public", "orders", false},
		{"*.*", "a", "b", true},
		{"public.order_?", "public", "order_1", true},
		{"public.order_?", "public", "order_", false},
		{"public.order_?", "public", "order_12", false},
		{"public.?", "public", "ä", true},
		{"p*c.*_log", "public", "a_log_b_log", true},
		{"p*c.*_log", "public", "a_log_b", false},
		{"public.Orders", "public", "orders", false},
		{`public."a.b"`, "public", "a.b", true},
		{`public."a*b"`, "public", "axb", false},
		{`public."a*b"`, "public", "a*b", true},
		{`public."a""b"`, "public", `a"b`, true},
		{`"My Schema".*`, "My Schema", "x", true},
		{`public."a.b"*`, "public", "a.bc", true},
		{"public.a b", "public", "a b", true},
		{"public.*a*a*a*a*a*a*b", "public", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got := p.Match(tt.schema, tt.table); got != tt.want {
			t.Errorf("%s on %s.%s: %v", tt.pattern, tt.schema, tt.table, got)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for text, want := range map[string]string{
		"orders":      `pattern "orders" has no schema: write public.orders`,
		`"a.b"`:       `pattern "\"a.b\"" has no schema: write public."a.b"`,
		"":            `pattern "" is empty: write schema.table`,
		"a.b.c":       `pattern "a.b.c" has more than one dot: write a name with a dot in double quotes`,
		".b":          `pattern ".b" has no schema before the dot: write schema.table`,
		"a.":          `pattern "a." has no table after the dot: write schema.table, or schema.* for all of them`,
		`a."b`:        `pattern "a.\"b" has a double quote that is not closed`,
		"my_password": `pattern this value has no schema: write public.NAME`,
	} {
		if _, err := ParsePattern(text); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestTablesSelectAndUnmatched(t *testing.T) {
	tables := Tables{Include: []string{"public.*", "shop.x?", "sohp.*"}, Exclude: []string{"*.sessions"}}
	for _, tt := range []struct {
		name TableName
		want bool
	}{
		{TableName{"public", "a"}, true},
		{TableName{"public", "sessions"}, false},
		{TableName{"shop", "x1"}, true},
		{TableName{"shop", "y1"}, false},
	} {
		if got := tables.Selects(tt.name.Schema, tt.name.Table); got != tt.want {
			t.Errorf("%v: %v", tt.name, got)
		}
	}
	if !(Tables{}).Selects("any", "table") || (Tables{Exclude: []string{"*.*"}}).Selects("any", "table") {
		t.Error("no include must mean every table, less the excluded")
	}
	got := Unmatched(tables.Include, []TableName{{"public", "sessions"}, {"shop", "x1"}})
	if want := []string{"sohp.*"}; !slices.Equal(got, want) {
		t.Errorf("unmatched %v, want %v", got, want)
	}
}

func TestNearestTables(t *testing.T) {
	tables := []TableName{{"public", "sessions"}, {"public", "Orders"}, {"shop", "x1"}, {"shop", "x2"}, {"shop", "orders"}}
	for pattern, want := range map[string][]string{
		"sohp.*":         {"shop.*"},
		"public.session": {"public.sessions"},
		"public.orders":  {"public.Orders"},
		"pubic.sesions":  {"public.sessions"},
		"shop.x":         {"shop.x1", "shop.x2"},
		"*.sesions":      {"*.sessions"},
		"other.thing":    nil,
		"sessions":       nil,
	} {
		if got := Nearest(pattern, tables); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", pattern, got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"128MB": 128 << 20, "64kB": 64 << 10, "1GB": 1 << 30, "2TB": 2 << 40, "512": 512, "512B": 512, " 16 MB ": 16 << 20,
		"0": 0, "-1kB": -1024, "9223372036854775807": 1<<63 - 1,
	} {
		got, err := ParseBytes(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if again, err := ParseBytes(got.String()); err != nil || again != got {
			t.Errorf("%s prints as %s, which reads as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MB", "1.5GB", "128mb", "128KB", "128MiB", "9000000000000GB", "9223372036854775808"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%s: %d", text, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"200ms": 200 * time.Millisecond, "15s": 15 * time.Second, "1min": time.Minute, "1 min": time.Minute,
		"1m30s": 90 * time.Second, "1h": time.Hour, "1.5s": 1500 * time.Millisecond, "50us": 50 * time.Microsecond,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
		if again, err := ParseDuration(formatDuration(got)); err != nil || again != got {
			t.Errorf("%s prints as %s, which reads as %s, %v", text, formatDuration(got), again, err)
		}
	}
	for _, text := range []string{"", "15", "s", "15 seconds", "1day"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%s: %s", text, got)
		}
	}
}
