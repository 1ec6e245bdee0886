package integration

import (
	"fmt"
	"strings"
	"testing"
)

// keySample is a type as a key, with values of it of which no two are equal.
type keySample struct {
	name, kind string
	values     []string // at least four SQL expressions
	alias      string   // equal to the second value, yet not the same
}

var keySamples = []keySample{
	{name: "int2", kind: "int2", values: []string{"-32768", "32767", "0", "1"}},
	{name: "int8", kind: "int8", values: []string{"-9223372036854775808", "9223372036854775807", "0", "1"}},
	{name: "text", kind: "text", values: append([]string{"'a b'", "'A'", "'a'", "'ä'", "'_'", "'a_b'", "'Ab'", "'😀'", `E'a\\b'`}, texts[3:14]...)},
	{name: "varchar", kind: "varchar(20)", values: []string{"'a b'", "'A'", "'ä'", "'_'", "''", "' '"}},
	{name: "char_n", kind: "char(5)", values: []string{"'a'", "' a'", "''", "'ä b'", `E'\t'`}},
	{name: "bpchar", kind: "bpchar", values: []string{"'a'::bpchar", "'b'::bpchar", "''::bpchar", "' c'::bpchar"}, alias: "'b  '::bpchar"},
	{name: "numeric", kind: "numeric", values: []string{"'NaN'", "1.0", "0", "-0.5", "repeat('9', 900)"}, alias: "1.00"},
	{name: "float8", kind: "float8", values: []string{"0.1", "'0'", "1.0::float8 / 3", "'NaN'", "'-Infinity'", "0.1::float8 + 0.2::float8"}, alias: "'-0'"},
	{name: "real", kind: "real", values: []string{"0.1", "'0'", "1.0::real / 3", "'NaN'", "'Infinity'"}, alias: "'-0'"},
	{name: "money", kind: "money", values: []string{"'1'", "'-2.50'", "'92233720368547758.07'", "'0'"}},
	{name: "uuid", kind: "uuid", values: []string{"md5('1')", "md5('2')", "md5('3')", "md5('4')"}},
	{name: "date", kind: "date", values: []string{"'infinity'", "'0044-03-15 BC'", "'12000-01-01'", "'2000-01-01'"}},
	{name: "timestamptz", kind: "timestamptz", values: []string{"'infinity'", "'0044-03-15 BC'", "'2000-01-01 00:00:00.000001+02'", "'-infinity'"}},
	{name: "timestamp", kind: "timestamp", values: []string{"'infinity'", "'0044-03-15 BC'", "'2000-01-01 00:00:00.000001'", "'-infinity'"}},
	{name: "time", kind: "time", values: []string{"'00:00'", "'24:00'", "'12:00:00.000001'", "'12:00'"}},
	{name: "timetz", kind: "timetz", values: []string{"'12:00+00'", "'13:00+01'", "'00:00-12'", "'24:00+00'"}},
	{name: "interval", kind: "interval", values: []string{"'1 mon'", "'1 day'", "'-1 day'", "'1 year 2 mons -3 days 4:05:06.7'"}, alias: "'24 hours'"},
	{name: "bytea", kind: "bytea", values: []string{everyByte, "''", `E'\\000'`, `E'\\\\\\012'`}},
	{name: "inet", kind: "inet", values: []string{"'10.0.0.1/8'", "'10.0.0.1'", "'::1'", "'10.0.0.0/8'"}},
	{name: "cidr", kind: "cidr", values: []string{"'10.0.0.0/8'", "'10.0.0.0/16'", "'::/0'", "'10.0.0.1'"}},
	{name: "macaddr", kind: "macaddr", values: []string{"'08:00:2b:01:02:03'", "'00:00:00:00:00:00'", "'00:00:00:00:00:01'", "'ff:ff:ff:ff:ff:ff'"}},
	{name: "enum", kind: "mood", values: []string{"'sad'", "'ok'", `'it''s, "happy"'`, "'new'"}},
	{name: "bit", kind: "bit(4)", values: []string{"B'0000'", "B'0001'", "B'1000'", "B'1111'"}},
	{name: "varbit", kind: "varbit", values: []string{"B''", "B'0'", "B'00'", "B'1'"}},
	{name: "int_array", kind: "int[]", values: []string{"'{}'", "'{1,NULL}'", "'{{1,2}}'", "'[0:1]={1,2}'", "'{1,2}'"}},
	{name: "text_array", kind: "text[]", values: []string{"'{}'", `'{NULL}'`, `'{"NULL"}'`, `$${"a,b","\"","\\"}$$`}},
	{name: "numeric_array", kind: "numeric[]", values: []string{"'{}'", "'{1.0,NULL}'", "'{NaN}'", "'{2}'"}, alias: "'{1.00,NULL}'"},
	{name: "composite", kind: "pair", values: []string{"ROW(1, NULL, NULL)", "ROW(1, 'a,b', ROW(NULL))", "ROW(1, 'a,b', NULL)", "ROW(NULL, '', ROW(1.0))", "ROW(2, '\"', ROW(2))"}},
	{name: "citext", kind: "citext", values: []string{"'Abc'", "'Def'", "''", "'ä'"}, alias: "'dEF'"},
	{name: "domain", kind: "positive", values: []string{"1", "2", "3", "4"}},
	{name: "domain_of_text", kind: "code", values: []string{"'A'", "'a b'", "''", "'_'"}},
	{name: "one_char", kind: `"char"`, values: []string{"'a'", "''", "' '", `E'\n'`}},
	{name: "name", kind: "name", values: []string{"'a'", "repeat('n', 63)", "''", "'ä b'"}},
	{name: "oid", kind: "oid", values: []string{"0", "4294967295", "1", "2"}},
	{name: "int4range", kind: "int4range", values: []string{"'empty'", "'(,)'", "'[1,5)'", "'[1,6)'"}},
	{name: "numrange", kind: "numrange", values: []string{"'empty'", "'[1.0,2]'", "'(,0)'", "'(,)'"}, alias: "'[1.00,2.0]'"},
	{name: "tsvector", kind: "tsvector", values: []string{"''", "'a:1'", "'a:1A'", "'a b'"}},
	{name: "bool", kind: "bool", values: []string{"true", "false"}},
}

const keysSchema = `CREATE EXTENSION citext;
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, "happy"', 'new');
	CREATE TYPE single AS (n numeric); CREATE TYPE pair AS (a int, b text, c single);
	CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN code AS varchar(10) NOT NULL;
	CREATE TABLE mixed (v text, at timestamptz, part citext, n numeric, PRIMARY KEY (n, part, at));`

// TestEveryKey tells rows apart by a key of each type, as a primary key and as a unique index on a column without nulls.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	var schema strings.Builder
	schema.WriteString(keysSchema)
	for i, k := range keySamples {
		constraint := []string{"PRIMARY KEY", "NOT NULL UNIQUE"}[i%2]
		fmt.Fprintf(&schema, "CREATE TABLE key_%s (v text, k %s %s);\n", k.name, k.kind, constraint)
	}
	s := newStream(t, schema.String())
	for _, k := range keySamples {
		s.src(k.load())
	}
	tables := []string{"public.mixed"}
	for _, k := range keySamples {
		tables = append(tables, "public.key_"+k.name)
	}
	s.follows(s.binaryJudge(tables...), `INSERT INTO mixed VALUES ('x', '2000-01-01 UTC', 'Ab', 1.0), ('x', '2000-01-01 UTC', 'Ab', 2.0), ('x', '2000-01-01 UTC', 'a b', 1.0), ('x', 'infinity', 'Ab', 1.0)`,
		keyChanges(keySample.insert)+`INSERT INTO mixed VALUES ('new', '-infinity', '_', 'NaN')`,
		keyChanges(keySample.update)+`UPDATE mixed SET v = 'y' WHERE n = 1`,
		keyChanges(keySample.rename)+`UPDATE mixed SET part = 'aB', n = 1.00 WHERE part = 'ab' AND n = 1; UPDATE mixed SET at = now() WHERE at = 'infinity'`,
		keyChanges(keySample.move)+`UPDATE mixed SET n = n + 1 WHERE part = '_' OR n = 2; DELETE FROM mixed WHERE part = 'A B'`,
	)
}

func keyChanges(change func(keySample) string) string {
	var changes strings.Builder
	for _, k := range keySamples {
		changes.WriteString(change(k))
	}
	return changes.String()
}

func (k keySample) value(i int) string { return fmt.Sprintf("((%s)::%s)", k.values[i], k.kind) }

func (k keySample) insertRange(from, to int) string {
	var inserts strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&inserts, "INSERT INTO key_%s VALUES ('v%d', %s);\n", k.name, i, k.value(i))
	}
	return inserts.String()
}

// load brings all but the last value, insert that one.
func (k keySample) load() string   { return k.insertRange(0, len(k.values)-1) }
func (k keySample) insert() string { return k.insertRange(len(k.values)-1, len(k.values)) }

func (k keySample) update() string {
	return fmt.Sprintf("UPDATE key_%s SET v = v || '!' WHERE k = %s OR k = %s;\n", k.name, k.value(0), k.value(1))
}

// rename changes a key into an equal one, and swaps two.
func (k keySample) rename() (changes string) {
	if k.alias != "" {
		changes = fmt.Sprintf("UPDATE key_%s SET k = (%s)::%s WHERE k = %s;\n", k.name, k.alias, k.kind, k.value(1))
	}
	first, last := k.value(0), k.value(len(k.values)-1)
	return changes + fmt.Sprintf(`DELETE FROM key_%s WHERE k = %s; UPDATE key_%s SET k = %s, v = 'moved' WHERE k = %s;
		INSERT INTO key_%s VALUES ('swapped', %s);`+"\n", k.name, last, k.name, last, first, k.name, first)
}

// move moves a key to where another row was.
func (k keySample) move() string {
	first, last := k.value(0), k.value(len(k.values)-1)
	return fmt.Sprintf("DELETE FROM key_%s WHERE k = %s; UPDATE key_%s SET k = %s WHERE k = %s;\n", k.name, first, k.name, first, last)
}
