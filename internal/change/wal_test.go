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

func TestWithoutHeader(t *testing.T) {
	for next, want := range map[LSN]LSN{
		0x16B3748:   0x16B3748,
		0x4000020:   0x4000000, // behind the header of a file of 9.2
		0x4000028:   0x4000000, // of later ones
		0x4002018:   0x4002000, // of a page
		0x4002000:   0x4002000,
		0x4000058:   0x4000058, // one record behind the header
		0x100000000: 0x100000000,
	} {
		if got := next.WithoutHeader(); got != want {
			t.Errorf("%s: %s, want %s", next, got, want)
		}
	}
}
