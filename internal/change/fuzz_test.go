package change

import (
	"reflect"
	"slices"
	"testing"
)

// FuzzParseSnapshot: what is taken is written back as the same, and sees what its definition says.
func FuzzParseSnapshot(f *testing.F) {
	for _, text := range []string{"", "1:1:", "10:15:10,12", "10:15:12,10", "1:2", "1:2:3:4", "-1:2:", "1:2:,", "+1:2:", " 1:2:", "01:2:", "0:0:0", "9223372036854775807:9223372036854775807:", "99999999999999999999:2:", "5:1:3", "1:2:1,1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSnapshot(text)
		if err != nil {
			return
		}
		again, err := ParseSnapshot(s.String())
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%q became %+v, then %+v, %v", text, s, again, err)
		}
		if !slices.IsSorted(s.Xip) || !s.Covers(s) {
			t.Errorf("%+v", s)
		}
		for _, txid := range append([]uint64{0, s.Xmin, s.Xmax, s.Xmax + 1}, s.Xip...) {
			want := txid < s.Xmin || txid < s.Xmax && !slices.Contains(s.Xip, txid)
			if s.Sees(txid) != want {
				t.Errorf("%s sees %d: %v", s, txid, !want)
			}
		}
	})
}
