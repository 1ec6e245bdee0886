package change

import (
	"fmt"
	"strconv"
	"strings"
)

// WAL is a place in the source's write-ahead log. The zero WAL is unknown.
//
// Its timeline changes when a standby is promoted, or a backup is recovered: the log before that place is shared, behind it are
// two histories.
type WAL struct {
	Timeline uint32
	LSN      LSN
}

// LSN is a byte's number in the write-ahead log.
type LSN uint64

// ParseLSN reads the text form of PostgreSQL: two hexadecimal halves, 16/B374D848.
func ParseLSN(text string) (LSN, error) {
	high, low, ok := strings.Cut(text, "/")
	upper, err := strconv.ParseUint(high, 16, 32)
	lower, lowErr := strconv.ParseUint(low, 16, 32)
	if !ok || err != nil || lowErr != nil {
		return 0, fmt.Errorf("%q is no place in the write-ahead log", text)
	}
	return LSN(upper<<32 | lower), nil
}

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l)) }

// WithoutHeader is where the log surely ends, given where its next record will begin: where a page may have only its header so far (after
// a switch of the log file, say) that is before the page.
func (l LSN) WithoutHeader() LSN {
	const page, longestHeader = 8192, 40 // bytes
	if l%page <= longestHeader {
		l -= l % page
	}
	return l
}

// ParseWAL reads what String writes.
func ParseWAL(text string) (WAL, error) {
	timeline, place, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(timeline, 10, 32)
	if err != nil {
		return WAL{}, fmt.Errorf("timeline of %q: %w", text, err)
	}
	lsn, err := ParseLSN(place)
	return WAL{uint32(number), lsn}, err
}

// String is timeline:LSN, such as 1:16/B374D848.
func (w WAL) String() string { return fmt.Sprintf("%d:%s", w.Timeline, w.LSN) }

// IsZero says whether the place is unknown.
func (w WAL) IsZero() bool { return w == WAL{} }
