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
	ts := types{
		float8OID: {OID: float8OID, Name: "double precision"},
		600:       {OID: 600, Name: "point"},
		1022:      {OID: 1022, Name: "double precision[]", Element: float8OID},
		25:        {OID: 25, Name: "text"},
		9001:      {OID: 9001, Name: `"S".ratio`, Kind: "d", Base: float8OID},
		9002:      {OID: 9002, Name: `"S".pair`, Kind: "c", Fields: []string{"a b", "t"}, Types: []uint32{9001, 25}},
		9003:      {OID: 9003, Name: `"S".pair[]`, Element: 9002},
		9004:      {OID: 9004, Name: `"S".floats`, Kind: "r", Subtype: float8OID},
	}
	number := &side{
		Table: &catalog.Table{Name: catalog.Name{Schema: "S", Relation: `a "b"`}},
		key:   []catalog.Column{{Name: "Id", BaseType: "integer", Base: "integer"}}, equal: []string{"OPERATOR(pg_catalog.=)"},
		columns: []string{"Id", "f"}, values: []string{`t."Id"`, ts.exact(`t."f"`, float8OID)}, utf8: true,
	}
	text := &side{
		Table: &catalog.Table{Name: catalog.Name{Schema: "public", Relation: "t"}},
		key:   []catalog.Column{{Name: "c", BaseType: "public.citext", Base: "public.citext"}, {Name: "n", BaseType: "numeric", Base: "numeric(10,2)"}},
		equal: []string{"OPERATOR(public.=)", "OPERATOR(pg_catalog.=)"}, columns: []string{"c", "n"}, values: []string{`t."c"`, `t."n"`},
	}
	var b strings.Builder
	for _, s := range []struct{ name, sql string }{
		{"float", ts.exact("t.x", float8OID)},
		{"point", ts.exact("t.x", 600)},
		{"array of floats", ts.exact("t.x", 1022)},
		{"domain", ts.exact("t.x", 9001)},
		{"composite", ts.exact("t.x", 9002)},
		{"array of composites", ts.exact("t.x", 9003)},
		{"range", ts.exact("t.x", 9004)},
		{"text", ts.exact("t.x", 25)},
		{"sum", sumSQL(number, keyRange{-5, 5}, "OFFSET 0")},
		{"rows", rowsSQL(number, everything)},
		{"lookup by number", lookupSQL(number, number.hash())},
		{"lookup by two columns", lookupSQL(text, text.hash())},
		{"staged", stagedSQL(text)},
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
