package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

// OIDs of built-in types.
const (
	float4OID  = 700
	float8OID  = 701
	bpcharOID  = 1042
	numericOID = 1700
	jsonbOID   = 3802
)

// send are the functions that give the binary form of the types whose text is written with as many digits as a version
// of PostgreSQL sees fit.
var send = map[uint32]string{
	float4OID: "float4send",
	float8OID: "float8send",
	600:       "point_send",
	601:       "lseg_send",
	602:       "path_send",
	603:       "box_send",
	604:       "poly_send",
	628:       "line_send",
	718:       "circle_send",
}

// inexact says whether equal values of the type may have different texts. Multiranges do not count: where they exist
// floats are written alike.
func inexact(t *catalog.Type) bool {
	return some(t, func(t *catalog.Type) bool { return send[t.OID] != "" })
}

// some says whether something holds for a type or for any of what it is made of.
func some(t *catalog.Type, holds func(*catalog.Type) bool) bool {
	return t != nil && (holds(t) || some(t.Domain, holds) || some(t.Element, holds) || some(t.Subtype, holds) ||
		slices.ContainsFunc(t.Fields, func(f catalog.Field) bool { return some(f.Type, holds) }))
}

func becomesJSONB(s, t *catalog.Type) bool {
	jsonb := func(t *catalog.Type) bool { return t.OID == jsonbOID }
	return some(t, jsonb) && !some(s, jsonb)
}

// asOne are expressions for a value on either side, x and y, that have the same text where the value of one is what the other became.
// What the target's type writes in another way is read by that type on the source, as COPY has it read.
func asOne(x, y string, s, t *catalog.Type) (source, target string) {
	if s == nil || t == nil { // dropped meanwhile
		return x, y
	}
	from, to := s.Bare(), t.Bare()
	switch {
	case !rewritten(from, to):
		return exact(x, s), exact(y, t)
	case len(from.Fields) > 0:
		sources, targets := make([]string, len(from.Fields)), make([]string, len(to.Fields))
		for i, f := range from.Fields {
			g := to.Fields[i]
			sources[i], targets[i] = asOne("("+x+")."+pg.Ident(f.Name), "("+y+")."+pg.Ident(g.Name), f.Type, g.Type)
		}
		return ofFields(x, sources), ofFields(y, targets)
	case from.Element != nil && len(from.Element.Bare().Fields) > 0:
		source, target = asOne("u.e", "u.e", from.Element, to.Element)
		return ofElements(x, source), ofElements(y, target)
	case from.Subtype != nil:
		sourceLower, targetLower := asOne("lower("+x+")", "lower("+y+")", from.Subtype, to.Subtype)
		sourceUpper, targetUpper := asOne("upper("+x+")", "upper("+y+")", from.Subtype, to.Subtype)
		return ofRange(x, sourceLower, sourceUpper), ofRange(y, targetLower, targetUpper)
	case to.OID == bpcharOID:
		return x + "::text", y + "::text" // without the blanks that fill it up
	}
	return exact("("+x+"::text::"+castTo(to)+")", to), exact(y, t)
}

// rewritten says whether a value may have another text on the target than on the source.
func rewritten(s, t *catalog.Type) bool {
	s, t = s.Bare(), t.Bare()
	switch {
	case s.Element != nil && t.Element != nil:
		return rewritten(s.Element, t.Element)
	case s.Subtype != nil && t.Subtype != nil:
		return rewritten(s.Subtype, t.Subtype)
	case len(s.Fields) > 0 && len(s.Fields) == len(t.Fields):
		for i, f := range s.Fields {
			if rewritten(f.Type, t.Fields[i].Type) {
				return true
			}
		}
		return false
	case t.OID == bpcharOID || t.OID == numericOID && t.Modifier >= 0:
		return s.OID != t.OID || s.Modifier != t.Modifier
	}
	return s.OID != t.OID && slices.Contains([]string{"double precision", "inet", "timestamp with time zone", "interval", "jsonb"}, t.Name)
}

// castTo names a built-in type, or an array of one, with the length or scale that its values are written with. Its precision may be less
// than the source's value has: that does not matter here.
func castTo(t *catalog.Type) string {
	name, array := t.SQL, ""
	if t.Element != nil {
		t, array = t.Element.Bare(), "[]"
		name = t.SQL
	}
	if t.Modifier < 0 {
		return name + array
	}
	switch t.OID {
	case numericOID:
		return fmt.Sprintf("numeric(1000,%d)", (t.Modifier-4)&0x7ff) + array
	case bpcharOID:
		return fmt.Sprintf("character(%d)", t.Modifier-4) + array
	}
	return name + array
}

// exact is an expression for the value x of that type, whose text is the same on every server where the value is.
func exact(x string, t *catalog.Type) string {
	if !inexact(t) {
		return x
	}
	switch {
	case t.OID == float4OID || t.OID == float8OID:
		return exactFloat(x, t.OID)
	case send[t.OID] != "":
		return send[t.OID] + "(" + x + ")"
	case t.Domain != nil:
		return exact("("+x+")::"+t.Domain.SQL, t.Domain)
	case t.Element != nil:
		element := t.Element.Bare()
		if element.OID == float4OID || element.OID == float8OID {
			return fmt.Sprintf("CASE WHEN 'NaN' = ANY (%s) THEN %s ELSE %s::text END", x, ofElements(x, exact("u.e", t.Element)), exactArray(x))
		}
		if send[element.OID] != "" {
			return exactArray(x)
		}
		return ofElements(x, exact("u.e", t.Element))
	case t.Subtype != nil:
		return ofRange(x, exact("lower("+x+")", t.Subtype), exact("upper("+x+")", t.Subtype))
	}
	fields := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		fields[i] = exact("("+x+")."+pg.Ident(f.Name), f.Type)
	}
	return ofFields(x, fields)
}

// exactFloat: a NaN that was calculated has another sign bit than one that was read from text.
func exactFloat(x string, oid uint32) string {
	return fmt.Sprintf("CASE %s WHEN 'NaN' THEN ''::bytea ELSE %s(%s) END", x, send[oid], x)
}

// exactArray leaves out of the binary form whether there is a bitmap of nulls, which there may be without a null, and the OID of the
// elements' type.
func exactArray(x string) string {
	return `overlay(array_send(` + x + `) PLACING '\x0000000000000000'::bytea FROM 5)`
}

// ofElements is the text of an array x by an expression for each element u.e.
func ofElements(x, element string) string {
	return fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL THEN ROW(array_dims(%[1]s), ARRAY(SELECT ROW(%[2]s)::text FROM (SELECT unnest(%[1]s) AS e OFFSET 0) u))::text END",
		x, element)
}

// ofFields is the text of a composite value x by an expression for each field. IS NULL would also be true of a row of nulls.
func ofFields(x string, fields []string) string {
	return fmt.Sprintf("CASE WHEN (%s)::text IS NOT NULL THEN ROW(%s)::text END", x, strings.Join(fields, ", "))
}

// ofRange is the text of a range x by expressions for its bounds.
func ofRange(x, lower, upper string) string {
	return fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL THEN ROW(isempty(%[1]s), lower_inc(%[1]s), upper_inc(%[1]s), lower_inf(%[1]s), upper_inf(%[1]s), %[2]s, %[3]s)::text END",
		x, lower, upper)
}
