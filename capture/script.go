package capture

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

var (
	//go:embed sql/install.sql
	installSQL string
	//go:embed sql/triggers.sql
	triggersSQL string
	//go:embed sql/drop_triggers.sql
	dropTriggersSQL string
	//go:embed sql/function.sql
	functionSQL string
	//go:embed sql/redirect.sql
	redirectSQL string
)

// script renders the SQL of one stream's objects on the source.
type script struct {
	schema string // quoted
	stream string // begins the names of triggers: pgibex_main
}

func newScript(stream string) script {
	schema := state.Schema(stream)
	return script{schema: pg.Ident(schema), stream: schema}
}

func (s script) install() string { return s.sql(installSQL) }

func (s script) sql(template string) string { return pg.Fill(template, "schema", s.schema) }

// delta is the quoted name of a segment.
func (s script) delta(number, segment int) string {
	return fmt.Sprintf("%s.delta_%d_%d", s.schema, number, segment)
}

// objects are everything of a table that needs no lock on it.
func (s script) objects(number int, t *catalog.Table) string {
	var b strings.Builder
	if t.Key == nil {
		fmt.Fprintf(&b, "CREATE TYPE %s.image_%d AS (%s);\n", s.schema, number, typed("c", t.Stored()))
	}
	for segment := 1; segment <= 2; segment++ {
		b.WriteString(s.segment(number, segment, s.deltaColumns(number, t)))
	}
	b.WriteString(s.function(number, t))
	// A WHEN condition is evaluated with the rights of whoever writes to the table.
	fmt.Fprintf(&b, "GRANT EXECUTE ON FUNCTION %s.capture_%d(%s) TO PUBLIC;\n", s.schema, number, strings.Join(s.types(number, t), ", "))
	return b.String()
}

// segment creates one segment. Nothing in it is ever updated or deleted, so there is nothing to vacuum.
func (s script) segment(number, segment int, columns string) string {
	return fmt.Sprintf("CREATE TABLE %s (%s) WITH (autovacuum_enabled = false);\n", s.delta(number, segment), columns)
}

func (s script) deltaColumns(number int, t *catalog.Table) string {
	if t.Key == nil {
		return fmt.Sprintf("image %s.image_%d, sign smallint, txid bigint", s.schema, number)
	}
	return typed("k", t.KeyColumns()) + ", txid bigint"
}

// function records in the first segment. It is made to record in another by redirect, whatever form it has.
func (s script) function(number int, t *catalog.Table) string {
	types := s.types(number, t)
	values := make([]string, len(types))
	for i := range types {
		values[i] = "$" + strconv.Itoa(i+1)
	}
	if t.Key == nil {
		values[0] += "[1]"
	}
	return pg.Fill(functionSQL, "schema", s.schema, "number", strconv.Itoa(number),
		"types", strings.Join(types, ", "), "values", strings.Join(values, ", "))
}

// types are those of the function's arguments. An image comes wrapped in an array: PL/pgSQL before 11 takes a composite
// argument apart into its fields.
func (s script) types(number int, t *catalog.Table) []string {
	if t.Key == nil {
		return []string{fmt.Sprintf("%s.image_%d[]", s.schema, number), "smallint"}
	}
	var types []string
	for _, c := range t.KeyColumns() {
		types = append(types, recordedType(c))
	}
	return types
}

// asText: a value of a type that was created in the database is recorded as text. Nothing of ours may depend on that type, or the
// application could not drop it when it drops the table.
func asText(c catalog.Column) bool { return c.Created && !c.ParsedByCast }

func recordedType(c catalog.Column) string {
	if asText(c) {
		return "text"
	}
	return c.BaseType
}

// typed is a list of columns, prefix and a number each.
func typed(prefix string, columns []catalog.Column) string {
	fields := make([]string, len(columns))
	for i, c := range columns {
		fields[i] = fmt.Sprintf("%s%d %s", prefix, i+1, recordedType(c))
	}
	return strings.Join(fields, ", ")
}

// recorded is a value of row as it is recorded. A text that depends on the session's settings (a composite with a float in it) is made
// by a function that has settings of its own, which costs about as much as recording the row does.
func (s script) recorded(row string, c catalog.Column) string {
	value := row + "." + pg.Ident(c.Name)
	switch {
	case !asText(c):
		return value
	case c.PlainText:
		return value + "::pg_catalog.text"
	}
	return s.schema + ".as_text(" + value + ")"
}

// triggers records each change in the WHEN condition of a trigger, which costs the same as in its
// function (measured on 9.2.21), and has one great advantage: a condition knows columns by their number. A
// function would know them by name, and after ALTER TABLE … RENAME COLUMN every write of the application would fail.
func (s script) triggers(number int, t *catalog.Table) string {
	call := func(row string) string { return s.call(number, t, row, 1) }
	insert, remove := call("NEW"), call("OLD")
	var update string
	if t.Key == nil {
		remove = s.call(number, t, "OLD", -1)
		update = remove + " OR " + insert
	} else {
		var same []string
		for i, c := range t.KeyColumns() {
			was, is := c.Comparable("OLD."+pg.Ident(c.Name)), c.Comparable("NEW."+pg.Ident(c.Name))
			same = append(same, fmt.Sprintf("%s %s %s", was, t.Key.Equal[i], is))
		}
		update = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s OR %s END", strings.Join(same, " AND "), insert, remove, insert)
	}
	return pg.Fill(triggersSQL, "schema", s.schema, "stream", s.stream, "table", t.SQL(), "number", strconv.Itoa(number),
		"insert", insert, "update", update, "delete", remove)
}

func (s script) call(number int, t *catalog.Table, row string, sign int) string {
	var columns []catalog.Column
	if t.Key == nil {
		columns = t.Stored()
	} else {
		columns = t.KeyColumns()
	}
	fields := make([]string, len(columns))
	for i, c := range columns {
		fields[i] = s.recorded(row, c)
	}
	list := strings.Join(fields, ", ")
	if t.Key == nil {
		list = fmt.Sprintf("ARRAY[ROW(%s)::%s.image_%d], %d::smallint", list, s.schema, number, sign)
	}
	return fmt.Sprintf("%s.capture_%d(%s)", s.schema, number, list)
}

func (s script) dropTriggers(t catalog.Name) string {
	return pg.Fill(dropTriggersSQL, "stream", s.stream, "table", t.SQL())
}

// signature is what the triggers were made for, one text a column.
func signature(t *catalog.Table) []string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = fmt.Sprintf("%d %s %s", c.Number, pg.Ident(c.Name), c.Type)
	}
	return columns
}
