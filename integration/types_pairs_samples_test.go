package integration

import "strings"

// pairType is a type with values, as text, that lie at its bounds or look alike.
type pairType struct {
	name   string // ends the names of its tables
	kind   string
	values []string
}

// pairSchema makes, on both sides, the types that have the same definition there.
const pairSchema = `CREATE EXTENSION citext;
	CREATE TYPE paint AS ENUM ('red', 'RED', 'blue'); CREATE TYPE single AS (n numeric(4,1), c citext);
	CREATE DOMAIN plain_int AS int; CREATE DOMAIN plain_text AS text; CREATE DOMAIN plain_citext AS citext; CREATE DOMAIN code AS varchar(5); CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
	CREATE TYPE real_range AS RANGE (SUBTYPE = real);`

// pairSourceSchema and pairTargetSchema make those that have the same name and another definition.
const (
	pairSourceSchema = `CREATE TYPE mood AS ENUM ('sad', 'ok', 'OK'); CREATE TYPE gone AS ENUM ('sad', 'ok', 'OK');
		CREATE TYPE point3 AS (a int, b varchar(5), c numeric(4,1)); CREATE TYPE folded AS (c text); CREATE TYPE floats AS (f real, g char(3));
		CREATE TYPE widening AS RANGE (SUBTYPE = real); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN price AS numeric(6,2) CHECK (VALUE > -100);`
	pairTargetSchema = `CREATE TYPE mood AS ENUM ('ok', 'new', 'sad', 'OK'); CREATE TYPE gone AS ENUM ('sad');
		CREATE TYPE point3 AS (a bigint, b text, c numeric(6,3)); CREATE TYPE folded AS (c citext); CREATE TYPE floats AS (f float8, g char(5));
		CREATE TYPE widening AS RANGE (SUBTYPE = float8); CREATE DOMAIN positive AS bigint CHECK (VALUE > 0); CREATE DOMAIN price AS numeric(8,3) CHECK (VALUE > -100);
		CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE DOMAIN short AS varchar(3); CREATE DOMAIN exact_float AS float8;`
)

var (
	texts3   = []string{"", "a", "A", "a ", "abc", "abc ", "abcde", "ä", "abcde  ", "abcdef", strings.Repeat("x", 63), strings.Repeat("x", 63) + " ", strings.Repeat("x", 64)}
	chars3   = []string{"", "a", "A", " a", "ab", "abc", "ä"}
	ints     = []string{"0", "1", "-1", "2", "13", "32767", "-32768"}
	longs    = append([]string{"2147483647", "-2147483648"}, ints...)
	floats   = []string{"0", "-0", "0.1", "1.5", "NaN", "Infinity", "3.4e38", "1.1754944e-38", "16777217"}
	stamps   = []string{"2000-01-01 00:00:00", "1999-12-31 23:59:59.9", "2000-01-01 00:00:00.999", "2000-01-01 00:00:00.999999", "infinity", "0044-03-15 00:00:00 BC"}
	times    = []string{"00:00:00", "23:59:59.9", "12:00:00.999", "12:00:00.999999", "24:00:00"}
	spans    = []string{"0", "1 year", "14 mons", "1 day", "24:00:00", "-1 day +01:02:03", "1 mon 1 day 01:02:03.5", "00:00:00.999999", "1 year 2 mons 3 days 04:05:06.789"}
	decimals = []string{"0", "0.00", "1", "1.0", "1.5", "-0.05", "99.9", "999.9", "9999.99", "NaN", "-200", "1.234", "0.1234", "9999999999.99", "99999999999999"}
)

// pairFamilies are types of which each is tried with each of its family.
var pairFamilies = [][]pairType{
	{
		{"text", "text", texts3},
		{"varchar", "varchar", texts3},
		{"varchar_3", "varchar(3)", chars3},
		{"varchar_5", "varchar(5)", texts3[:8]},
		{"varchar_63", "varchar(63)", texts3[:12]},
		{"char_3", "char(3)", chars3},
		{"char_5", "char(5)", texts3[:8]},
		{"bpchar", "bpchar", texts3},
		{"citext", "citext", texts3},
		{"name", "name", texts3[:11]},
		{"one_char", `"char"`, []string{"", "a", "A"}},
		{"folding", `text COLLATE folding`, nil},
		{"plain_text", "plain_text", texts3},
		{"plain_citext", "plain_citext", texts3},
		{"code", "code", texts3[:8]},
		{"short", "short", nil},
		{"json", "json", []string{"{}", `"a"`, `"A"`, `{"a":1}`, `{"a": 1}`, `{"a": 1.0, "a": 2}`, `[ ]`, `"\u0000"`, "123", "123 ", "12345", "12345 ", strings.Repeat("1", 63), strings.Repeat("1", 63) + " ", strings.Repeat("1", 64)}},
		{"jsonb", "jsonb", nil},
		{"unknown", "unknown", texts3},
		{"mood", "mood", []string{"sad", "ok", "OK"}},
		{"gone", "gone", []string{"sad", "ok", "OK"}},
		{"paint", "paint", []string{"red", "RED", "blue"}},
	},
	{
		{"smallint", "smallint", ints},
		{"int", "int", longs},
		{"bigint", "bigint", append([]string{"9223372036854775807"}, longs...)},
		{"oid", "oid", []string{"0", "4294967295", "7"}},
		{"numeric", "numeric", append([]string{"123456789012345678901234567890.123456789"}, decimals...)},
		{"numeric_4_1", "numeric(4,1)", decimals},
		{"numeric_6_2", "numeric(6,2)", decimals},
		{"numeric_6_3", "numeric(6,3)", decimals},
		{"numeric_12_0", "numeric(12,0)", append([]string{"999999999999"}, ints...)},
		{"numeric_12_2", "numeric(12,2)", decimals},
		{"numeric_30_4", "numeric(30,4)", decimals},
		{"numeric_9_4", "numeric(9,4)", decimals},
		{"real", "real", floats},
		{"float8", "float8", append([]string{"1e300", "0.30000000000000004"}, floats...)},
		{"money", "money", []string{"1", "-1.50"}},
		{"plain_int", "plain_int", longs},
		{"positive", "positive", []string{"1", "2", "2147483647"}},
		{"even", "even", []string{"0", "2", "-2", "2147483646"}},
		{"price", "price", []string{"-99.99", "1.5", "9999.99"}},
		{"exact_float", "exact_float", nil},
	},
	{
		{"timestamp", "timestamp", stamps},
		{"timestamp_0", "timestamp(0)", stamps},
		{"timestamp_3", "timestamp(3)", stamps},
		{"timestamp_6", "timestamp(6)", stamps},
		{"timestamptz", "timestamptz", stamps},
		{"timestamptz_3", "timestamptz(3)", stamps},
		{"date", "date", []string{"2000-01-01", "5874897-12-31", "infinity"}},
		{"abstime", "abstime", []string{"epoch", "invalid", "2000-01-01", "2000-01-01 00:00:01", "1950-06-01", "2038-01-19 03:14:03 UTC", "infinity", "-infinity"}},
	},
	{
		{"time", "time", times},
		{"time_0", "time(0)", times},
		{"time_3", "time(3)", times},
		{"timetz", "timetz", times},
		{"timetz_1", "timetz(1)", times},
		{"interval", "interval", spans},
		{"interval_0", "interval(0)", spans},
		{"interval_3", "interval(3)", spans},
		{"interval_y", "interval year", spans},
		{"interval_ym", "interval year to month", spans},
		{"interval_d", "interval day", spans},
		{"interval_h", "interval hour", spans},
		{"interval_dm", "interval day to minute", spans},
		{"interval_hs", "interval hour to second(3)", spans},
		{"interval_s", "interval second", spans},
		{"reltime", "reltime", []string{"1 day", "undefined", "0", "360 days", "1 year", "365 days", "30 days", "-1 year", "-360 days", "1 year 00:00:01"}},
		{"text_of_span", "text", nil},
	},
	{
		{"bit_1", "bit(1)", []string{"0", "1"}},
		{"bit_3", "bit(3)", []string{"000", "101"}},
		{"bit_5", "bit(5)", []string{"00000", "10101"}},
		{"varbit", "varbit", []string{"", "0", "00", "10101", "101010"}},
		{"varbit_3", "varbit(3)", []string{"", "0", "00", "101"}},
		{"varbit_5", "varbit(5)", []string{"", "0", "00", "10101"}},
		{"inet", "inet", []string{"10.0.0.0/8", "10.0.0.1", "10.1.2.3/8", "::1"}},
		{"cidr", "cidr", []string{"10.0.0.0/8", "10.0.0.1/32", "::/0"}},
	},
	{
		{"ints", "int[]", []string{"{}", "{1,NULL}", "{{1,2},{3,4}}", "[0:1]={1,2}"}},
		{"longs", "bigint[]", []string{"{}", "{1,NULL}", "{9223372036854775807}"}},
		{"numerics", "numeric[]", []string{"{}", "{1.0}", "{1.00}", "{NaN}"}},
		{"numerics_12_2", "numeric(12,2)[]", []string{"{}", "{1.0}", "{999.99}"}},
		{"numerics_14_3", "numeric(14,3)[]", []string{"{}", "{1.0}", "{999.999}"}},
		{"texts", "text[]", []string{"{}", "{a}", "{A}", `{"a "}`, `{"NULL",NULL}`, "{abcde}", `{"abcde "}`, "{abcdef}"}},
		{"varchars_5", "varchar(5)[]", []string{"{}", "{a}", "{A}", `{"a "}`}},
		{"chars_3", "char(3)[]", []string{"{}", "{a}", "{A}", "{abc}", "{ab,NULL}"}},
		{"chars_5", "char(5)[]", []string{"{}", "{a}", "{abcde}"}},
		{"citexts", "citext[]", []string{"{}", "{a}", "{A}", "{abcde}", `{"abcde "}`, "{abcdef}"}},
		{"reals", "real[]", []string{"{0}", "{-0}", "{0.1,NaN}", "{NULL}"}},
		{"doubles", "float8[]", []string{"{0}", "{0.1,NaN}", "{1e300}"}},
		{"stamps_0", "timestamp(0)[]", []string{"{}", "{2000-01-01}"}},
		{"stamps_3", "timestamp(3)[]", []string{"{}", "{2000-01-01 00:00:00.5}"}},
		{"moods", "mood[]", []string{"{sad,ok}", "{}"}},
		{"cidrs", "cidr[]", []string{"{10.0.0.1/32}", "{}"}},
		{"inets", "inet[]", []string{"{10.0.0.1}", "{10.1.1.1/8}"}},
		{"jsons", "json[]", []string{`{"{\"a\":1,\"a\":2}"}`, `{"{\"a\":1}"}`, `{"{\"a\": 1}"}`, "{12345}", `{"12345 "}`, "{}"}},
		{"jsonbs", "jsonb[]", nil},
		{"point3", "point3", []string{"(1,a,1.0)", "(,,)", "(2,A,999.9)", `(2,"a ",1.5)`}},
		{"single", "single", []string{"(1.0,a)", "(,)"}},
		{"folded", "folded", []string{"(a)", "(A)", "()"}},
		{"floats", "floats", []string{"(0.1,a)", "(NaN,)"}},
		{"point3s", "point3[]", []string{`{"(1,a,1.0)"}`, "{}"}},
		{"int4range", "int4range", []string{"empty", "[1,5)", "(,)", "[1,1]"}},
		{"int8range", "int8range", []string{"empty", "[1,5)", "[1,9223372036854775806]"}},
		{"numrange", "numrange", []string{"empty", "[1.0,2]", "[1.00,2]"}},
		{"tsrange", "tsrange", []string{"empty", "[2000-01-01,2000-01-02)"}},
		{"tstzrange", "tstzrange", []string{"empty", "[2000-01-01,2000-01-02)"}},
		{"real_range", "real_range", []string{"[0.1,1.5]", "empty"}},
		{"widening", "widening", []string{"[0.1,1.5]", "empty"}},
	},
}
