package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pgibex/pgibex/internal/pg"
)

// Fit says what keeps rows of a source's table from being written to a target's (problems), and
// what an operator should know although they can be (warnings). Both name the table.
func Fit(source, target *Table) (problems, warnings []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, source.Name.String()+": "+fmt.Sprintf(format, args...))
	}
	if target.Kind != Ordinary {
		problem("is a %s on the target; only ordinary tables can be written to", target.Kind)
		return problems, nil
	}
	for _, s := range source.Stored() {
		t := target.Column(s.Name)
		if t == nil {
			problem("column %s is missing on the target; add it there: ALTER TABLE %s ADD COLUMN %s %s", s.Name, target.SQL(), pg.Ident(s.Name), s.Type)
			continue
		}
		switch compare(s, *t) {
		case incompatible:
			problem("column %s is %s on the source and %s on the target; give it the source's type or a wider one", s.Name, s.Type, t.Type)
		case narrower:
			warnings = append(warnings, fmt.Sprintf("%s: column %s is %s on the source and only %s on the target; a longer value would quarantine the table", source.Name, s.Name, s.Type, t.Type))
		}
	}
	for _, t := range target.Columns {
		if source.Column(t.Name) == nil && t.NotNull && !t.Default && t.Identity == "" && !t.Generated {
			problem("column %s of the target does not exist on the source, is NOT NULL and has no default; give it one or drop it", t.Name)
		}
	}
	return problems, warnings
}

// Unreadable says which name of a source's table the target can not have, "" if there is none: a database in SQL_ASCII does not know
// the encoding of its names.
func Unreadable(source *Table) string {
	names := []string{source.Schema, source.Relation}
	for _, c := range source.Columns {
		names = append(names, c.Name)
	}
	for _, name := range names {
		if !utf8.ValidString(name) {
			return fmt.Sprintf("%s: the name %q is not in UTF8, and names are not converted; rename it, or exclude the table", strings.ToValidUTF8(source.Name.String(), "?"), name)
		}
	}
	return ""
}

// Keyless says why a source's table with a key can not be written to by key on the target, "" if it can.
func Keyless(source, target *Table) string {
	if source.Key == nil || target.UniqueOn(source.KeyNames()) != nil {
		return ""
	}
	return fmt.Sprintf("%s: has no primary key or unique index on (%s) on the target, which is what tells its rows apart on the source; create it there",
		source.Name, strings.Join(source.KeyNames(), ", "))
}

// KeyNames are the names of the key's columns, in its order.
func (t *Table) KeyNames() []string {
	var names []string
	for _, c := range t.KeyColumns() {
		names = append(names, c.Name)
	}
	return names
}

type fit int

const (
	fits fit = iota
	narrower
	incompatible
)

// wider lists the types that hold every value of a type, given as text by the source, unchanged in meaning.
var wider = map[string][]string{
	"smallint":                    {"integer", "bigint", "numeric"},
	"integer":                     {"bigint", "numeric"},
	"bigint":                      {"numeric"},
	"oid":                         {"bigint"},
	"real":                        {"double precision"},
	"character varying":           {"text", "citext"},
	"text":                        {"character varying", "citext"},
	"bpchar":                      {"text", "character varying"},
	"character":                   {"text", "character varying"},
	"name":                        {"text", "character varying"},
	"json":                        {"jsonb", "text"},
	"bit":                         {"bit varying"},
	"cidr":                        {"inet"},
	"abstime":                     {"timestamp with time zone"},
	"reltime":                     {"interval"},
	"timestamp without time zone": nil,
}

// modifier is the length or precision behind a type's name: numeric(10,2), timestamp(3) with time zone.
var modifier = regexp.MustCompile(`\([0-9, -]+\)`)

func compare(source, target Column) fit {
	if source.Type == target.Type || source.Base == target.Base {
		return fits
	}
	s, t := unqualified(source.Base), unqualified(target.Base)
	sName, tName := modifier.ReplaceAllString(s, ""), modifier.ReplaceAllString(t, "")
	if !sameOrWider(sName, tName) {
		return incompatible
	}
	sMod, tMod := modifier.FindString(s), modifier.FindString(t)
	switch {
	case tMod == "" || sMod == tMod:
		return fits
	case strings.HasPrefix(tName, "character") || strings.HasPrefix(tName, "bpchar"):
		if sMod != "" && length(sMod) <= length(tMod) {
			return fits
		}
		return narrower
	}
	return incompatible // numeric, timestamp, bit: another precision would change values silently
}

func sameOrWider(source, target string) bool {
	return source == target || slices.Contains(wider[source], target)
}

// unqualified leaves the schema out: an extension may live in another one on the target.
func unqualified(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i+1:]
	}
	return name
}

func length(modifier string) int {
	var n int
	_, _ = fmt.Sscanf(modifier, "(%d", &n) // 0 for anything else: nothing fits into it
	return n
}
