package catalog

import (
	"slices"
	"unicode/utf8"
)

// A value passes from the source to the target as text: what the source's type prints, the target's type reads. So a pair of types is
// right where every value arrives as the same value, and no two values become one in an index. Each line here is tried by values, on
// real servers, by TestEveryPairOfTypes.

// wider lists, of a built-in type, other types that hold every value of it. Lengths and precisions are looked at behind.
var wider = map[string][]string{
	"smallint":          {"integer", "bigint", "numeric"},
	"integer":           {"bigint", "numeric"},
	"bigint":            {"numeric"},
	"oid":               {"bigint", "numeric"},
	"real":              {"double precision"},
	"character varying": {"text", "citext"},
	"text":              {"character varying", "citext"},
	"character":         {"text", "character varying"},
	"name":              {"text", "character varying"},
	"unknown":           {"text", "character varying"},
	"citext":            {"text", "character varying"},
	"json":              {"text", "character varying", "jsonb"},
	"bit":               {"bit varying"},
	"cidr":              {"inet"},
	"abstime":           {"timestamp with time zone"},
	"reltime":           {"interval", "text"},
	"int4range":         {"int8range"},
}

// wideForLabels hold the labels of an enum.
var wideForLabels = []string{"text", "character varying"}

// fit says how well the values of one type can be written to another, from best to worst.
type fit int

const (
	fits         fit = iota // every value arrives as it is
	narrower                // some are refused or lose something, of which a warning tells
	incompatible            // values would change in silence, or never arrive
)

// verdict is a fit, and what an operator should know of it.
type verdict struct {
	fit  fit
	what string // of narrower: what happens to which values
}

var (
	yes      = verdict{fit: fits}
	no       = verdict{fit: incompatible}
	tooLong  = verdict{narrower, "a longer value would quarantine the table"}
	cut      = verdict{narrower, "a longer value would quarantine the table, and blanks beyond the length are cut off"}
	tooLarge = verdict{narrower, "a larger value would quarantine the table"}
	checked  = verdict{narrower, "a value that the domain does not allow would quarantine the table"}
	labels   = verdict{narrower, "a label that is missing there would quarantine the table"}
	asJSONB  = verdict{narrower, "jsonb keeps neither white space nor the order of keys, of a key that is there twice it keeps the last, and \\u0000 would quarantine the table"}
	invalid  = verdict{narrower, "the value 'invalid' or 'undefined' would quarantine the table"}
	asSpan   = verdict{narrower, "360 days and 1 year are told apart no more, and the value 'undefined' would quarantine the table"}
)

// compare says how the values of a source's type fit into a target's.
func compare(s, t *Type) verdict {
	if s == nil || t == nil { // dropped while the catalogs were read
		return no
	}
	v := compareBare(s.Bare(), t.Bare())
	for ; v.fit == fits && t.Domain != nil; t = t.Domain {
		if t.Checked && !s.within(t) {
			return checked
		}
	}
	return v
}

// within says whether the type is the domain, or one over it. Like a table's own checks, those of a domain on both sides are
// taken to be the same.
func (t *Type) within(domain *Type) bool {
	for ; t.Domain != nil; t = t.Domain {
		if t.Name == domain.Name {
			return true
		}
	}
	return false
}

func compareBare(s, t *Type) verdict {
	switch {
	case s.Element != nil && t.Element != nil:
		return compare(s.Element, t.Element)
	case s.Kind == "e" && t.Kind == "e":
		return compareLabels(s, t)
	case s.Kind == "e" && t.is(wideForLabels...):
		return compareText(s, t)
	case s.Kind == "c" && t.Kind == "c":
		return compareFields(s, t)
	case s.Kind == "r" && t.Kind == "r" && s.Name == t.Name && s.Loose == t.Loose:
		return compare(s.Subtype, t.Subtype)
	case s.Name == t.Name && s.Kind == t.Kind && s.builtIn() == t.builtIn(): // an extension may live in another schema
		return compareModifiers(s, t)
	case (s.builtIn() || s.isCitext()) && (t.builtIn() || t.isCitext()) && slices.Contains(wider[s.Name], t.Name):
		return compareModifiers(s, t)
	}
	return no
}

func (t *Type) builtIn() bool { return t.Schema == "pg_catalog" }

// compareLabels: values are carried, and compared, by label. Their order is that of each side.
func compareLabels(s, t *Type) verdict {
	missing := slices.ContainsFunc(s.Labels, func(label string) bool { return !slices.Contains(t.Labels, label) })
	switch {
	case !missing:
		return yes
	case s.Name == t.Name:
		return labels
	}
	return no
}

// compareFields: a composite value is carried by position.
func compareFields(s, t *Type) verdict {
	if len(s.Fields) != len(t.Fields) {
		return no
	}
	worst := yes
	for i, field := range s.Fields {
		if field.Name != t.Fields[i].Name {
			return no
		}
		if v := compare(field.Type, t.Fields[i].Type); v.fit > worst.fit {
			worst = v
		}
	}
	return worst
}

// compareModifiers compares lengths and precisions of built-in types of which the target's is wider without them.
func compareModifiers(s, t *Type) verdict {
	switch {
	case t.is("text", "character varying") || t.isCitext():
		return compareText(s, t)
	case t.is("character"):
		return when(t.Modifier < 0 || s.Modifier >= 0 && s.Modifier <= t.Modifier, tooLong)
	case t.is("numeric"):
		return compareNumeric(s, t)
	case t.is("jsonb") && s.is("json"):
		return asJSONB
	case s.is("abstime") && s.Name != t.Name: // whole seconds
		return invalid
	case s.is("reltime") && t.is("interval"): // whole seconds
		if last, _ := intervalEnd(t.Modifier); last < intervalSecond {
			return no
		}
		return asSpan
	case t.is("bit varying"):
		if s.is("bit") { // all are of one length
			return when(t.Modifier < 0 || s.Modifier >= 0 && s.Modifier <= t.Modifier, no)
		}
		return when(t.Modifier < 0 || s.Modifier >= 0 && s.Modifier <= t.Modifier, tooLong)
	case t.is("timestamp without time zone", "timestamp with time zone", "time without time zone", "time with time zone"):
		return when(t.Modifier < 0 || t.Modifier == 6 || s.Modifier >= 0 && s.Modifier <= t.Modifier, no) // it would round
	case t.is("interval"):
		return when(intervalHolds(s.Modifier, t.Modifier), no) // it would round
	}
	return when(t.Modifier < 0 || s.Modifier == t.Modifier, no)
}

func when(holds bool, otherwise verdict) verdict {
	if holds {
		return yes
	}
	return otherwise
}

// compareText: a type with a length cuts blanks beyond it without an error, which of a char(n) would be most values.
func compareText(s, t *Type) verdict {
	if t.Modifier < 0 {
		return yes
	}
	longest, most := -1, int(t.Modifier)-4
	switch {
	case s.is("character varying", "character") && s.Modifier >= 0:
		longest = int(s.Modifier) - 4
	case s.is("name"):
		longest = 63
	case s.Kind == "e":
		for _, label := range s.Labels {
			longest = max(longest, utf8.RuneCountInString(label))
		}
	}
	switch {
	case longest >= 0 && longest <= most:
		return yes
	case s.is("character") && s.Modifier >= 0:
		return no
	case s.Kind == "e":
		return tooLong
	}
	return cut
}

// compareNumeric: fewer digits before the point are refused, fewer behind it are rounded in silence.
func compareNumeric(s, t *Type) verdict {
	if t.Modifier < 0 {
		return yes
	}
	digits, scale := numeric(t.Modifier)
	whole, behind := map[string]int{"smallint": 5, "integer": 10, "oid": 10, "bigint": 19}[s.Name], 0
	if s.is("numeric") {
		if s.Modifier < 0 {
			return no
		}
		whole, behind = numeric(s.Modifier)
		whole -= behind
	}
	if behind > scale {
		return no
	}
	return when(whole <= digits-scale, tooLarge)
}

// numeric takes a modifier apart. Since 15 the scale may be negative: 11 bits with a sign.
func numeric(modifier int32) (digits, scale int) {
	m := int(modifier) - 4
	return m >> 16 & 0xffff, (m&0x7ff ^ 1024) - 1024
}

// intervalHolds: which fields an interval has says what is cut off behind the last of them.
func intervalHolds(s, t int32) bool {
	sLast, sDigits := intervalEnd(s)
	tLast, tDigits := intervalEnd(t)
	return tLast >= sLast && (sLast < intervalSecond || tDigits >= sDigits)
}

// The fields of an interval, by the bits of its modifier, in the order of their size.
var intervalFields = []int32{1 << 2, 1 << 1, 1 << 3, 1 << 10, 1 << 11, 1 << 12} // year, month, day, hour, minute, second

const intervalSecond = 5

// intervalEnd is the last field that an interval keeps, and with how many digits it keeps seconds.
func intervalEnd(modifier int32) (last int, digits int32) {
	last, digits = intervalSecond, 6
	if modifier < 0 {
		return last, digits
	}
	if precision := modifier & 0xffff; precision != 0xffff {
		digits = precision
	}
	for i, bit := range intervalFields {
		if modifier>>16&0x7fff&bit != 0 {
			last = i
		}
	}
	return last, digits
}
