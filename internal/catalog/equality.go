package catalog

import (
	"fmt"
	"slices"
)

// What one value is to an index differs between types: citext and a nondeterministic collation take 'anna' and 'ANNA' for one, character
// 'a' and 'a '. Where the target takes for one what the source tells apart, a row would overwrite another; the other way round a key that
// the source takes for the same would become a second row.

// confused says of which columns the target's indexes mean something else by "the same value" than the source.
func confused(source, target *Table) (problems []string) {
	for _, u := range target.Uniques {
		for i, number := range u.Columns {
			t := target.column(number) // nil for an expression
			if t == nil {
				continue
			}
			s := source.Column(t.Name)
			if s == nil || s.Generated || s.Of == nil || t.Of == nil {
				continue
			}
			key := source.Key != nil && slices.Contains(source.KeyNames(), s.Name)
			var why string
			switch {
			case u.loose(i) != "" && u.loose(i) != s.Loose:
				why = fmt.Sprintf("goes by collation %s, which is nondeterministic, and would take for one value what the source tells apart; give it a deterministic one there", u.loose(i))
			case merges(s.Of, t.Of, u.compares(i)):
				why = fmt.Sprintf("would take for one value what the source tells apart (%s there, %s on the source); give it %s there", t.Type, s.Type, s.asIs())
			case key && (splits(s.Of, t.Of) || s.Loose != "" && s.Loose != u.loose(i)):
				why = fmt.Sprintf("would tell apart what the source takes for one value (%s there, %s on the source); give it %s there", t.Type, s.Type, s.asIs())
			case key && reworded(s.Of, t.Of):
				why = fmt.Sprintf("holds values that the source's type cannot read (%s there, %s on the source); give it %s there", t.Type, s.Type, s.asIs())
			default:
				continue
			}
			problems = append(problems, fmt.Sprintf("column %s in index %s of the target %s", s.Name, u.Index, why))
		}
	}
	return problems
}

// asIs is the source's own type, with its collation where that matters, or what it is on servers that have it no more (from 12 on).
func (c Column) asIs() string {
	if c.Of.Bare().is("reltime") {
		return "text"
	}
	if c.Loose != "" {
		return fmt.Sprintf("%s COLLATE %s", c.Type, c.Loose)
	}
	return c.Type
}

func (u Unique) compares(i int) string {
	if i < len(u.Compares) {
		return u.Compares[i]
	}
	return ""
}

// merges says whether the target may take for one value two that the source tells apart. class is the type that the index compares by:
// text_ops tells apart what citext does not, bpchar_ops the reverse.
func merges(s, t *Type, class string) bool {
	return anyPart(s, t, func(s, t *Type) bool {
		switch {
		case class == "character" && !s.is("character"):
			return true
		case t.isCitext() && class != "text":
			return !s.isCitext()
		case t.is("jsonb"):
			return !s.is("jsonb")
		case t.is("interval"): // to a reltime a year has 365.25 days, to an interval twelve months of 30
			return s.is("reltime")
		}
		return compareBare(s, t) == cut && !s.is("character") // whose blanks count for nothing
	})
}

// splits says whether the target may tell apart two values that the source takes for one. A char(n) is always filled up, so that equal
// values are the same there.
func splits(s, t *Type) bool {
	return anyPart(s, t, func(s, t *Type) bool {
		return s.isCitext() && !t.isCitext() || s.is("character") && s.Modifier < 0 && !t.is("character")
	})
}

// reworded says whether the source's type may not read back what the target's prints, within an array or a composite value: an integer
// becomes 1.00. By itself a key is printed as the source has it (KeyValue).
func reworded(s, t *Type) bool {
	return (s.Bare().Element != nil || s.Bare().Fields != nil) && anyPart(s, t, pointed)
}

// pointed: whole numbers get a point.
func pointed(s, t *Type) bool {
	if !t.is("numeric") || s.is("numeric") || t.Modifier < 0 {
		return false
	}
	_, scale := numeric(t.Modifier)
	return scale > 0
}

// anyPart says whether something holds for two types or for any of what they are made of.
func anyPart(s, t *Type, holds func(s, t *Type) bool) bool {
	if s == nil || t == nil {
		return false
	}
	s, t = s.Bare(), t.Bare()
	switch {
	case s.Element != nil && t.Element != nil:
		return anyPart(s.Element, t.Element, holds)
	case s.Subtype != nil && t.Subtype != nil:
		return anyPart(s.Subtype, t.Subtype, holds)
	case len(s.Fields) > 0 && len(s.Fields) == len(t.Fields):
		for i := range s.Fields {
			if s.Fields[i].Loose != t.Fields[i].Loose || anyPart(s.Fields[i].Type, t.Fields[i].Type, holds) {
				return true
			}
		}
		return false
	}
	return holds(s, t)
}

// KeyValue is an expression for a key column's value x on the target, whose text the source's type can read.
func KeyValue(s, t Column, x string) string {
	if s.Of == nil || t.Of == nil || !pointed(s.Of.Bare(), t.Of.Bare()) {
		return x
	}
	return fmt.Sprintf("CASE %[1]s WHEN pg_catalog.trunc(%[1]s) THEN pg_catalog.trunc(%[1]s) ELSE %[1]s END", x)
}

// SameText says whether a row of the source is that of a target's key only if it prints the same: the source's type is one that does not
// read all that a text can be, without an error (blanks behind a char(n), a name of more than 63 bytes).
func SameText(s, t Column) bool {
	return s.Of != nil && t.Of != nil && s.Of.Bare().is("character", "name") && !t.Of.Bare().is("character", "name")
}

// SameValues says whether a unique index on the column of the target excludes no more than one on the column of the source.
func SameValues(s, t Column) bool {
	return s.Loose == t.Loose && s.BaseType == t.BaseType
}
