// Package catalog describes tables, columns and keys as a server's catalogs have them, on
// either side and in every version, and says whether a source's table fits a target's. It only reads.
package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/pg"
)

// Name is a relation's schema and name, exactly as in the catalog.
type Name struct{ Schema, Relation string }

// SQL is the quoted, qualified name.
func (n Name) SQL() string { return pg.Ident(n.Schema, n.Relation) }

// String is the name as operators write it in the configuration.
func (n Name) String() string { return n.Schema + "." + n.Relation }

// Compare orders names by schema, then table.
func (n Name) Compare(other Name) int {
	if c := strings.Compare(n.Schema, other.Schema); c != 0 {
		return c
	}
	return strings.Compare(n.Relation, other.Relation)
}

// Find returns the table of that name, written schema.table; nil if there is none.
func (c *Catalog) Find(name string) *Table {
	for _, t := range c.Tables {
		if t.Name.String() == name {
			return t
		}
	}
	return nil
}

// Kind is a relation's pg_class.relkind.
type Kind string

// The kinds of relations that hold or show rows.
const (
	Ordinary     Kind = "r"
	Partitioned  Kind = "p"
	View         Kind = "v"
	Materialized Kind = "m"
	Foreign      Kind = "f"
)

// String is PostgreSQL's word for it.
func (k Kind) String() string {
	switch k {
	case Ordinary:
		return "table"
	case Partitioned:
		return "partitioned table"
	case View:
		return "view"
	case Materialized:
		return "materialized view"
	case Foreign:
		return "foreign table"
	}
	return "relation of kind " + string(k)
}

// Table is one relation. Columns, uniques and Key are empty for anything but (partitioned) tables.
type Table struct {
	Name
	OID      uint32
	Kind     Kind
	HasRules bool
	Rows     int64 // the planner's estimate; 0 where it has none
	Columns  []Column
	Uniques  []Unique

	// Exclusives are the definitions, without names, of its unique indexes of every kind and its exclusion constraints, once LoadExclusives
	// has read them.
	Exclusives []string

	// Key tells rows apart; nil where no unique index can.
	Key *Unique
}

// Column is one column that is not dropped.
type Column struct {
	Number    int16 // pg_attribute.attnum
	Name      string
	Type      string // as declared, qualified outside pg_catalog
	Base      string // Type with domains resolved
	BaseType  string // Base without length or precision
	Of        *Type  // all that it is made of
	Loose     string // its collation, where that is nondeterministic: it takes different texts for equal
	Created   bool   // BaseType was made in this database (CREATE TYPE, CREATE EXTENSION) and may be dropped from it
	NotNull   bool
	Default   bool
	Identity  string // "" no, "a" GENERATED ALWAYS, "d" BY DEFAULT
	Generated bool

	ParsedByCast bool // text is cast to BaseType by a function, which may not take what BaseType looks like
	PlainText    bool // BaseType's cast to text gives the same under all settings of a session: an enum's label, a string
}

// Comparable is an expression for a value x of the column as an operator takes it: that of an enum is not found for a domain over it.
func (c Column) Comparable(x string) string {
	if c.Type == c.Base {
		return x
	}
	return x + "::" + c.BaseType
}

// Unique is a unique index, or that of an exclusion constraint.
type Unique struct {
	Index   string
	Primary bool
	Columns []int16 // pg_attribute.attnum of the key columns; 0 for an expression

	// Equal holds, for each key column, the equality operator of its operator class: OPERATOR(pg_catalog.=).
	Equal []string

	// Compares holds, for each key column, the type that its operator class takes, which may be a pseudo-type: anyarray.
	Compares []string
	// Loose holds, for each key column, the collation that it goes by, where that is nondeterministic.
	Loose []string

	Deferrable, Partial, Expression, Exclusion, Valid bool
}

// loose is the nondeterministic collation of a key column, "" for any other.
func (u Unique) loose(i int) string {
	if i < len(u.Loose) {
		return u.Loose[i]
	}
	return ""
}

// unfit says why the index can not serve as a key of its table, "" if it can.
func (u Unique) unfit(t *Table) string {
	switch {
	case u.Exclusion:
		return "that of an exclusion constraint"
	case !u.Valid:
		return "not valid"
	case u.Deferrable:
		return "deferrable"
	case u.Partial:
		return "partial"
	case u.Expression:
		return "on an expression"
	}
	for _, number := range u.Columns {
		if c := t.column(number); c == nil || !c.NotNull {
			return "on a column that may be null"
		}
	}
	return ""
}

// chooseKey takes the primary key, else the fit unique index with the fewest columns.
func (t *Table) chooseKey() {
	for _, u := range t.Uniques {
		if u.unfit(t) != "" {
			continue
		}
		if t.Key == nil || (!t.Key.Primary && len(u.Columns) < len(t.Key.Columns)) {
			t.Key = &u
		}
	}
}

// WhyKeyless explains, for a table without a key, why its unique indexes do not help; "" if it has none.
func (t *Table) WhyKeyless() string {
	var reasons []string
	for _, u := range t.Uniques {
		if why := u.unfit(t); why != "" && !u.Exclusion {
			reasons = append(reasons, fmt.Sprintf("unique index %s is %s", u.Index, why))
		}
	}
	return strings.Join(reasons, ", ")
}

// UniqueOn returns a fit unique index on exactly these columns, its own columns put in their order; nil if there is none.
func (t *Table) UniqueOn(columns []string) *Unique {
	for _, u := range t.Uniques {
		if u.unfit(t) != "" || len(u.Columns) != len(columns) {
			continue
		}
		ordered := u
		ordered.Columns, ordered.Equal, ordered.Loose = nil, nil, nil
		for _, name := range columns {
			i := slices.IndexFunc(u.Columns, func(number int16) bool { return t.column(number).Name == name })
			if i < 0 {
				break
			}
			ordered.Columns = append(ordered.Columns, u.Columns[i])
			ordered.Equal = append(ordered.Equal, u.Equal[i])
			ordered.Loose = append(ordered.Loose, u.loose(i))
		}
		if len(ordered.Columns) == len(columns) {
			return &ordered
		}
	}
	return nil
}

// DeferrableOn says whether a valid unique index on exactly these columns is deferrable. ON CONFLICT takes every one that matches its columns
// for an arbiter, and fails if one of them is deferrable, whatever others there are.
func (t *Table) DeferrableOn(columns []string) bool {
	return slices.ContainsFunc(t.Uniques, func(u Unique) bool {
		if !u.Deferrable || !u.Valid || u.Partial || u.Expression {
			return false
		}
		var names []string
		for _, number := range u.Columns {
			if c := t.column(number); c != nil {
				names = append(names, c.Name)
			}
		}
		return sameSet(names, columns)
	})
}

func sameSet(a, b []string) bool {
	within := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
	}
	return within(a, b) && within(b, a)
}

// KeyColumns are the columns of the key, in its order; none for a table without a key.
func (t *Table) KeyColumns() []Column {
	if t.Key == nil {
		return nil
	}
	columns := make([]Column, len(t.Key.Columns))
	for i, number := range t.Key.Columns {
		columns[i] = *t.column(number)
	}
	return columns
}

// Column returns the column of that name, or nil.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

func (t *Table) column(number int16) *Column {
	for i := range t.Columns {
		if t.Columns[i].Number == number {
			return &t.Columns[i]
		}
	}
	return nil
}

// Stored are the columns that hold data of their own: generated ones are left out.
func (t *Table) Stored() []Column {
	return slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return c.Generated })
}
