package snapshot

import (
	"testing"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/golden"
)

// Every value of a range falls into exactly one chunk, and values beyond a key's range too.
func TestDivide(t *testing.T) {
	for _, test := range []struct {
		kind              string
		low, high, wanted int64
	}{
		{keyRange, 1, 1001, 7},
		{keyRange, -50, 50, 3},
		{keyRange, 5, 6, 4},
		{blockRange, 0, 1000, 13},
		{blockRange, 0, 3, 10},
		{blockRange, 0, 1, 1},
	} {
		chunks := divide(test.kind, test.low, test.high, test.wanted)
		first, last := test.low, test.high-1
		if test.kind == keyRange {
			first, last = test.low-5, test.high+5
		}
		for value := first; value <= last; value++ {
			n := 0
			for _, c := range chunks {
				if (c.Low == nil || *c.Low <= value) && (c.High == nil || value < *c.High) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%+v: %d is in %d chunks", test, value, n)
			}
		}
		if int64(len(chunks)) > 2*test.wanted {
			t.Errorf("%+v: %d chunks", test, len(chunks))
		}
	}
}

func TestQuery(t *testing.T) {
	table := Table{Source: &catalog.Table{
		Name:    catalog.Name{Schema: "public", Relation: "t"},
		Columns: []catalog.Column{{Number: 1, Name: "v"}, {Number: 2, Name: "id", NotNull: true}, {Number: 3, Name: "computed", Generated: true}},
		Key:     &catalog.Unique{Columns: []int16{2}},
	}}
	low, high := int64(8), int64(16)
	golden.Equal(t, "query.sql",
		"-- whole\n"+table.query(Chunk{Kind: wholeTable}, 90200)+
			"\n\n-- keys\n"+table.query(Chunk{Kind: keyRange, Low: &low, High: &high}, 90200)+
			"\n\n-- last keys\n"+table.query(Chunk{Kind: keyRange, Low: &low}, 90200)+
			"\n\n-- blocks of 9.2\n"+table.query(Chunk{Kind: blockRange, Low: &low, High: &high}, 90200)+
			"\n\n-- blocks of 14\n"+table.query(Chunk{Kind: blockRange, Low: &low, High: &high}, 140000)+"\n")
}
