package change

import "testing"

func snapshot(t *testing.T, text string) Snapshot {
	t.Helper()
	s, err := ParseSnapshot(text)
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != text {
		t.Errorf("%q became %q", text, s)
	}
	return s
}

func TestSees(t *testing.T) {
	s := snapshot(t, "10:15:10,12")
	for txid, want := range map[uint64]bool{1: true, 9: true, 10: false, 11: true, 12: false, 14: true, 15: false, 99: false} {
		if s.Sees(txid) != want {
			t.Errorf("Sees(%d) is %v", txid, !want)
		}
	}
	if (Snapshot{}).Sees(0) {
		t.Error("the zero snapshot sees something")
	}
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		newer, older string
		want         bool
	}{
		{"10:15:10,12", "10:15:10,12", true},
		{"10:15:10", "10:15:10,12", true},
		{"10:15:10,12", "10:15:10", false}, // 12 ended in the other's time
		{"16:20:", "10:15:10,12", true},
		{"10:20:10", "12:15:", false},
		{"10:14:", "10:15:", false},
		{"10:20:17", "10:15:", true},
	} {
		if got := snapshot(t, test.newer).Covers(snapshot(t, test.older)); got != test.want {
			t.Errorf("%s covers %s: %v", test.newer, test.older, got)
		}
	}
	if !snapshot(t, "1:1:").Covers(Snapshot{}) {
		t.Error("nothing is not covered")
	}
}

func TestParseSnapshotRefuses(t *testing.T) {
	for _, text := range []string{"", "1:2", "1:2:3:4", "x:2:", "1:y:", "1:2:z", "-1:2:", "1:2:,", "99999999999999999999:2:", "5:1:", "5:8:3", "5:8:8"} {
		if s, err := ParseSnapshot(text); err == nil {
			t.Errorf("%q became %v", text, s)
		}
	}
}
