package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

// table is a pair with the expressions to compare it by.
type table struct {
	Pair   *Pair
	source *side
	target *side
	result tally
}

// side is a table as one server has it. Its rows are named t in all expressions.
type side struct {
	*catalog.Table
	key     []catalog.Column
	equal   []string // the equality operators of the key's index
	columns []string // names of the compared columns
	values  []string // an expression for each that has the same text wherever the value is the same
	utf8    bool     // the server's own encoding; anything else is converted before it is hashed
	bytes   string   // of a source in SQL_ASCII: the encoding of its bytes; "" for UTF8
}

func newTables(s *sessions, pairs []Pair) []*table {
	tables := make([]*table, len(pairs))
	for i, p := range pairs {
		t := &table{Pair: &pairs[i], source: newSide(s.source, p.Source), target: newSide(s.target, p.Target)}
		t.result.result = Result{Table: p.Source.Name, Name: p.Source.Name.String()}
		t.chooseColumns(s.source.Version)
		if err := t.chooseKey(); err != nil {
			t.result.skip(err.Error())
		}
		tables[i] = t
	}
	return tables
}

func newSide(conn *pg.Conn, t *catalog.Table) *side {
	encoding := conn.PgConn().ParameterStatus("server_encoding")
	s := &side{Table: t, utf8: encoding == "UTF8" || encoding == "SQL_ASCII"}
	if conn.Side == pg.Source {
		s.bytes = conn.Encoding
	}
	return s
}

// chooseKey takes the source's key, and the index on the target that has the same columns.
func (t *table) chooseKey() error {
	if t.Pair.Source.Key == nil {
		return nil
	}
	names := t.Pair.Source.KeyNames()
	unique := t.Pair.Target.UniqueOn(names)
	if unique == nil {
		return fmt.Errorf("has no primary key or unique index on (%s) on the target; create it there", strings.Join(names, ", "))
	}
	t.source.key, t.source.equal, t.target.equal = t.Pair.Source.KeyColumns(), t.Pair.Source.Key.Equal, unique.Equal
	for _, name := range names {
		t.target.key = append(t.target.key, *t.Pair.Target.Column(name))
	}
	return nil
}

// chooseColumns takes what is stored on both sides.
func (t *table) chooseColumns(version int) {
	for _, s := range t.Pair.Source.Stored() {
		d := t.Pair.Target.Column(s.Name)
		if d == nil {
			continue
		}
		if version < 90400 && becomesJSONB(s.Of, d.Of) {
			t.result.note(fmt.Sprintf("column %s was not compared: it is %s on the source and %s on the target", s.Name, s.Type, d.Type))
			continue
		}
		x := "t." + pg.Ident(s.Name)
		source, target := asOne(x, x, s.Of, d.Of)
		for _, side := range []*side{t.source, t.target} {
			side.columns = append(side.columns, s.Name)
		}
		t.source.values, t.target.values = append(t.source.values, source), append(t.target.values, target)
	}
}

// ranged says whether the table is compared by ranges of its key: integers have the same order everywhere.
func (t *table) ranged() bool { return integerKey(t.source) && integerKey(t.target) }

func integerKey(s *side) bool {
	return len(s.key) == 1 && slices.Contains([]string{"smallint", "integer", "bigint"}, s.key[0].BaseType)
}

// skip gives the table up for an error that concerns it alone.
func (t *table) skip(err error) bool {
	var skipped *skipError
	switch {
	case errors.As(err, &skipped):
		t.result.skip(skipped.reason)
	case pg.Rejected(err):
		t.result.skip(err.Error())
	default:
		return false
	}
	return true
}

// skipError says that a table can not be compared now.
type skipError struct{ reason string }

func (e *skipError) Error() string { return e.reason }

// image is the text of the compared columns. A row constructor is the one expression that takes 1,600 of them; its text tells
// null from empty and quotes what could be mistaken. It takes the output function of each type, as COPY does, never a cast
// that somebody has defined.
func (s *side) image() string { return "ROW(" + strings.Join(s.values, ", ") + ")::text" }

// hash is the md5 of the image in UTF-8, as 32 digits.
func (s *side) hash() string { return s.md5(s.image()) }

func (s *side) md5(text string) string {
	if s.bytes != "" {
		return "md5(" + s.recode(text, s.bytes, "UTF8") + ")"
	}
	if s.utf8 {
		return "md5(" + text + ")"
	}
	return "md5(convert_to(" + text + ", 'UTF8'))"
}

// recode is an expression for the bytes of a text in another encoding, on a server that knows of none.
func (s *side) recode(text, from, to string) string {
	return fmt.Sprintf("convert(convert_to(%s, 'SQL_ASCII'), %s, %s)", text, pg.Literal(from), pg.Literal(to))
}

// sent is an expression for a text on its way to us, in UTF8; received for one of ours.
func (s *side) sent(text string) string { return s.carried(text, s.bytes, "UTF8") }

func (s *side) received(text string) string { return s.carried(text, "UTF8", s.bytes) }

func (s *side) carried(text, from, to string) string {
	if s.bytes == "" {
		return text
	}
	return "convert_from(" + s.recode(text, from, to) + ", 'SQL_ASCII')"
}

// rows is the FROM item: never the rows of inheritance children.
func (s *side) rows() string { return "ONLY " + s.SQL() + " t" }

// keys are the key's columns behind a prefix.
func (s *side) keys(prefix string) []string {
	list := make([]string, len(s.key))
	for i, c := range s.key {
		list[i] = c.Comparable(prefix + pg.Ident(c.Name))
	}
	return list
}

// names of the key columns as aliases that no column can have taken by accident in a subselect of ours: k1, k2, …
func (s *side) aliases(prefix string) []string {
	list := make([]string, len(s.key))
	for i := range s.key {
		list[i] = fmt.Sprintf("%sk%d", prefix, i+1)
	}
	return list
}

// sameKey joins the rows t to the aliased keys of another relation.
func (s *side) sameKey(left []string, other string) string {
	on := make([]string, len(left))
	for i, alias := range s.aliases(other) {
		on[i] = fmt.Sprintf("%s %s %s", left[i], s.equal[i], alias)
	}
	return strings.Join(on, " AND ")
}

// as gives expressions the key's aliases.
func as(expressions, aliases []string) string {
	list := make([]string, len(expressions))
	for i := range expressions {
		list[i] = expressions[i] + " AS " + aliases[i]
	}
	return strings.Join(list, ", ")
}
