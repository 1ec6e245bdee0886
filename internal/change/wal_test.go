package change

import "testing"

func TestWAL(t *testing.T) {
	for text, want := range map[string]WAL{
		"1:0/16B3748":           {1, 0x16B3748},
		"3:16/B374D848":         {3, 0x16_B374D848},
		"4294967295:FFFFFFFF/0": {1<<32 - 1, 0xFFFFFFFF_00000000},
		"2:FFFFFFFF/FFFFFFFF":   {2, 1<<64 - 1},
	} {
		got, err := ParseWAL(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q became %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":", "1", "1:", "1:0", "1:/0", "1:0/", "1:0/0/0", "x:0/0", "1:g/0", "1:0/100000000", "-1:0/0", "1:0/ 1"} {
		if got, err := ParseWAL(text); err == nil {
			t.Errorf("%q became %v", text, got)
		}
	}
}
