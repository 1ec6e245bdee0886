package capture

import (
	"testing"

	"github.com/pgibex/pgibex/internal/change"
)

func TestEndOfLog(t *testing.T) {
	for next, want := range map[change.LSN]change.LSN{
		0x16B3748:   0x16B3748,
		0x4000020:   0x4000000, // behind the header of a file of 9.2
		0x4000028:   0x4000000, // of later ones
		0x4002018:   0x4002000, // of a page
		0x4002000:   0x4002000,
		0x4000058:   0x4000058, // one record behind the header
		0x100000000: 0x100000000,
	} {
		if got := endOfLog(next); got != want {
			t.Errorf("%s: %s, want %s", next, got, want)
		}
	}
}
