package catalog

import (
	"fmt"
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
		switch v := compare(s.Of, t.Of); v.fit {
		case incompatible:
			problem("column %s is %s on the source and %s on the target; give it %s", s.Name, s.Type, t.Type, s.wouldDo())
		case narrower:
			warnings = append(warnings, fmt.Sprintf("%s: column %s is %s on the source and only %s on the target; %s", source.Name, s.Name, s.Type, t.Type, v.what))
		}
	}
	if len(problems) == 0 {
		for _, why := range confused(source, target) {
			problem("%s", why)
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

// wouldDo names the types that a column may have on the target.
func (c Column) wouldDo() string {
	names := []string{c.Type}
	if c.Base != c.Type {
		names = append(names, c.Base)
	}
	bare := c.Of
	suffix := ""
	if bare != nil {
		bare = bare.Bare()
	}
	if bare != nil && bare.Element != nil {
		bare, suffix = bare.Element.Bare(), "[]"
	}
	if bare != nil && bare.Modifier >= 0 && !bare.is("bit") { // numeric beside numeric(10,2)
		names = append(names, bare.SQL+suffix)
	}
	if bare != nil && bare.builtIn() {
		for _, name := range wider[bare.Name] {
			names = append(names, name+suffix)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
