package verify

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The statements that are put together here, as they are sent.
func TestStatements(t *testing.T) {
	double := &catalog.Type{OID: float8OID, SQL: "double precision"}
	text25 := &catalog.Type{OID: 25, SQL: "text"}
	ratio := &catalog.Type{OID: 9001, SQL: `"S".ratio`, Kind: "d", Domain: double}
	pair := &catalog.Type{OID: 9002, SQL: `"S".pair`, Kind: "c", Fields: []catalog.Field{{Name: "a b", Type: ratio}, {Name: "t", Type: text25}}}
	number := &side{
		Table: &catalog.Table{Name: catalog.Name{Schema: "S", Relation: `a "b"`}},
		key:   []catalog.Column{{Name: "Id", Type: "integer", BaseType: "integer", Base: "integer"}}, equal: []string{"OPERATOR(pg_catalog.=)"},
		columns: []string{"Id", "f"}, values: []string{`t."Id"`, exact(`t."f"`, double)}, utf8: true,
	}
	text := &side{
		Table: &catalog.Table{Name: catalog.Name{Schema: "public", Relation: "t"}},
		key:   []catalog.Column{{Name: "c", Type: "public.citext", BaseType: "public.citext", Base: "public.citext"}, {Name: "n", Type: "numeric(10,2)", BaseType: "numeric", Base: "numeric(10,2)"}},
		equal: []string{"OPERATOR(public.=)", "OPERATOR(pg_catalog.=)"}, columns: []string{"c", "n"}, values: []string{`t."c"`, `t."n"`},
	}
	var b strings.Builder
	for _, s := range []struct{ name, sql string }{
		{"float", exact("t.x", double)},
		{"point", exact("t.x", &catalog.Type{OID: 600, SQL: "point"})},
		{"array of floats", exact("t.x", &catalog.Type{OID: 1022, Element: double})},
		{"domain", exact("t.x", ratio)},
		{"composite", exact("t.x", pair)},
		{"array of composites", exact("t.x", &catalog.Type{OID: 9003, Element: pair})},
		{"range", exact("t.x", &catalog.Type{OID: 9004, Kind: "r", Subtype: double})},
		{"text", exact("t.x", text25)},
		{"sum", sumSQL(number, keyRange{-5, 5}, "OFFSET 0")},
		{"rows", rowsSQL(number, everything)},
		{"lookup by number", lookupSQL(number, number.hash())},
		{"lookup by two columns", lookupSQL(text, text.hash())},
		{"staged", stagedSQL(text, text)},
		{"blocks before 14", pg.InBlocks(90221, "t.ctid", 0, 128)},
		{"blocks", pg.InBlocks(140000, "t.ctid", 128, 256)},
	} {
		b.WriteString("-- " + s.name + "\n" + s.sql + "\n\n")
	}
	golden := filepath.Join("testdata", "statements.sql")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestStripesCoverEveryKeyOnce(t *testing.T) {
	for _, r := range []keyRange{{1, 100}, {-7, 7}, {math.MinInt64, math.MaxInt64}, {0, 1}, {5, 5}, {math.MaxInt64 - 10, math.MaxInt64}} {
		for _, n := range []int64{2, 3, 7} {
			stripes := cut(r, n)
			require.Equal(t, int64(math.MinInt64), stripes[0].from)
			require.Equal(t, int64(math.MaxInt64), stripes[len(stripes)-1].to)
			for i := 1; i < len(stripes); i++ {
				require.Equal(t, stripes[i-1].to+1, stripes[i].from, "%v cut in %d", r, n)
				require.LessOrEqual(t, stripes[i].from, stripes[i].to)
			}
		}
	}
}

func TestChunkSizes(t *testing.T) {
	require.Equal(t, int64(2000), startAt(firstChunk, 0, 8192))
	require.Equal(t, int64(64), startAt(firstChunk, 1000, 1000<<20))
	require.Equal(t, int64(1), startAt(firstChunk, 0, 1<<40))
	require.Equal(t, int64(200), adapt(100, time.Millisecond))
	require.Equal(t, int64(100), adapt(100, 2*time.Second))
	require.Equal(t, int64(1), adapt(1, time.Minute))
}
