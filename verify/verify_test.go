package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const stream = "verify_test"

// testSides are two databases of a test.
type testSides struct {
	source, target pg.Server
	s, d           *pg.Conn
}

func newSides(t *testing.T, sourceOptions ...string) *testSides {
	t.Helper()
	sides := &testSides{
		source: pg.Server{Side: pg.Source, DSN: pgtest.Database(t, pgtest.Source(t), sourceOptions...), Stream: stream},
		target: pg.Server{Side: pg.Target, DSN: pgtest.Database(t, pgtest.Target(t)), Stream: stream},
	}
	sides.s, sides.d = connect(t, sides.source), connect(t, sides.target)
	sides.both(t, "SET search_path = public")
	return sides
}

func connect(t *testing.T, server pg.Server) *pg.Conn {
	t.Helper()
	conn, err := server.Connect(t.Context(), "test")
	require.NoError(t, err)
	t.Cleanup(conn.CloseNow)
	return conn
}

func (s *testSides) both(t *testing.T, sql string) {
	t.Helper()
	require.NoError(t, s.s.Run(t.Context(), sql))
	require.NoError(t, s.d.Run(t.Context(), sql))
}

func (s *testSides) onSource(t *testing.T, sql string) {
	t.Helper()
	require.NoError(t, s.s.Run(t.Context(), sql))
}

func (s *testSides) onTarget(t *testing.T, sql string) {
	t.Helper()
	require.NoError(t, s.d.Run(t.Context(), sql))
}

// pairs are the tables of the source in the order of their names, numbered from 1.
func (s *testSides) pairs(t *testing.T) []Pair {
	t.Helper()
	source, err := catalog.Load(t.Context(), connect(t, s.source))
	require.NoError(t, err)
	target, err := catalog.Load(t.Context(), connect(t, s.target))
	require.NoError(t, err)
	var pairs []Pair
	for name, table := range source.Tables {
		if to := target.Tables[name]; to != nil {
			pairs = append(pairs, Pair{Source: table, Target: to})
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.Source.Relation, b.Source.Relation) })
	for i := range pairs {
		pairs[i].Number = i + 1
	}
	return pairs
}

func (s *testSides) verify(t *testing.T, options Options) []Result {
	t.Helper()
	results, err := New(s.source, s.target, nil, options).Tables(t.Context(), s.pairs(t))
	require.NoError(t, err)
	return results
}

func differences(r Result) []Difference {
	slices.SortFunc(r.Differences, func(a, b Difference) int { return strings.Compare(a.Key, b.Key) })
	return r.Differences
}

// copyText carries a table over as pgibex does: as text, with the settings of its sessions.
func (s *testSides) copyText(t *testing.T, table string) {
	t.Helper()
	err := pg.Pipe(t.Context(), copyOut(s.s, table), copyIn(s.d, table))
	require.NoError(t, err)
}

func TestFindsExactlyWhatDiffers(t *testing.T) {
	for _, test := range []struct {
		name   string
		schema string // on both sides
		plant  string // on the target
		rows   int64
		want   []Difference
		total  int64 // of rows, where it is not the number of differences
	}{
		{
			name:   "integer key",
			schema: "CREATE TABLE t (id integer PRIMARY KEY, a text, b text); INSERT INTO t SELECT i, 'a' || i, 'b' FROM generate_series(1, 30000) i",
			plant: `DELETE FROM t WHERE id IN (1, 17000); INSERT INTO t VALUES (-5, 'new', NULL), (99999999, 'new', NULL);
				UPDATE t SET a = 'x' WHERE id = 30000; UPDATE t SET a = NULL, b = '' WHERE id = 12000`,
			rows: 30000,
			want: []Difference{
				{Key: "(id)=(-5)", Kind: Unexpected, Rows: 1},
				{Key: "(id)=(1)", Kind: Missing, Rows: 1},
				{Key: "(id)=(12000)", Kind: Different, Rows: 1, Columns: []string{"a", "b"}},
				{Key: "(id)=(17000)", Kind: Missing, Rows: 1},
				{Key: "(id)=(30000)", Kind: Different, Rows: 1, Columns: []string{"a"}},
				{Key: "(id)=(99999999)", Kind: Unexpected, Rows: 1},
			},
		},
		{
			name: "ends of bigint",
			schema: `CREATE TABLE t (id bigint PRIMARY KEY);
				INSERT INTO t VALUES (-9223372036854775808), (0), (9223372036854775807)`,
			plant: "DELETE FROM t WHERE id <> 0",
			rows:  3,
			want: []Difference{
				{Key: "(id)=(-9223372036854775808)", Kind: Missing, Rows: 1},
				{Key: "(id)=(9223372036854775807)", Kind: Missing, Rows: 1},
			},
		},
		{
			name: "text key in another order, one-column table",
			schema: `CREATE TABLE t ("K ey" text PRIMARY KEY);
				INSERT INTO t VALUES ('a'), ('B'), ('ä'), ('_'), ('a b'), ('a,b'), (E'tab\t\\'), (''), ('Z'), ('z')`,
			plant: `DELETE FROM t WHERE "K ey" IN ('', 'B'); INSERT INTO t VALUES ('é'), ('ZZ')`,
			rows:  10,
			want: []Difference{
				{Key: "(K ey)=()", Kind: Missing, Rows: 1},
				{Key: "(K ey)=(B)", Kind: Missing, Rows: 1},
				{Key: "(K ey)=(ZZ)", Kind: Unexpected, Rows: 1},
				{Key: "(K ey)=(é)", Kind: Unexpected, Rows: 1},
			},
		},
		{
			name: "composite key of date, char and boolean",
			schema: `CREATE TABLE t (a date, b char(4), c boolean, v numeric, PRIMARY KEY (c, a, b));
				INSERT INTO t SELECT '2000-01-01'::date + i, chr(65 + i), i % 2 = 0, i FROM generate_series(0, 25) i;
				INSERT INTO t VALUES ('infinity', 'x', true, 1.0), ('0044-03-15 BC', 'y', false, 'NaN')`,
			plant: "UPDATE t SET v = 1.00 WHERE b = 'x'; UPDATE t SET c = NOT c WHERE b = 'y'",
			rows:  28,
			want: []Difference{
				{Key: "(c, a, b)=(f, 0044-03-15 BC, y   )", Kind: Missing, Rows: 1},
				{Key: "(c, a, b)=(t, 0044-03-15 BC, y   )", Kind: Unexpected, Rows: 1},
				{Key: "(c, a, b)=(t, infinity, x   )", Kind: Different, Rows: 1, Columns: []string{"v"}},
			},
		},
		{
			name: "keys of bytea, enum, numeric, array and float",
			schema: `CREATE TYPE mood AS ENUM ('sad', 'ok');
				CREATE TABLE t (a bytea, b mood, c numeric, d text[], e float8, v text, PRIMARY KEY (a, b, c, d, e));
				INSERT INTO t SELECT decode(md5(i::text), 'hex'), 'ok', i / 8.0, ARRAY['x', NULL, i::text], i / 3.0::float8, 'v' FROM generate_series(1, 50) i;
				INSERT INTO t VALUES ('a', 'sad', 1, '{}', 1e-300, 'v')`,
			plant: "UPDATE t SET v = NULL WHERE b = 'sad'",
			rows:  51,
			want:  []Difference{{Key: `(a, b, c, d, e)=(\x61, sad, 1, {}, 1e-300)`, Kind: Different, Rows: 1, Columns: []string{"v"}}},
		},
		{
			name: "no key, with duplicates",
			schema: `CREATE TABLE t (a integer, b text);
				INSERT INTO t SELECT i % 10, 'x' FROM generate_series(1, 1000) i; INSERT INTO t VALUES (NULL, NULL), (NULL, ''), (1, 'only, here'), (1, 'only, here')`,
			plant: "INSERT INTO t VALUES (3, 'x'), (3, 'x'); DELETE FROM t WHERE b = 'only, here'; UPDATE t SET b = '' WHERE b IS NULL",
			rows:  1004,
			want: []Difference{
				{Key: `(,"")`, Kind: Unexpected, Rows: 1},
				{Key: "(,)", Kind: Missing, Rows: 1},
				{Key: `(1,"only, here")`, Kind: Missing, Rows: 2},
				{Key: "(3,x)", Kind: Unexpected, Rows: 2},
			},
			total: 6,
		},
		{
			name:   "no column",
			schema: "CREATE TABLE t (); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES",
			plant:  "INSERT INTO t DEFAULT VALUES",
			rows:   2,
			want:   []Difference{{Key: "()", Kind: Unexpected, Rows: 1}},
		},
		{
			name: "composites and arrays of floats",
			schema: `CREATE TYPE inner_pair AS (f float4, t text); CREATE TYPE pair AS (p inner_pair, q point, "Q" integer);
				CREATE DOMAIN ratio AS float8; CREATE TYPE floats AS RANGE (subtype = float8);
				CREATE TABLE t (id integer PRIMARY KEY, a pair, b pair[], c float8[], d ratio, e floats);
				INSERT INTO t VALUES (1, ROW(ROW(0.1, 'x'), '(0.1,0.2)', 1), ARRAY[ROW(ROW(0.3, NULL), NULL, 2)::pair, NULL], '{0.1,NULL}', 0.1, '[0.1,0.2)'),
					(2, NULL, NULL, NULL, NULL, NULL), (3, ROW(NULL, NULL, NULL), '{}', '{}', 'NaN', 'empty'), (4, NULL, '{NULL}', '{NaN,0.1}', '-0', '(,0.1]'),
					(5, ROW(ROW(0.7, ''), '(0,1)', 0), '{}', '[0:1]={1,2}', '-Infinity', '(,)')`,
			plant: `UPDATE t SET a = ROW(NULL, NULL, NULL), b = '{}', c = '{}', d = 0 WHERE id = 2; UPDATE t SET d = 0 WHERE id = 4;
				UPDATE t SET a = ROW(ROW(0.70000005, ''), '(0,1)', 0), c = '{1,2}' WHERE id = 5; UPDATE t SET e = '[0.1,0.2]', b[2] = b[1] WHERE id = 1`,
			rows: 5,
			want: []Difference{
				{Key: "(id)=(1)", Kind: Different, Rows: 1, Columns: []string{"b", "e"}},
				{Key: "(id)=(2)", Kind: Different, Rows: 1, Columns: []string{"a", "b", "c", "d"}},
				{Key: "(id)=(4)", Kind: Different, Rows: 1, Columns: []string{"d"}},
				{Key: "(id)=(5)", Kind: Different, Rows: 1, Columns: []string{"a", "c"}},
			},
		},
		{
			name: "types of extensions, key equal but not the same",
			schema: `CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TABLE t (k citext PRIMARY KEY, h hstore, s tsvector, m money, b bit(3), i interval);
				INSERT INTO t VALUES ('A', 'a=>1, "b c"=>NULL', 'a b', 1.5, B'101', '1 mon -1 day'), ('b', '', '', -1, B'000', '-1 sec'), ('C', NULL, NULL, NULL, NULL, NULL)`,
			plant: "UPDATE t SET k = 'a' WHERE k = 'A'; UPDATE t SET h = NULL, s = NULL WHERE k = 'b'; UPDATE t SET h = '' WHERE k = 'c'",
			rows:  3,
			want: []Difference{
				{Key: "(k)=(A)", Kind: Different, Rows: 1, Columns: []string{"k"}},
				{Key: "(k)=(C)", Kind: Different, Rows: 1, Columns: []string{"h"}},
				{Key: "(k)=(b)", Kind: Different, Rows: 1, Columns: []string{"h", "s"}},
			},
		},
		{
			name: "inheritance",
			schema: `CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1);
				CREATE SCHEMA other; CREATE TABLE other.child () INHERITS (t); INSERT INTO other.child VALUES (2)`,
			plant: "DELETE FROM ONLY t; INSERT INTO other.child VALUES (3)",
			rows:  1,
			want:  []Difference{{Key: "(id)=(1)", Kind: Missing, Rows: 1}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			sides := newSides(t)
			sides.both(t, test.schema)
			find := func(want []Difference, total int64) {
				t.Helper()
				for _, r := range sides.verify(t, Options{}) {
					if r.Name != "public.t" {
						continue
					}
					require.Empty(t, r.Skipped)
					require.Equal(t, test.rows, r.Rows)
					require.Equal(t, want, differences(r))
					require.Equal(t, total, r.Total)
				}
			}
			find(nil, 0)
			sides.onTarget(t, test.plant)
			find(test.want, cmp.Or(test.total, int64(len(test.want))))
		})
	}
}

func TestEqualValuesWhoseTextDiffers(t *testing.T) {
	sides := newSides(t)
	sides.both(t, `CREATE TABLE t (id integer PRIMARY KEY, a float4, b float8, c point, d lseg, e box, f path, g polygon, h circle, i float4[], j point[]);
		CREATE TABLE u (b float8, c circle)`)
	sides.onSource(t, `INSERT INTO t SELECT n, x, x, point(x, -x), lseg(point(x, 1), point(0, x)), box(point(x, x), point(1, 2)),
			path '((0.1,0.7),(1.1,2e-30))', polygon '((0.1,0.7),(1.1,2.2),(0.3,9))', circle(point(x, 0), 0.1), ARRAY[x, NULL, 1], ARRAY[point(x, x)]
			FROM (SELECT n, n * 0.1::float8 / 3 AS x FROM generate_series(1, 500) n) s;
		INSERT INTO t (id, a, b) VALUES (-1, 'NaN', 'NaN'), (-2, '-0', '-0'), (-3, 'Infinity', '-Infinity'), (-4, 1e38, 1.7976931348623157e308), (-5, 1e-40, 5e-324);
		INSERT INTO t (id, b, i) VALUES (-6, 'Infinity'::float8 - 'Infinity'::float8, ARRAY['Infinity'::float4 - 'Infinity'::float4]);
		UPDATE t SET i[2] = 7 WHERE id = 3;
		INSERT INTO u SELECT b, h FROM t`)
	sides.copyText(t, "t")
	sides.copyText(t, "u")
	for _, r := range sides.verify(t, Options{}) {
		require.True(t, r.Equal(), "%+v", r)
	}
	sides.onTarget(t, "UPDATE t SET b = 0 WHERE id = -2; UPDATE t SET h = NULL WHERE id = 500; UPDATE u SET b = 0 WHERE b = '-0'")
	results := sides.verify(t, Options{})
	require.Equal(t, []Difference{
		{Key: "(id)=(-2)", Kind: Different, Rows: 1, Columns: []string{"b"}},
		{Key: "(id)=(500)", Kind: Different, Rows: 1, Columns: []string{"h"}},
	}, differences(results[0]))
	require.Equal(t, int64(2), results[1].Total)
}

func TestTypesThatWereChangedOnTheTarget(t *testing.T) {
	sides := newSides(t)
	sides.onSource(t, `CREATE TABLE t (id smallint PRIMARY KEY, a integer, b real, c char(5), d json, e cidr, f char(3), gone text, g varchar(3));
		INSERT INTO t VALUES (1, 1, 0.1, 'ab', '{"a":  1}', '10.0.0.1/32', 'x', 'gone', 'y'), (2, 2, 1e20, '', NULL, '10.0.0.0/8', 'x', '', NULL)`)
	sides.onTarget(t, `CREATE TABLE t (id bigint PRIMARY KEY, a numeric, b double precision, c text, d jsonb, e inet, f char(9), g text, more integer DEFAULT 7)`)
	err := pg.Pipe(t.Context(), copyOut(sides.s, "t (id, a, b, c, d, e, f, g)"), copyIn(sides.d, "t (id, a, b, c, d, e, f, g)"))
	require.NoError(t, err)
	results := sides.verify(t, Options{})
	require.True(t, results[0].Equal(), "%+v", results[0])
	if sides.s.Version < 90400 {
		require.Equal(t, []string{"column d was not compared: it is json on the source and jsonb on the target"}, results[0].Notes)
	}
	sides.onTarget(t, "UPDATE t SET b = b + 1e-9, c = rtrim(c) WHERE id = 1")
	require.Equal(t, []Difference{{Key: "(id)=(1)", Kind: Different, Rows: 1, Columns: []string{"b", "c"}}}, sides.verify(t, Options{})[0].Differences)
}

func TestWideTable(t *testing.T) {
	sides := newSides(t)
	columns := make([]string, 1600)
	for i := range columns {
		columns[i] = fmt.Sprintf("c%d smallint", i)
	}
	sides.both(t, "CREATE TABLE t ("+strings.Join(columns, ", ")+", PRIMARY KEY (c0)); INSERT INTO t VALUES (1), (2); CREATE TABLE u AS SELECT * FROM t")
	sides.onTarget(t, "UPDATE t SET c1599 = 1 WHERE c0 = 2")
	results := sides.verify(t, Options{})
	require.Equal(t, []Difference{{Key: "(c0)=(2)", Kind: Different, Rows: 1, Columns: []string{"c1599"}}}, results[0].Differences)
	require.True(t, results[1].Equal())
}

func TestOtherEncoding(t *testing.T) {
	sides := newSides(t, "ENCODING 'LATIN1'", "LC_COLLATE 'C'", "LC_CTYPE 'C'", "TEMPLATE template0")
	sides.both(t, "CREATE TABLE t (k text PRIMARY KEY, v text); INSERT INTO t VALUES ('ä', 'ö'), ('é', 'ü')")
	sides.onTarget(t, "UPDATE t SET v = 'u' WHERE k = 'é'")
	require.Equal(t, []Difference{{Key: "(k)=(é)", Kind: Different, Rows: 1, Columns: []string{"v"}}}, sides.verify(t, Options{})[0].Differences)
}

func TestManyDifferences(t *testing.T) {
	sides := newSides(t)
	sides.both(t, "CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE u (id text PRIMARY KEY)")
	sides.onSource(t, "INSERT INTO t SELECT generate_series(1, 25000); INSERT INTO u SELECT generate_series(1, 25000)::text")
	sides.onTarget(t, "INSERT INTO t SELECT generate_series(200001, 420000)")
	results := sides.verify(t, Options{})
	require.Len(t, results[0].Differences, maxNamed)
	require.Equal(t, int64(maxTotal), results[0].Total)
	require.NotEmpty(t, results[0].Notes)
	require.Len(t, results[1].Differences, maxNamed)
	require.Equal(t, int64(25000), results[1].Total)
}

func TestTableThatCannotBeRead(t *testing.T) {
	sides := newSides(t)
	sides.both(t, "CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE u (id integer PRIMARY KEY); CREATE TABLE v (id integer PRIMARY KEY, w text)")
	pairs := sides.pairs(t)
	sides.onSource(t, "DROP TABLE t; ALTER TABLE v RENAME w TO x")
	results, err := New(sides.source, sides.target, nil, Options{}).Tables(t.Context(), pairs)
	require.NoError(t, err)
	require.Contains(t, results[0].Skipped, "does not exist")
	require.True(t, results[1].Equal())
	require.Contains(t, results[2].Skipped, "does not exist")
}

func TestBlocksOfALargeTable(t *testing.T) {
	sides := newSides(t)
	sides.both(t, `CREATE TABLE t (k text, v text); ALTER TABLE t ALTER v SET STORAGE PLAIN; INSERT INTO t SELECT 'k' || i, repeat('v', 4000) FROM generate_series(1, 18000) i; ALTER TABLE t ADD PRIMARY KEY (k);
		UPDATE t SET v = v || 'w' WHERE k LIKE 'k77%'`)
	sides.onTarget(t, "DELETE FROM t WHERE k = 'k8999'; INSERT INTO t VALUES ('k0')")
	r := sides.verify(t, Options{})[0]
	require.Greater(t, r.Chunks, 2)
	require.Equal(t, int64(18000), r.Rows)
	require.Equal(t, []Difference{{Key: "(k)=(k0)", Kind: Unexpected, Rows: 1}, {Key: "(k)=(k8999)", Kind: Missing, Rows: 1}}, differences(r))
}

func TestSeveralWorkersOnOneTable(t *testing.T) {
	sides := newSides(t)
	sides.both(t, "CREATE TABLE t (id bigint PRIMARY KEY, v text); INSERT INTO t SELECT i * 1000, 'v' FROM generate_series(-5000, 5000) i")
	sides.onTarget(t, "DELETE FROM t WHERE id IN (-5000000, 0); INSERT INTO t VALUES (77, 'new'), (6000000, 'new'), (-6000000, 'new'); UPDATE t SET v = 'w' WHERE id = 5000000")
	pairs := sides.pairs(t)
	pairs[0].Source.Rows = 10 * stripeRows // as after an ANALYZE of a large table
	var rows int64
	options := Options{Workers: 4, ChunkRows: 300, Progress: func(_ catalog.Name, more int64) { rows += more }}
	results, err := New(sides.source, sides.target, nil, options).Tables(t.Context(), pairs)
	require.NoError(t, err)
	require.Equal(t, int64(10001), results[0].Rows)
	require.Equal(t, int64(10001), rows)
	require.Greater(t, results[0].Chunks, 30)
	require.Equal(t, []Difference{
		{Key: "(id)=(-5000000)", Kind: Missing, Rows: 1},
		{Key: "(id)=(-6000000)", Kind: Unexpected, Rows: 1},
		{Key: "(id)=(0)", Kind: Missing, Rows: 1},
		{Key: "(id)=(5000000)", Kind: Different, Rows: 1, Columns: []string{"v"}},
		{Key: "(id)=(6000000)", Kind: Unexpected, Rows: 1},
		{Key: "(id)=(77)", Kind: Unexpected, Rows: 1},
	}, differences(results[0]))
}

// Rows are read side by side in pieces: what differs in a later one is found too.
func TestRowsOfALargeChunk(t *testing.T) {
	sides := newSides(t)
	sides.both(t, "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 250000) i")
	sides.onTarget(t, "UPDATE t SET v = 'w' WHERE id IN (130000, 249999)")
	result := sides.verify(t, Options{ChunkRows: 1_000_000})[0]
	require.Equal(t, []Difference{
		{Key: "(id)=(130000)", Kind: Different, Rows: 1, Columns: []string{"v"}},
		{Key: "(id)=(249999)", Kind: Different, Rows: 1, Columns: []string{"v"}},
	}, differences(result))
}
