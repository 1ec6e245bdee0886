package torture

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// keyType is a type for key columns: how the value for a slot, which is an expression of type int, is made. No two slots have
// equal values unless partial. Equal values may be written in several variants.
type keyType struct {
	name     string
	variants []string // %s is the slot
	partial  bool     // several slots share a value: only good beside another column
}

var keyTypes = []keyType{
	{name: "int", variants: []string{"(%s)::int"}},
	{name: "bigint", variants: []string{"(%s)::bigint * 1000003"}},
	{name: "text", variants: []string{"'key ' || (%s)"}},
	{name: "citext", variants: []string{"('Key ' || (%s))::citext", "('KEY ' || (%s))::citext", "('kEy ' || (%s))::citext"}},
	{name: "numeric", variants: []string{"(%s)::numeric", "(%s)::numeric(12,1)", "(%s)::numeric(12,3)"}},
	{name: "uuid", variants: []string{"md5((%s)::text)::uuid"}},
	{name: "timestamptz", variants: []string{"timestamptz '2001-02-03 04:05:06.789+00' + (%s) * interval '1 hour 1 second'"}},
	{name: "bytea", variants: []string{"decode(md5((%s)::text), 'hex')"}},
	{name: "char(14)", variants: []string{"('c ' || (%s))::char(14)"}},
	{name: "mood", variants: []string{"(enum_range(NULL::mood))[1 + (%s) %% 5]"}, partial: true},
	{name: "date", variants: []string{"date '2001-01-01' + (%s) %% 300"}, partial: true},
	{name: "boolean", variants: []string{"((%s) %% 2 = 0)"}, partial: true},
}

// keys are the expressions for the key of a slot, one a column.
func (t *keyed) keys(r *rand.Rand, slot string) []string {
	list := make([]string, len(t.key))
	for i, k := range t.key {
		list[i] = fmt.Sprintf(k.variants[r.IntN(len(k.variants))], slot)
	}
	return list
}

// is is the condition that a row of the table has the key of a slot.
func (t *keyed) is(r *rand.Rand, alias string, slot int) string {
	var terms []string
	for i, value := range t.keys(r, strconv.Itoa(slot)) {
		terms = append(terms, fmt.Sprintf("%sk%d = %s", alias, i+1, value))
	}
	return strings.Join(terms, " AND ")
}

// setKey is the SET list that gives a row the key of a slot.
func (t *keyed) setKey(r *rand.Rand, slot int) string {
	var sets []string
	for i, value := range t.keys(r, strconv.Itoa(slot)) {
		sets = append(sets, fmt.Sprintf("k%d = %s", i+1, value))
	}
	return strings.Join(sets, ", ")
}

func (t *keyed) keyColumns() string {
	names := make([]string, len(t.key))
	for i := range names {
		names[i] = fmt.Sprintf("k%d", i+1)
	}
	return strings.Join(names, ", ")
}

// texts have what COPY escapes, and what is long.
var texts = []string{
	`'plain'`, `''`, `NULL`, `E'a\tb\\c\n\\.\n\r'`, `'Größe 大 🐘'`, `repeat('x', 3000)`, `E'\\N'`, `'  blanks  '`, `'"quoted", (and) {so}'`,
}

func text(r *rand.Rand) string { return texts[r.IntN(len(texts))] }

var floats = []string{"0.1", "1e-300", "'NaN'", "'-Infinity'", "1.0/3", "-0.0", "1e15", "NULL", "random()"}

// columns are values for the columns of a keyed table that are not its key, in the order of dataColumns.
func dataValues(r *rand.Rand) string {
	return fmt.Sprintf("(1000 * random())::int, 'c' || nextval('codes'), %v, int4range(5 * nextval('spans')::int, 5 * currval('spans')::int + 4), %d.%d, %s::float8, decode(md5(random()::text), 'hex'), %s, ARRAY[%s, NULL, 'z']::text[], clock_timestamp()",
		r.IntN(4) > 0, r.IntN(100000), r.IntN(1000), floats[r.IntN(len(floats))], text(r), text(r))
}

const dataColumns = "n, code, live, span, amount, ratio, bin, note, tags, at"
