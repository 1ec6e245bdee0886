// Package change holds the few types that pass between capture, snapshot and apply: what a
// position in the stream is, and what one table contributes to a batch. It must not know how
// changes are captured nor how they are applied, and it imports nothing of ours.
package change

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Snapshot is a txid_snapshot of the source: which transactions had ended when it was taken.
// The zero Snapshot sees nothing.
//
// Source: https://www.postgresql.org/docs/9.2/functions-info.html#FUNCTIONS-TXID-SNAPSHOT
type Snapshot struct {
	Xmin uint64   // every txid below had ended
	Xmax uint64   // no txid from here on had started
	Xip  []uint64 // in between: those still in progress, ascending
}

// ParseSnapshot reads the text form xmin:xmax:xip,xip,…
func ParseSnapshot(text string) (Snapshot, error) {
	fields := strings.Split(text, ":")
	if len(fields) != 3 {
		return Snapshot{}, fmt.Errorf("%q is not a txid_snapshot", text)
	}
	var s Snapshot
	var err error
	if s.Xmin, err = strconv.ParseUint(fields[0], 10, 63); err != nil {
		return Snapshot{}, fmt.Errorf("xmin of txid_snapshot %q: %w", text, err)
	}
	if s.Xmax, err = strconv.ParseUint(fields[1], 10, 63); err != nil {
		return Snapshot{}, fmt.Errorf("xmax of txid_snapshot %q: %w", text, err)
	}
	if s.Xmin > s.Xmax {
		return Snapshot{}, fmt.Errorf("txid_snapshot %q ends before it begins", text)
	}
	if fields[2] == "" {
		return s, nil
	}
	for field := range strings.SplitSeq(fields[2], ",") {
		xip, err := strconv.ParseUint(field, 10, 63)
		if err != nil {
			return Snapshot{}, fmt.Errorf("xip of txid_snapshot %q: %w", text, err)
		}
		if xip < s.Xmin || xip >= s.Xmax {
			return Snapshot{}, fmt.Errorf("txid_snapshot %q: %d is not between its ends", text, xip)
		}
		s.Xip = append(s.Xip, xip)
	}
	slices.Sort(s.Xip)
	return s, nil
}

// String is the text form that PostgreSQL reads.
func (s Snapshot) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d:", s.Xmin, s.Xmax)
	for i, xip := range s.Xip {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(xip, 10))
	}
	return b.String()
}

// IsZero says whether s is the snapshot that sees nothing.
func (s Snapshot) IsZero() bool { return s.Xmax == 0 }

// Sees says whether the transaction had ended when s was taken.
func (s Snapshot) Sees(txid uint64) bool {
	if txid >= s.Xmax {
		return false
	}
	_, running := slices.BinarySearch(s.Xip, txid)
	return !running
}

// Covers says whether everything that older sees is seen by s too.
func (s Snapshot) Covers(older Snapshot) bool {
	if s.Xmax < older.Xmax {
		return false
	}
	return !slices.ContainsFunc(s.Xip, older.Sees)
}

// Equal says whether both see the same transactions.
func (s Snapshot) Equal(other Snapshot) bool { return s.Covers(other) && other.Covers(s) }

// Position is a place in the stream: the snapshot up to which changes are applied, and the
// source's clock when it was taken. All that it sees had been written to the source's log before WAL.
type Position struct {
	Snapshot Snapshot
	Clock    time.Time
	WAL      WAL // of the stream's position; a table's own has none
}

// IsZero says whether nothing has been applied yet.
func (p Position) IsZero() bool { return p.Snapshot.IsZero() }
