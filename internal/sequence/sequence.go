// Package sequence says which sequences two databases have in common, why one of them cannot be carried over, and whether the target's is
// to be set to where the source's stands. It only reads.
package sequence

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
)

// Value is where a sequence stands: the value it returned last or, if it was not called since it was set, the one it will return next.
type Value struct {
	Last   int64
	Called bool
}

func (v Value) String() string {
	if v.Called {
		return strconv.FormatInt(v.Last, 10)
	}
	return fmt.Sprintf("%d, not called", v.Last)
}

// behind says whether v comes before other on a sequence that counts in steps of increment.
func (v Value) behind(other Value, increment int64) bool {
	if v.Last == other.Last {
		return !v.Called && other.Called
	}
	return (v.Last < other.Last) == (increment > 0)
}

// Properties are what CREATE SEQUENCE gives a sequence. Before 10 every sequence is a bigint.
type Properties struct {
	Type                                  string
	Increment, Min, Max, Start, CacheSize int64
	Cycle                                 bool
}

// Sequence is a sequence as one server has it.
type Sequence struct {
	catalog.Name
	Properties
	OID        uint32
	Owner      catalog.Name // the table whose column owns it; zero for a free one
	Column     string       // of the owner
	ColumnType string
	Users      []catalog.Name // tables with a default that draws from it
	Value      Value

	role                        string // ours
	visible, readable, settable bool   // for our role: its schema, SELECT, UPDATE
	lockedBy                    string // in the way of reading it on the source, of setting it on the target
	failure                     error  // of reading it
}

// Free says whether no column owns it.
func (s *Sequence) Free() bool { return s.Owner == catalog.Name{} }

// bounds are the least and the greatest value of an integer type.
func bounds(integer string) (least, greatest int64) {
	switch integer {
	case "smallint":
		return math.MinInt16, math.MaxInt16
	case "integer":
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

// create is the statement that makes a sequence with these properties.
func (s *Sequence) create() string {
	var b strings.Builder
	b.WriteString("CREATE SEQUENCE " + s.SQL())
	_, greatest := bounds(s.Type)
	least, first := int64(1), int64(1)
	if s.Increment < 0 {
		least, greatest, first = math.MinInt64, -1, -1
		if s.Type != "bigint" {
			least, _ = bounds(s.Type)
		}
	}
	if s.Type != "bigint" {
		b.WriteString(" AS " + s.Type)
	}
	for _, clause := range []struct {
		name         string
		value, usual int64
	}{
		{"INCREMENT", s.Increment, 1}, {"MINVALUE", s.Min, least}, {"MAXVALUE", s.Max, greatest}, {"START", s.Start, first}, {"CACHE", s.CacheSize, 1},
	} {
		least := clause.name == "MINVALUE" && clause.usual == math.MinInt64 && clause.value == -math.MaxInt64 // 9.2 takes -2^63 + 1 for it
		if clause.value != clause.usual && !least {
			fmt.Fprintf(&b, " %s %d", clause.name, clause.value)
		}
	}
	if s.Cycle {
		b.WriteString(" CYCLE")
	}
	return b.String()
}
