// Package apply is the target's side of a stream: it stages what a batch brings by COPY, merges it into the
// tables, and commits data and position together. It sees batches of rows, never how they were captured, and
// decodes no value: what COPY TO wrote, COPY FROM reads.
package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

// Table is a table to be written to: the statements for it, made once.
type Table struct {
	Number int
	Name   catalog.Name
	Keyed  bool

	// keyFields is how many fields behind the mark of a row are the key.
	keyFields int
	// exclusives are the source's: of what may not occur twice on the target, only these can be in transit.
	exclusives []string
	keyNames   []string
	// columnNames are those of a row, the key's first.
	columnNames []string

	create   string // staging tables
	copyRows string // rows that are there
	copyGone string // keys of rows that are gone, or images removed
	copyAll  string // into the table itself
	remove   string // the rows whose keys are gone
	upsert   string
	differs  string // the condition to be added to upsert where rows that are the same to the byte shall be left alone
	remove2  string // the rows that are staged, before they are inserted anew
	insert   string
	net      []string // of images: remove, insert
}

// NewTable prepares the statements that write rows of source, as its changes are captured, into target.
func NewTable(number int, source, target *catalog.Table) *Table {
	t := &Table{Number: number, Name: target.Name, Keyed: source.Key != nil}
	columns := columnsOf(source, target)
	t.columnNames = names(columns)
	stage := fmt.Sprintf("pg_temp.stage_%d", number)
	gone := fmt.Sprintf("pg_temp.gone_%d", number)
	t.create = createStage(stage, columns)
	t.copyRows = copyFrom(stage, columns)
	t.copyAll = copyFrom(target.SQL(), columns)
	t.insert = insertFrom(target, columns, stage)
	if !t.Keyed {
		t.create += createStage(gone, columns)
		t.copyGone = copyFrom(gone, columns)
		t.net = netStatements(target, columns, stage, gone)
		return t
	}
	key := columns[:len(source.Key.Columns)]
	t.keyFields, t.keyNames, t.exclusives = len(key), names(key), alike(source, target)
	unique := target.UniqueOn(t.keyNames)
	t.create += createStage(gone, key)
	t.copyGone = copyFrom(gone, key)
	t.remove = removeMatching(target, unique, key, gone)
	t.remove2 = removeMatching(target, unique, key, stage)
	t.upsert = t.insert + onConflict(columns, key)
	t.differs = fmt.Sprintf(" WHERE ROW(%s)::record OPERATOR(pg_catalog.*<>) ROW(%s)::record", list(columns, "there."), list(columns, "EXCLUDED."))
	if !upsertable(columns, key) || target.HasRules || target.DeferrableOn(t.keyNames) {
		t.upsert = "" // replaced row by row then
	}
	return t
}

// alike are the source's unique definitions that mean the same on the target: those on columns whose type is another there (citext
// for text) may exclude more, and what the target computes is not staged.
func alike(source, target *catalog.Table) []string {
	return slices.DeleteFunc(slices.Clone(source.Exclusives), func(definition string) bool {
		return slices.ContainsFunc(source.Columns, func(c catalog.Column) bool {
			there := target.Column(c.Name)
			return strings.Contains(definition, c.Name) && (there == nil || there.Generated || !catalog.SameValues(c, *there))
		})
	})
}

// Sparing is the table, to be written to only where a row differs: what is merged is mostly there already.
func (t *Table) Sparing() *Table {
	sparing := *t
	if strings.Contains(t.upsert, " DO UPDATE SET ") {
		sparing.upsert += t.differs
	}
	return &sparing
}

// columnsOf are the target's columns that the source fills, in the order in which the source sends them.
func columnsOf(source, target *catalog.Table) []catalog.Column {
	var columns []catalog.Column
	add := func(list []catalog.Column, taken []string) {
		for _, c := range list {
			if !slices.Contains(taken, c.Name) {
				columns = append(columns, *target.Column(c.Name))
			}
		}
	}
	add(source.KeyColumns(), nil)
	add(source.Stored(), source.KeyNames())
	return columns
}

// createStage makes a staging table. Domains are taken for what they are made of: their checks belong to the target's
// own columns, where a violation names them.
func createStage(name string, columns []catalog.Column) string {
	fields := make([]string, len(columns))
	for i, c := range columns {
		fields[i] = pg.Ident(c.Name) + " " + c.Base
	}
	return fmt.Sprintf("CREATE TEMP TABLE %s (%s) ON COMMIT DELETE ROWS;\n", name, strings.Join(fields, ", "))
}

func copyFrom(table string, columns []catalog.Column) string {
	return fmt.Sprintf("COPY %s%s FROM STDIN", table, parenthesized(columns))
}

// parenthesized: a table may have no column, an empty list is no SQL.
func parenthesized(columns []catalog.Column) string {
	if len(columns) == 0 {
		return ""
	}
	return " (" + list(columns, "") + ")"
}

func list(columns []catalog.Column, prefix string) string {
	fields := make([]string, len(columns))
	for i, c := range columns {
		fields[i] = prefix + pg.Ident(c.Name)
	}
	return strings.Join(fields, ", ")
}

func names(columns []catalog.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

func insertFrom(target *catalog.Table, columns []catalog.Column, stage string) string {
	return fmt.Sprintf("INSERT INTO %s AS there%s%s SELECT %s FROM %s", target.SQL(), parenthesized(columns), overriding(columns), list(columns, ""), stage)
}

func overriding(columns []catalog.Column) string {
	if slices.ContainsFunc(columns, func(c catalog.Column) bool { return c.Identity != "" }) {
		return " OVERRIDING SYSTEM VALUE"
	}
	return ""
}

// removeMatching deletes the rows whose key is in from. Its operators are those of the target's index: nothing else finds
// them there.
func removeMatching(target *catalog.Table, unique *catalog.Unique, key []catalog.Column, from string) string {
	on := make([]string, len(key))
	for i, c := range key {
		on[i] = fmt.Sprintf("%s %s s.%s", c.Comparable("t."+pg.Ident(c.Name)), unique.Equal[i], pg.Ident(c.Name))
	}
	return fmt.Sprintf("DELETE FROM ONLY %s t USING %s s WHERE %s", target.SQL(), from, strings.Join(on, " AND "))
}

// exact are the types whose equal values are the same to the byte. Values of others may be equal and differ (1.0 and
// 1.00; citext), and then the key itself has to be updated.
var exact = []string{
	"smallint", "integer", "bigint", "oid", "boolean", "text", "character varying", "bpchar", "character", `"char"`, "name", "uuid", "bytea", "date",
	"timestamp without time zone", "timestamp with time zone", "time without time zone", "money", "macaddr",
}

// isExact: of the characters, only those without a length may differ in trailing blanks.
func isExact(c catalog.Column) bool {
	return slices.Contains(exact, c.BaseType) && c.Base != "bpchar"
}

func onConflict(columns, key []catalog.Column) string {
	var set []string
	for i, c := range columns {
		if i < len(key) && isExact(c) {
			continue
		}
		set = append(set, fmt.Sprintf("%s = EXCLUDED.%s", pg.Ident(c.Name), pg.Ident(c.Name)))
	}
	if len(set) == 0 {
		return fmt.Sprintf(" ON CONFLICT (%s) DO NOTHING", list(key, ""))
	}
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s", list(key, ""), strings.Join(set, ", "))
}

// upsertable: a column GENERATED ALWAYS AS IDENTITY can be inserted, but not updated.
func upsertable(columns, key []catalog.Column) bool {
	for i, c := range columns {
		if c.Identity == "a" && (i >= len(key) || !isExact(c)) {
			return false
		}
	}
	return true
}

// netStatements apply images of a table without a key: what was inserted more often than removed is inserted that many
// times, and the reverse. Images are compared by their text, which is exact and which every type has.
func netStatements(target *catalog.Table, columns []catalog.Column, stage, gone string) []string {
	image := func(prefix string) string { return "ROW(" + list(columns, prefix) + ")::text" }
	net := fmt.Sprintf(`WITH net AS (
		SELECT image, sum(sign) AS n FROM (SELECT %s AS image, 1 AS sign FROM %s s UNION ALL SELECT %s, -1 FROM %s s) i GROUP BY image)`,
		image("s."), stage, image("s."), gone)
	remove := fmt.Sprintf(`%s, doomed AS (
		SELECT t.ctid, row_number() OVER (PARTITION BY t.image) AS i, net.n
		  FROM (SELECT ctid, %s AS image FROM ONLY %s t) t JOIN net ON net.image = t.image AND net.n < 0), deleted AS (
		DELETE FROM ONLY %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM doomed WHERE i <= -n)) RETURNING 1)
		SELECT coalesce((SELECT sum(-n) FROM net WHERE n < 0), 0)::bigint, (SELECT count(*) FROM deleted)`,
		net, image("t."), target.SQL(), target.SQL())
	insert := fmt.Sprintf(`%s, wanted AS (
		SELECT s.ctid, row_number() OVER (PARTITION BY s.image) AS i, net.n
		  FROM (SELECT ctid, %s AS image FROM %s s) s JOIN net ON net.image = s.image AND net.n > 0)
		%s s WHERE ctid = ANY (ARRAY(SELECT ctid FROM wanted WHERE i <= n))`,
		net, image("s."), stage, insertFrom(target, columns, stage))
	return []string{remove, insert}
}
