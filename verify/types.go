package verify

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/types.sql
var typesSQL string

// dataType is what a pg_type is made of; the zero OID where it is not.
type dataType struct {
	OID     uint32
	Table   uint32 // pg_type.typrelid
	Name    string // qualified outside pg_catalog
	Kind    string // pg_type.typtype
	Base    uint32 // of a domain
	Element uint32 // of an array
	Subtype uint32 // of a range
	Fields  []string
	Types   []uint32 // of Fields
}

// types are those of one server's tables, by OID.
type types map[uint32]*dataType

// OIDs of built-in types.
const (
	float4OID = 700
	float8OID = 701
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

func loadTypes(ctx context.Context, conn *pg.Conn, tables []uint32) (types, error) {
	rows, err := conn.Query(ctx, typesSQL, tables)
	if err != nil {
		return nil, fmt.Errorf("read types of the %s: %w", conn.Side, err)
	}
	defer rows.Close()
	ts := types{}
	for rows.Next() {
		var t dataType
		if err := rows.Scan(&t.OID, &t.Table, &t.Name, &t.Kind, &t.Base, &t.Element, &t.Subtype, &t.Fields, &t.Types); err != nil {
			return nil, fmt.Errorf("read types of the %s: %w", conn.Side, err)
		}
		ts[t.OID] = &t
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read types of the %s: %w", conn.Side, err)
	}
	return ts, nil
}

// column is the OID of the type of a table's column; 0 when it is not there any more.
func (ts types) column(table uint32, name string) uint32 {
	for _, t := range ts {
		if t.Table == table {
			if i := slices.Index(t.Fields, name); i >= 0 {
				return t.Types[i]
			}
		}
	}
	return 0
}

// inexact says whether equal values of the type may have different texts. Multiranges do not count: where they exist
// floats are written alike.
func (ts types) inexact(oid uint32) bool {
	if send[oid] != "" {
		return true
	}
	t := ts[oid]
	if t == nil {
		return false
	}
	return (t.Base != 0 && ts.inexact(t.Base)) || (t.Element != 0 && ts.inexact(t.Element)) ||
		(t.Subtype != 0 && ts.inexact(t.Subtype)) || slices.ContainsFunc(t.Types, ts.inexact)
}

// exact is an expression for the value x of that type, whose text is the same on every server where the value is.
func (ts types) exact(x string, oid uint32) string {
	if !ts.inexact(oid) {
		return x
	}
	t := ts[oid]
	switch {
	case oid == float4OID || oid == float8OID:
		return exactFloat(x, oid)
	case send[oid] != "":
		return send[oid] + "(" + x + ")"
	case t.Base != 0:
		return ts.exact("("+x+")::"+ts[t.Base].Name, t.Base)
	case t.Element == float4OID || t.Element == float8OID:
		return fmt.Sprintf("CASE WHEN 'NaN' = ANY (%s) THEN %s ELSE %s::text END", x, ts.exactElements(x, t.Element), exactArray(x))
	case send[t.Element] != "":
		return exactArray(x)
	case t.Element != 0:
		return ts.exactElements(x, t.Element)
	case t.Subtype != 0:
		return fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL THEN ROW(isempty(%[1]s), lower_inc(%[1]s), upper_inc(%[1]s), lower_inf(%[1]s), upper_inf(%[1]s), %[2]s, %[3]s)::text END",
			x, ts.exact("lower("+x+")", t.Subtype), ts.exact("upper("+x+")", t.Subtype))
	}
	fields := make([]string, len(t.Fields))
	for i, name := range t.Fields {
		fields[i] = ts.exact("("+x+")."+pg.Ident(name), t.Types[i])
	}
	// IS NULL would also be true of a row of nulls.
	return fmt.Sprintf("CASE WHEN (%s)::text IS NOT NULL THEN ROW(%s)::text END", x, strings.Join(fields, ", "))
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

func (ts types) exactElements(x string, element uint32) string {
	return fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL THEN ROW(array_dims(%[1]s), ARRAY(SELECT ROW(%[2]s)::text FROM (SELECT unnest(%[1]s) AS e OFFSET 0) u))::text END",
		x, ts.exact("u.e", element))
}
