package integration

// sample is a type with values of it. Its tables hold v of the type, and a, an array of it.
type sample struct {
	name    string   // ends the names of its tables
	kind    string   // the type
	values  []string // SQL expressions that can be cast to the type
	noArray bool     // the type has no array type, or is one
	notNull bool     // the type allows no null
	exact   []string // expressions over v and a that are the same if and only if the values are; none: send functions, else text
}

// samplesSchema makes the types of the users' own, on both sides.
const samplesSchema = `
	CREATE EXTENSION hstore; CREATE EXTENSION citext;
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, "happy"');
	CREATE TYPE "Inner" AS (f float8, t text);
	CREATE TYPE outer_type AS (a int, i "Inner", more "Inner"[], d date, "Quoted ""x""" numeric);
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE DOMAIN lucky AS positive CHECK (VALUE <> 13);
	CREATE DOMAIN tags AS text[] CHECK (array_length(VALUE, 1) < 10);
	CREATE DOMAIN must AS text NOT NULL CHECK (VALUE <> 'never');
	CREATE DOMAIN exact_float AS float8;
	CREATE DOMAIN short AS varchar(5);
	CREATE DOMAIN padded AS char(5);`

// everyByte is a bytea of all 256 bytes.
const everyByte = `(SELECT decode(string_agg(lpad(to_hex(g), 2, '0'), ''), 'hex') FROM generate_series(0, 255) g)`

// texts are those that COPY's text format has to escape, and others that have been mangled before.
var texts = []string{
	`''`, `' '`, `E'a\\b'`, `E'\t'`, `E'\n'`, `E'\r'`, `E'\r\n'`, `E'\\.'`, `E'\\N'`, `E'\\\\N'`, `E'x\\ny'`, `E'ends in \\'`, `E'a\n\\.\nb'`,
	`'NULL'`, `'null'`, `E'\b\f\x0b\x01\x7f'`, `'ä€'`, `'😀 𝒳 👩‍👩‍👧'`, `E'\uFEFFx\u00a0'`, `'it''s "quoted", {braced}'`, `'(,)'`,
}

var samples = []sample{
	{name: "smallint", kind: "smallint", values: []string{"'-32768'", "'32767'", "'0'"}},
	{name: "int", kind: "int", values: []string{"'-2147483648'", "'2147483647'", "'0'"}},
	{name: "bigint", kind: "bigint", values: []string{"'-9223372036854775808'", "'9223372036854775807'", "'0'"}},
	{name: "numeric", kind: "numeric", values: []string{
		"'NaN'", "'1.0'", "'1.00'", "'0'", "'0.000'", "'-0.5'", "repeat('9', 1000)", "'0.' || repeat('12', 500)", "'1e1000'", "repeat('9', 5000)", "'-12345678901234567890.123456789'",
	}},
	{name: "numeric_10_2", kind: "numeric(10,2)", values: []string{"'NaN'", "'99999999.99'", "'-0.01'", "'1'"}},
	{name: "real", kind: "real", values: []string{
		"'0.1'", "1.0::real / 3", "'3.4028235e38'", "'1.1754944e-38'::real / 1024", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'0'", "'16777217'",
	}},
	{name: "float8", kind: "float8", values: []string{
		"'0.1'", "1.0::float8 / 3", "'1.7976931348623157e308'", "'2.2250738585072014e-308'::float8 / 1024", "'2.2250738585072014e-308'::float8 / 4503599627370496",
		"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'0'", "'9007199254740993'", "pi()", "0.1::float8 + 0.2::float8",
	}},
	{name: "money", kind: "money", values: []string{"'-92233720368547758.07'", "'92233720368547758.07'", "'0'", "'0.01'"}},
	{name: "text", kind: "text", values: texts},
	{name: "varchar", kind: "varchar", values: texts},
	{name: "varchar_10", kind: "varchar(10)", values: []string{"''", "'ab   '", "'ääääääääää'", "E'\\\\.'"}},
	{name: "char_5", kind: "char(5)", values: []string{"''", "'ab   '", "'  ab'", "'äöü'", "E'\\n'", "'😀'"}},
	{name: "bpchar", kind: "bpchar", values: []string{"''", "'ab   '::bpchar", "'ab'"}},
	{name: "one_char", kind: `"char"`, values: []string{"'a'", "''", "'~'", "E'\\n'", "E'\\\\'"}},
	{name: "name", kind: "name", values: []string{"'abc'", "repeat('n', 63)", "'With \"quotes\" and ä'", "''"}},
	{name: "bytea", kind: "bytea", values: []string{everyByte, "''", "E'\\\\000'", "E'\\\\\\\\'", "E'\\\\012'"}},
	{name: "bool", kind: "bool", values: []string{"'t'", "'f'"}},
	{name: "oid", kind: "oid", values: []string{"'0'", "'4294967295'"}},
	{name: "uuid", kind: "uuid", values: []string{"'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'"}},
	{name: "date", kind: "date", values: []string{"'0044-03-15 BC'", "'4713-01-01 BC'", "'5874897-12-31'", "'10000-01-01'", "'2000-02-29'", "'infinity'", "'-infinity'"}},
	{name: "timestamp", kind: "timestamp", values: []string{
		"'4713-01-01 00:00:00 BC'", "'0001-12-31 23:59:59.999999 BC'", "'294276-12-31 23:59:59.999999'", "'10000-01-01 00:00:00.000001'", "'infinity'", "'-infinity'",
	}},
	{name: "timestamptz", kind: "timestamptz", values: []string{
		"'4713-01-02 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'12345-06-07 08:09:10.1+05:30'", "'1890-01-01 00:00:00 Europe/Berlin'", "'infinity'", "'-infinity'",
	}},
	{name: "time", kind: "time", values: []string{"'00:00'", "'24:00:00'", "'23:59:59.999999'"}},
	{name: "timetz", kind: "timetz", values: []string{"'24:00:00-15:59'", "'00:00+15:59'", "'12:34:56.789+05:30:17'", "'12:00+00'", "'13:00+01'"}},
	{name: "interval", kind: "interval", values: []string{
		"'1 mon -1 day'", "'-1 mon +2 days -03:04:05.000006'", "'1 day'", "'24 hours'", "'30 days'", "'1 mon'", "'178000000 years'", "'-178000000 years'", "'999999:59:59'", "'0'", "'-0.000001 s'",
	}},
	{name: "interval_h", kind: "interval hour to second(3)", values: []string{"'1 day 02:03:04.5678'", "'-1:00'"}},
	{name: "bit", kind: "bit(9)", values: []string{"B'101010101'", "B'000000000'"}},
	{name: "varbit", kind: "varbit", values: []string{"B''", "B'1'", "repeat('10', 500)"}},
	{name: "inet", kind: "inet", values: []string{"'10.1.2.3/8'", "'10.1.2.3'", "'::1'", "'2001:db8::1/64'", "'0.0.0.0/0'"}},
	{name: "cidr", kind: "cidr", values: []string{"'10.0.0.0/8'", "'10.1.2.3/32'", "'2001:db8::/32'"}},
	{name: "macaddr", kind: "macaddr", values: []string{"'08:00:2b:01:02:03'", "'ff:ff:ff:ff:ff:ff'"}},
	{name: "point", kind: "point", values: []string{"'(0.1,-0.3333333333333333)'", "'(1e300,1e-300)'", "'(-0,NaN)'", "'(Infinity,-Infinity)'"}},
	{name: "lseg", kind: "lseg", values: []string{"'[(0.1,0.2),(0.3,0.7)]'"}},
	{name: "box", kind: "box", values: []string{"'(0.1,0.2),(0.3,0.7)'"}},
	{name: "path", kind: "path", values: []string{"'((0.1,0.2),(0.3,0.7))'", "'[(0.1,0.2),(0.3,0.7),(1e100,0)]'"}},
	{name: "polygon", kind: "polygon", values: []string{"'((0.1,0.2),(0.3,0.7),(5,5))'"}},
	{name: "circle", kind: "circle", values: []string{"'<(0.1,0.2),0.3>'"}}, // a line can be declared in 9.2, but not be written
	{name: "tsvector", kind: "tsvector", values: []string{"''", "$$a:1A,16383 b:2,3B 'c d':4 'it''s' '\\\\'$$", "to_tsvector('english', 'The quick brown foxes jumped')"}},
	{name: "tsquery", kind: "tsquery", values: []string{"''", "$$'a' & !'b' | 'c d':*AB$$", "$$!( 'x' & 'it''s' )$$"}},
	{name: "json", kind: "json", values: []string{`$${"b" : [1, null, 1.00],  "a": "\u00e4", "a": 2}$$`, "'null'", `$$"\\n \" \/"$$`, "'[ ]'", `$$"😀"$$`}},
	{name: "txid_snapshot", kind: "txid_snapshot", values: []string{"'10:20:10,14,15'", "'1:1:'"}},
	{name: "int4range", kind: "int4range", values: []string{"'empty'", "'(,)'", "'[1,5)'", "'(,5]'"}},
	{name: "int8range", kind: "int8range", values: []string{"'empty'", "'(,)'", "'[-9223372036854775808,9223372036854775807)'"}},
	{name: "numrange", kind: "numrange", values: []string{"'empty'", "'(1.0,2.00]'", "'[1.00,)'", "'[NaN,NaN]'"}},
	{name: "tsrange", kind: "tsrange", values: []string{"'empty'", "'[2000-01-01 00:00,infinity]'", "'(,0044-03-15 BC)'"}},
	{name: "tstzrange", kind: "tstzrange", values: []string{"'empty'", "'[2000-01-01 00:00+02,infinity]'", "'(-infinity,)'"}},
	{name: "daterange", kind: "daterange", values: []string{"'empty'", "'[2000-01-01,2000-02-01]'", "'[-infinity,infinity]'"}},
	{name: "int_array", kind: "int[]", noArray: true, values: []string{
		"'{}'", "'{NULL}'", "'{1,NULL,3}'", "'{{1,2},{3,NULL}}'", "'[2:3]={1,2}'", "'[-1:0][2:3]={{1,2},{3,4}}'", "'{{{1},{2}}}'",
	}},
	{name: "text_array", kind: "text[]", noArray: true, values: []string{`$${"a,b","q\"q","b\\b",NULL,"NULL",""," ","{}"}$$`, `ARRAY['{}', 'it''s', E'\t', E'\n', E'\\N', E'\\.', '😀', 'null']`, `'{{a,b},{c,d}}'`}},
	{name: "float_array", kind: "float8[]", noArray: true, values: []string{"ARRAY[0.1, 1.0::float8 / 3, 'NaN', '-0', '-Infinity', NULL]", "'[0:1]={0.1,0.2}'"}},
	{name: "enum", kind: "mood", values: []string{"'sad'", "'ok'", `'it''s, "happy"'`}},
	{name: "hstore", kind: "hstore", values: []string{`''`, `$$a=>1, "b c"=>NULL, "q\"x"=>"y\\z", "n"=>"NULL"$$`, `hstore('', '')`}},
	{name: "citext", kind: "citext", values: []string{`'Ab'`, `'aB'`, `''`, `E'\\N'`}},
	{name: "composite", kind: "outer_type", values: []string{
		`ROW(1, ROW(0.1, E'x,"y\\)'), ARRAY[ROW(1.0::float8 / 3, ''), NULL, ROW(NULL, NULL)]::"Inner"[], 'infinity', 1.00)`,
		`ROW(NULL, NULL, NULL, NULL, NULL)`, `ROW(2, ROW('-0', NULL), '{}', '0044-03-15 BC', 'NaN')`,
	}, exact: []string{
		`(v).a`, `encode(float8send(((v).i).f), 'hex')`, `((v).i).t`, `(v).d`, `(v)."Quoted ""x"""`, `array_dims((v).more)`, `v IS NULL`,
		`ARRAY(SELECT coalesce(encode(float8send((((v).more)[k]).f), 'hex') || (((v).more)[k]).t, ((v).more)[k]::text, 'null') FROM generate_subscripts((v).more, 1) k)`,
		`ARRAY(SELECT coalesce(encode(float8send(((a[k]).i).f), 'hex') || ((a[k]).i).t, (a[k]).i::text, 'null') FROM generate_subscripts(a, 1) k)`,
		`ARRAY(SELECT (a[k])."Quoted ""x""" FROM generate_subscripts(a, 1) k)`,
	}},
	{name: "domain", kind: "positive", noArray: true, values: []string{"1", "2147483647"}},
	{name: "domain_of_domain", kind: "lucky", noArray: true, values: []string{"1", "14"}},
	{name: "domain_of_array", kind: "tags", noArray: true, values: []string{"ARRAY['a,b', NULL, '\"']", "'[3:3]={x}'"}},
	{name: "domain_not_null", kind: "must", noArray: true, notNull: true, values: []string{"''", `E'\\N'`, "'x'"}},
	{name: "domain_of_float", kind: "exact_float", noArray: true, values: []string{"0.1", "1.0::float8 / 3", "'NaN'", "'-0'"}, exact: []string{"encode(float8send(v), 'hex')"}},
	{name: "domain_of_varchar", kind: "short", noArray: true, values: []string{"'ääääää'::varchar(5)", "'     '"}},
	{name: "domain_of_char", kind: "padded", noArray: true, values: []string{"'a'", "''"}, exact: []string{"encode(bpcharsend(v), 'hex')"}},
}
