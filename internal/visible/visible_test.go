package visible

import (
	"encoding/json"
	"testing"
)

func TestWhatDoesNotPrintIsQuoted(t *testing.T) {
	for _, test := range []struct{ text, line, layout string }{
		{"public.orders", "public.orders", "public.orders"},
		{`we"ird \n größe 東京 ñ`, `we"ird \n größe 東京 ñ`, `we"ird \n größe 東京 ñ`},
		{"\x1b[31mred\x1b[0m", `\u001b[31mred\u001b[0m`, `\u001b[31mred\u001b[0m`},
		{"a\nb\tc", `a\nb\tc`, "a\nb\tc"},
		{"a\rb\r\nc", `a\rb\r\nc`, `a\rb\r` + "\nc"},
		{"\u009b31m", `\u009b31m`, `\u009b31m`}, // a C1 control sequence introducer
		{"\x9b31m", `\x9b31m`, `\x9b31m`},       // the same in a terminal of eight bits
		{"a\x00\x07\x08\x7f", `a\u0000\u0007\u0008\u007f`, `a\u0000\u0007\u0008\u007f`},
		{"txt\u202egpj\u202c", `txt\u202egpj\u202c`, `txt\u202egpj\u202c`},
		{"\u2066\u2067\u2068\u2069\u200e\u200f\u061c", `\u2066\u2067\u2068\u2069\u200e\u200f\u061c`, `\u2066\u2067\u2068\u2069\u200e\u200f\u061c`},
		{"or\u200bders\ufeff\u00ad\u2060", `or\u200bders\ufeff\u00ad\u2060`, `or\u200bders\ufeff\u00ad\u2060`},
		{"a\u2028b\u2029c\u0085d\u00a0e", `a\u2028b\u2029c\u0085d\u00a0e`, `a\u2028b\u2029c\u0085d\u00a0e`},
		{"orders\ufe0f\u3164\U000e0041", `orders\ufe0f\u3164\udb40\udc41`, `orders\ufe0f\u3164\udb40\udc41`},
	} {
		if got := Line(test.text); got != test.line {
			t.Errorf("Line(%q) = %s, want %s", test.text, got, test.line)
		}
		if got := Text(test.text); got != test.layout {
			t.Errorf("Text(%q) = %s, want %s", test.text, got, test.layout)
		}
	}
}

// What is quoted after encoding/json has written it is read as it was.
func TestQuotedJSONMeansTheSame(t *testing.T) {
	const hostile = "a\x1b[0m\u009b\u202e\u2066\u200b\x7f\U000e0041\r\n\t\\u202e"
	encoded, err := json.MarshalIndent(map[string]string{hostile: hostile}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	shown := Text(string(encoded))
	if shown == string(encoded) {
		t.Error("nothing was quoted")
	}
	var read map[string]string
	if err := json.Unmarshal([]byte(shown), &read); err != nil || read[hostile] != hostile {
		t.Errorf("read %q, %v from %s", read, err, shown)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b\n")
	f.Fuzz(func(t *testing.T, s string) {
		if line := Line(s); Line(line) != line || Text(line) != line {
			t.Errorf("%q is quoted twice", line)
		}
	})
}
