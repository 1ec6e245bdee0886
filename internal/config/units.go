package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size; it reads and prints in PostgreSQL's units, powers of 1024.
type Bytes int64

// Units of Bytes, as in postgresql.conf.
const (
	KB Bytes = 1 << 10
	MB       = KB << 10
	GB       = MB << 10
	TB       = GB << 10
)

// B is last: every other unit ends in it.
var byteUnits = []struct {
	name string
	size Bytes
}{{"TB", TB}, {"GB", GB}, {"MB", MB}, {"kB", KB}, {"B", 1}}

// String uses the largest unit that divides the size.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return "0"
}

// ParseBytes reads 128MB, 64kB, 1GB or a plain number of bytes.
func ParseBytes(s string) (Bytes, error) {
	digits, unit := strings.TrimSpace(s), Bytes(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a size: write a whole number with one of the units B, kB, MB, GB and TB", showValue(s))
	}
	if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
		return 0, fmt.Errorf("%s is too large a size", showValue(s))
	}
	return Bytes(n) * unit, nil
}

// ParseDuration reads PostgreSQL's and Go's forms: 200ms, 15s, 1min, 1m30s.
func ParseDuration(s string) (time.Duration, error) {
	compact := strings.ReplaceAll(s, " ", "")
	d, err := time.ParseDuration(strings.ReplaceAll(compact, "min", "m"))
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration: write a number with one of the units us, ms, s, min and h", showValue(s))
	}
	return d, nil
}

// formatDuration is Duration.String without empty seconds and minutes, and with PostgreSQL's min.
func formatDuration(d time.Duration) string {
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "min"
	}
	if rest, ok := strings.CutSuffix(s, "h0min"); ok {
		s = rest + "h"
	}
	return s
}
