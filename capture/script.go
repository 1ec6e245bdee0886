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
		fmt.Fprintf(&b, "CREATE TYPE %s.image_%d AS (%s);\n", s.schema, number, s.imageFields(t))
	}
	for segment := 1; segment <= 2; segment++ {
		b.WriteString(s.segment(number, segment, t))
	}
	b.WriteString(s.function(number, 1, t))
	// A WHEN condition is evaluated with the rights of whoever writes to the table.
	fmt.Fprintf(&b, "GRANT EXECUTE ON FUNCTION %s.capture_%d(%s) TO PUBLIC;\n", s.schema, number, strings.Join(s.types(number, t), ", "))
	return b.String()
}

// segment creates one segment. Nothing in it is ever updated or deleted, so there is nothing to vacuum.
func (s script) segment(number, segment int, t *catalog.Table) string {
	var columns []string
	if t.Key == nil {
		columns = append(columns, fmt.Sprintf("image %s.image_%d", s.schema, number), "sign smallint")
	} else {
		for i, c := range t.KeyColumns() {
			columns = append(columns, fmt.Sprintf("k%d %s", i+1, c.BaseType))
		}
	}
	return fmt.Sprintf("CREATE TABLE %s (%s, txid bigint) WITH (autovacuum_enabled = false);\n", s.delta(number, segment), strings.Join(columns, ", "))
}

// function makes the segment the active one, without any lock on the table.
func (s script) function(number, segment int, t *catalog.Table) string {
	types := s.types(number, t)
	values := make([]string, len(types))
	for i := range types {
		values[i] = "$" + strconv.Itoa(i+1)
		if t.Key == nil && i == 0 || t.Key != nil && t.KeyColumns()[i].Composite {
			values[i] += "[1]"
		}
	}
	return pg.Fill(functionSQL, "schema", s.schema, "number", strconv.Itoa(number), "segment", strconv.Itoa(segment),
		"types", strings.Join(types, ", "), "values", strings.Join(values, ", "))
}

// types are those of the function's arguments. A composite value comes wrapped in an array: PL/pgSQL before 11 takes a
// composite argument apart into its fields, and forgets whether one that is composite itself was null or a row of nulls.
func (s script) types(number int, t *catalog.Table) []string {
	if t.Key == nil {
		return []string{fmt.Sprintf("%s.image_%d[]", s.schema, number), "smallint"}
	}
	var types []string
	for _, c := range t.KeyColumns() {
		if c.Composite {
			c.BaseType += "[]"
		}
		types = append(types, c.BaseType)
	}
	return types
}

func (s script) imageFields(t *catalog.Table) string {
	var fields []string
	for i, c := range t.Stored() {
		fields = append(fields, fmt.Sprintf("c%d %s", i+1, c.BaseType))
	}
	return strings.Join(fields, ", ")
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
			name := pg.Ident(c.Name)
			same = append(same, fmt.Sprintf("OLD.%s %s NEW.%s", name, t.Key.Equal[i], name))
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
		fields[i] = row + "." + pg.Ident(c.Name)
		if t.Key != nil && c.Composite {
			fields[i] = "ARRAY[" + fields[i] + "]"
		}
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
