package catalog

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/types.sql
var typesSQL string

// Type is a data type as one column, element or field has it: with its length or precision, and all that it is made of.
type Type struct {
	OID      uint32
	Schema   string
	Name     string // without its schema; of a built-in type as SQL writes it, without length or precision
	SQL      string // as a cast names it, without length or precision
	Kind     string // pg_type.typtype
	Modifier int32  // pg_attribute.atttypmod; -1 without length or precision

	Domain  *Type // what a domain is over
	Checked bool  // a domain with a CHECK or NOT NULL
	Element *Type // of an array
	Subtype *Type // of a range
	Fields  []Field
	Labels  []string // of an enum, in its order
	Loose   string   // of a range: its collation, where that is nondeterministic
}

// Field is one attribute of a composite type.
type Field struct {
	Name  string
	Type  *Type
	Loose string // its collation, where that is nondeterministic: it takes different texts for equal
}

// Bare is the type without the domains around it.
func (t *Type) Bare() *Type {
	for t.Domain != nil {
		t = t.Domain
	}
	return t
}

// is says whether it is the built-in type of that name.
func (t *Type) is(names ...string) bool {
	for _, name := range names {
		if t.Schema == "pg_catalog" && t.Name == name {
			return true
		}
	}
	return false
}

// isCitext: the extension may live in any schema.
func (t *Type) isCitext() bool {
	return t.Kind == "b" && t.Name == "citext" && t.Schema != "pg_catalog"
}

// definition is a row of pg_type.
type definition struct {
	Type
	base, element, subtype uint32
	baseModifier           int32
	fieldNames, fieldLoose []string
	fieldTypes             []uint32
	fieldModifiers         []int32
}

// typeSet makes types of their definitions, each once.
type typeSet struct {
	definitions map[uint32]*definition
	made        map[typeKey]*Type
}

type typeKey struct {
	oid      uint32
	modifier int32
}

// loadTypes reads the given types and, step by step, what they are made of.
func loadTypes(ctx context.Context, conn *pg.Conn, wanted []uint32) (*typeSet, error) {
	set := &typeSet{definitions: map[uint32]*definition{}, made: map[typeKey]*Type{}}
	query := withLoose(typesSQL, conn.Version, "rngcollation", "attcollation")
	for len(wanted) > 0 {
		var next []uint32
		err := conn.Each(ctx, query, []any{wanted}, func(rows pgx.Rows) error {
			var d definition
			err := rows.Scan(&d.OID, &d.Schema, &d.Name, &d.SQL, &d.Kind, &d.base, &d.baseModifier, &d.Checked, &d.element, &d.subtype, &d.Loose,
				&d.Labels, &d.fieldNames, &d.fieldTypes, &d.fieldModifiers, &d.fieldLoose)
			set.definitions[d.OID] = &d
			next = append(append(next, d.base, d.element, d.subtype), d.fieldTypes...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read types of the %s: %w", conn.Side, err)
		}
		wanted = set.unknown(next)
	}
	return set, nil
}

func (s *typeSet) unknown(oids []uint32) (unknown []uint32) {
	seen := map[uint32]bool{0: true}
	for _, oid := range oids {
		if s.definitions[oid] == nil && !seen[oid] {
			unknown = append(unknown, oid)
		}
		seen[oid] = true
	}
	return unknown
}

// get returns nil for a type that was dropped while the catalogs were read.
func (s *typeSet) get(oid uint32, modifier int32) *Type {
	key := typeKey{oid, modifier}
	if t := s.made[key]; t != nil {
		return t
	}
	d := s.definitions[oid]
	if d == nil {
		return nil
	}
	t := d.Type
	t.Modifier = modifier
	s.made[key] = &t
	if d.base != 0 {
		t.Domain = s.get(d.base, d.baseModifier)
	}
	if d.element != 0 {
		t.Element = s.get(d.element, modifier)
	}
	if d.subtype != 0 {
		t.Subtype = s.get(d.subtype, -1)
	}
	for i, name := range d.fieldNames {
		if field := s.get(d.fieldTypes[i], d.fieldModifiers[i]); field != nil {
			t.Fields = append(t.Fields, Field{name, field, d.fieldLoose[i]})
		}
	}
	return &t
}

// withLoose has a query give the name of a nondeterministic collation, which versions before 12 do not have, "" for any other.
func withLoose(query string, version int, columns ...string) string {
	if version < 120000 {
		return query
	}
	for _, column := range columns {
		query = strings.ReplaceAll(query, "/*loose "+column+"*/''",
			"coalesce((SELECT l.collname::text FROM pg_catalog.pg_collation l WHERE l.oid = "+column+" AND NOT l.collisdeterministic), '')")
	}
	return query
}
