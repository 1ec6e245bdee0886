// Package hostile is a table of what others do to one table of a running stream, on the target and on the source. It is for
// tests: TestHostile does one of them by a seed and judges what becomes of it; the torture machine does them beside its other
// faults. It knows nothing of pgibex but the name of its schema.
package hostile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Side is where it is done.
type Side int

// The sides.
const (
	Target Side = iota
	Source
)

func (s Side) String() string { return [...]string{"target", "source"}[s] }

// Outcome is what must become of the table. The others stream on in any case.
type Outcome int

// The outcomes.
const (
	// Either: it is equal, or it is named with a reason and a remedy.
	Either Outcome = iota
	// Named: the target cannot have its rows, and that is said.
	Named
	// Harmless: it is equal without anybody's help.
	Harmless
	// Waits: it is named while the cause lasts, and goes on by itself.
	Waits
	// Differs: a stranger has changed the target's rows behind everybody's back, which only verify can tell.
	Differs
)

// Hostility is one thing that others do. Its SQL has placeholders, which Case fills in.
type Hostility struct {
	Kind, Name string
	On         Side
	Do         string
	Held       bool   // Do's transaction stays open until it is mended
	Write      string // what the application then does to the table; the default is an insert, an update and a delete
	Is         Outcome
	Mend       string // on the target
	MendSource string
	About      string // what is named; the default is the table
	Only       func(Victim) bool
	Quiet      bool // no batch fails of it: it is found when the daemon looks, at its start or now and then
	Slow       bool // a statement of the target sleeps of it
	Remade     bool // the table is not the same afterwards: another one, or other indexes
	Removed    bool // the table is not of the stream afterwards
	Breaks     bool // an application that knows nothing of it fails
}

// Victim is the table it is done to. Names are quoted where they must be.
type Victim struct {
	Schema, Relation string
	Plain            string // schema.table without quotes, as an operator reads it
	Key              string // its columns; "" where it has none
	KeyType          string // of its first column
	Text, Int        string // a column of text and one of integer, not in the key; both may be null
	UniqueText       bool   // no two rows have the same text
	Family           bool   // it refers to another table, or another to it
	Create           string // makes it, with the sequence that it owns
	Owned            string // the sequence that it owns, as schema.name
	Free             string // a sequence in its schema that nobody owns, as schema.name
}

// Table is its qualified name.
func (v Victim) Table() string { return v.Schema + "." + v.Relation }

// Settings are what a case is made with.
type Settings struct {
	Other  Victim // another table of the stream, with a key
	Stream string // its name
	Weak   string // a role without rights, on both sides
	Owner  string // the role that owns the source's tables
	Number int    // of the case: what it writes and makes is called by it
}

// Case is a hostility with everything filled in.
type Case struct {
	Hostility
	Victim   Victim
	Settings Settings
}

// Pick chooses a kind and one of it, among those that allowed says.
func Pick(r *rand.Rand, v Victim, allowed func(Hostility) bool) (h Hostility, there bool) {
	byKind := map[string][]Hostility{}
	var kinds []string
	for _, h := range All() {
		if h.Only != nil && !h.Only(v) || allowed != nil && !allowed(h) {
			continue
		}
		if byKind[h.Kind] == nil {
			kinds = append(kinds, h.Kind)
		}
		byKind[h.Kind] = append(byKind[h.Kind], h)
	}
	if len(kinds) == 0 {
		return h, false
	}
	of := byKind[kinds[r.IntN(len(kinds))]]
	return of[r.IntN(len(of))], true
}

// All are all hostilities, in one order.
func All() []Hostility {
	onSource := slices.Clone(source)
	for i := range onSource {
		onSource[i].On = Source
	}
	return slices.Concat(code(), definitions, objects, strangers, onSource, sequences)
}

// Fill makes a case of it.
func (h Hostility) Fill(r *rand.Rand, v Victim, s Settings) Case {
	c := Case{Hostility: h, Victim: v, Settings: s}
	id := func(prefix string) string { return fmt.Sprintf("'%s%d'", prefix, 1_000_000+10*s.Number) }
	fill := strings.NewReplacer(
		"{t}", v.Table(), "{schema}", v.Schema, "{name}", v.Relation, "{plainschema}", strings.ReplaceAll(v.Schema, `"`, ""), "{key}", v.Key, "{create}", v.Create, "{keytype}", v.KeyType,
		"{text}", v.Text, "{int}", v.Int, "{owned}", v.Owned, "{free}", v.Free, "{freename}", v.Free[strings.LastIndexByte(v.Free, '.')+1:],
		"{ownedname}", v.Owned[strings.LastIndexByte(v.Owned, '.')+1:],
		"{other}", s.Other.Table(), "{othertext}", s.Other.Text, "{ours}", "pgibex_"+s.Stream, "{stream}", s.Stream, "{weak}", s.Weak, "{owner}", s.Owner,
		"{n}", strconv.Itoa(s.Number), "{id}", id(""), "{twin}", id("1"), "{stranger}", id("7"), "{taken}", id("9"),
		"{state}", states[r.IntN(len(states))], "{seconds}", strconv.Itoa(2+r.IntN(2+r.IntN(38))),
		"{event}", []string{"insert", "update", "delete", "truncate"}[r.IntN(4)],
		"{mode}", []string{"ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE"}[r.IntN(4)],
	)
	for _, text := range []*string{&c.Name, &c.Do, &c.Write, &c.Mend, &c.MendSource, &c.About} {
		*text = fill.Replace(fill.Replace(*text)) // what is made by {create} has placeholders too
	}
	return c
}

// Names is what must be said of it.
func (c Case) Names() string {
	if c.About != "" {
		return strings.ReplaceAll(c.About, `"`, "")
	}
	return c.Victim.Plain
}

func (c Case) String() string {
	return fmt.Sprintf("%s: %s: %s, to %s", c.On, c.Kind, c.Name, c.Victim.Plain)
}

func keyed(v Victim) bool   { return v.Key != "" }
func keyless(v Victim) bool { return v.Key == "" }
func textKey(v Victim) bool { return v.Key != "" && v.KeyType == "text" }
func serial(v Victim) bool  { return v.Owned != "" }

// states are SQLSTATEs of every class, also those by which a server says that the same may succeed later, and some of nobody's.
var states = []string{
	"01000", "02000", "03000", "08000", "08003", "08006", "08P01", "09000", "0A000", "0B000", "0F000", "0L000", "0P000", "0Z000", "20000", "21000",
	"22000", "22003", "22021", "22P05", "23000", "23502", "23503", "23505", "23514", "23P01", "24000", "25000", "25001", "25006", "25P02", "25P03", "25P04", "26000", "27000",
	"28000", "28P01", "2B000", "2BP01", "2D000", "2F000", "34000", "38000", "39000", "3B000", "3D000", "3F000", "40000", "40001", "40003", "40P01",
	"42000", "42501", "42601", "42703", "42883", "42P01", "42P10", "44000", "53000", "53100", "53200", "53300", "53400", "54000", "54001", "55000", "55006", "55P03",
	"57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030", "58P01", "72000", "F0000", "HV000", "P0000", "P0001", "P0004",
	"U0001", "XX000", "XX001", "XX002", "ZZ999", "99999",
}
