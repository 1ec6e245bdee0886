package integration

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// TestEveryType carries each type in a table with a key and in one without, in the copy and then through every operation.
func TestEveryType(t *testing.T) {
	t.Parallel()
	var schema strings.Builder
	schema.WriteString(samplesSchema)
	for _, p := range samples {
		schema.WriteString(p.tables())
	}
	s := newStream(t, schema.String())
	for _, p := range samples {
		s.src(p.load())
	}
	queries := s.queries()
	s.follows(func() { s.equalQueries(queries...) }, "", changes(sample.insert), changes(sample.update), changes(sample.remove), changes(sample.move))
}

func changes(change func(sample) string) string {
	var all strings.Builder
	for _, p := range samples {
		all.WriteString(change(p))
	}
	return all.String()
}

// queries read every table of the samples so that no two values look alike.
func (s *stream) queries() (queries []string) {
	s.t.Helper()
	var names []string
	for _, p := range samples {
		names = append(names, "public.keyed_"+p.name, "public.keyless_"+p.name)
	}
	binary := s.binary(names...)
	for _, p := range samples {
		if len(p.exact) > 0 {
			list := strings.Join(p.exact, ", ")
			binary["public.keyed_"+p.name], binary["public.keyless_"+p.name] = "id, "+list, list
		}
	}
	for _, name := range names {
		queries = append(queries, fmt.Sprintf("SELECT %s FROM %s", binary[name], name))
	}
	return queries
}

// binary gives, for tables of the source, an expression for each column that tells any two values apart: its binary form, which
// is the same in every version, or its text where the type is not built in. A numeric's text is exact, and 9.2 sends NaN with a scale.
func (s *stream) binary(tables ...string) map[string]string {
	s.t.Helper()
	lists := one[[]string](s, s.sourceDSN, `SELECT ARRAY(SELECT coalesce((
		SELECT string_agg(CASE WHEN coalesce(e.oid, t.oid) < 16384 AND coalesce(e.typname, t.typname) NOT IN ('numeric', 'numrange')
				THEN 'encode(' || t.typsend || '(' || quote_ident(attname) || '), ''hex'')' ELSE quote_ident(attname) || '::text' END, ', ' ORDER BY attname)
		  FROM pg_attribute JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1
		 WHERE attrelid = r::regclass AND attnum > 0 AND NOT attisdropped), '1') FROM unnest($1::text[]) r)`, tables)
	binary := map[string]string{}
	for i, table := range tables {
		binary[table] = lists[i]
	}
	return binary
}

// binaryJudge compares tables by the binary form of their values.
func (s *stream) binaryJudge(tables ...string) (equal func()) {
	s.t.Helper()
	var queries []string
	for table, list := range s.binary(tables...) {
		queries = append(queries, fmt.Sprintf("SELECT %s FROM ONLY %s", list, table))
	}
	return func() { s.t.Helper(); s.equalQueries(queries...) }
}

// equalQueries fails the test unless each query has the same result on both sides, in any order, and some.
func (s *stream) equalQueries(queries ...string) {
	s.t.Helper()
	source, target := s.results(s.sourceDSN, queries), s.results(s.targetDSN, queries)
	for i, query := range queries {
		if len(source[i]) == 0 || !slices.Equal(source[i], target[i]) {
			s.t.Errorf("%s: %d rows on the source, %d on the target\nonly on the source: %s\nonly on the target: %s",
				query, len(source[i]), len(target[i]), beyond(source[i], target[i]), beyond(target[i], source[i]))
		}
	}
}

// results runs queries in one round trip and returns the sorted rows of each.
func (s *stream) results(dsn string, queries []string) (sorted [][]string) {
	s.t.Helper()
	conn := s.connect(dsn)
	defer func() { _ = conn.Close(s.t.Context()) }()
	const settings = "SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SET extra_float_digits = 3; SET search_path = pg_catalog; "
	results, err := conn.PgConn().Exec(s.t.Context(), settings+strings.Join(queries, "; ")).ReadAll()
	if err != nil {
		s.t.Fatalf("%v in: %.2000s", err, strings.Join(queries, ";\n"))
	}
	for _, result := range results[strings.Count(settings, ";"):] {
		var rows []string
		for _, values := range result.Rows {
			var row strings.Builder
			for _, value := range values {
				if value == nil {
					row.WriteString("null,")
				} else {
					fmt.Fprintf(&row, "%q,", value)
				}
			}
			rows = append(rows, row.String())
		}
		slices.Sort(rows)
		sorted = append(sorted, rows)
	}
	return sorted
}

func (p sample) array() string {
	if p.noArray {
		return "text"
	}
	return p.kind + "[]"
}

func (p sample) tables() string {
	columns := fmt.Sprintf("v %s, a %s", p.kind, p.array())
	return fmt.Sprintf("CREATE TABLE keyed_%s (id int PRIMARY KEY, %s); CREATE TABLE keyless_%s (%s);\n", p.name, columns, p.name, columns)
}

// load brings each value once with a key and twice without, and a row of nulls.
func (p sample) load() string {
	var rows []string
	for i, value := range p.values {
		array := "NULL"
		if !p.noArray {
			array = fmt.Sprintf("ARRAY[(%s)::%s, NULL, (%s)::%s]", value, p.kind, value, p.kind)
		}
		rows = append(rows, fmt.Sprintf("(%d, (%s)::%s, %s)", i+1, value, p.kind, array))
	}
	if !p.notNull {
		rows = append(rows, fmt.Sprintf("(%d, NULL::%s, NULL)", len(rows)+1, p.kind))
	}
	var insert strings.Builder
	for _, row := range rows { // one by one: VALUES would look for a common type
		fmt.Fprintf(&insert, "INSERT INTO keyed_%s VALUES %s;\n", p.name, row)
	}
	return insert.String() + fmt.Sprintf("INSERT INTO keyless_%s SELECT v, a FROM keyed_%s; INSERT INTO keyless_%s SELECT v, a FROM keyed_%s;\n", p.name, p.name, p.name, p.name)
}

// sql fills in the sample's name and how many rows it was loaded with.
func (p sample) sql(template string) string {
	n := len(p.values)
	if !p.notNull {
		n++
	}
	return strings.NewReplacer("{name}", p.name, "{n}", strconv.Itoa(n), "{half}", strconv.Itoa((n+1)/2)).Replace(template) + ";\n"
}

func (p sample) insert() string {
	return p.sql(`INSERT INTO keyed_{name} SELECT id + 1000, v, a FROM keyed_{name};
		INSERT INTO keyless_{name} SELECT v, a FROM keyed_{name} WHERE id <= {n}`)
}

// update gives each value to another row, null among them, and makes some of several equal rows another.
func (p sample) update() string {
	return p.sql(`UPDATE keyed_{name} k SET v = o.v, a = o.a FROM keyed_{name} o WHERE k.id <= {n} AND o.id = k.id % {n} + 1;
		UPDATE keyless_{name} SET v = o.v, a = o.a FROM keyed_{name} o WHERE o.id = 1 AND keyless_{name}.ctid = ANY (ARRAY(SELECT ctid FROM keyless_{name} OFFSET {half} LIMIT {half}))`)
}

// remove deletes rows with a key, and one of several equal ones without.
func (p sample) remove() string {
	return p.sql(`DELETE FROM keyed_{name} WHERE id > 1000 AND id % 2 = 1;
		DELETE FROM keyless_{name} WHERE ctid = ANY (ARRAY(SELECT ctid FROM keyless_{name} LIMIT {half}))`)
}

func (p sample) move() string {
	return p.sql(`UPDATE keyed_{name} SET id = id + 10000 WHERE id % 2 = 0; UPDATE keyed_{name} SET id = -id WHERE id = 1;
		UPDATE keyless_{name} SET v = v; INSERT INTO keyless_{name} SELECT * FROM keyless_{name} LIMIT 1`)
}

func TestXML(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE x (id int PRIMARY KEY, v xml); CREATE TABLE y (v xml)")
	conn := s.connect(s.sourceDSN)
	if _, err := conn.Exec(t.Context(), "SELECT '<a/>'::xml"); err != nil {
		pgtest.Skip(t, fmt.Sprintf("xml values, the source server is built without libxml: %v", err))
	}
	const values = `(1, '<a b="1">ä</a>'), (2, '<t>text<b/></t>'), (3, '<e/>'), (4, NULL)`
	s.src("INSERT INTO x VALUES " + values + "; INSERT INTO y SELECT v FROM x")
	s.run()
	s.streaming()
	s.equal()
	s.src("UPDATE x SET v = '<?xml version=\"1.0\" standalone=\"yes\"?><c/>' WHERE id = 1; DELETE FROM x WHERE id = 2; INSERT INTO x VALUES (5, '<d/>'); INSERT INTO y VALUES ('<d/>'), ('<d/>'); DELETE FROM y WHERE v::text = '<e/>'")
	s.streaming()
	s.equal()
}

// TestLargeValues carries values of 10 MB, that compress and that do not, and one that an update leaves where it is.
func TestLargeValues(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE large (id int PRIMARY KEY, note text, v text, b bytea); CREATE TABLE large_keyless (v text, b int)")
	random := make([]byte, 10<<20)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	text := hex.EncodeToString(random[:5<<20])
	conn := s.connect(s.sourceDSN)
	insert := func(id string) {
		t.Helper()
		result := conn.PgConn().ExecParams(t.Context(), `INSERT INTO large VALUES ($1, 'random', $2, $3)`,
			[][]byte{[]byte(id), []byte(text), random}, nil, []int16{pgx.TextFormatCode, pgx.TextFormatCode, pgx.BinaryFormatCode}, nil).Read()
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	equal := func(rows int) {
		t.Helper()
		s.streaming()
		s.equalQueries("SELECT id, note, length(v), md5(v), length(b), md5(b) FROM public.large",
			"SELECT length(v), md5(v), b FROM public.large_keyless")
		if n := one[int](s, s.targetDSN, "SELECT count(*) FROM large WHERE length(v) >= 10000000 OR length(b) >= 10000000"); n != rows {
			t.Errorf("the target has %d large rows, not %d", n, rows)
		}
	}
	insert("1")
	s.src(`INSERT INTO large VALUES (2, 'compressible', repeat('pgibex ', 1500000), decode(repeat('00ff', 5000000), 'hex'));
		INSERT INTO large_keyless SELECT v, 1 FROM large`)
	s.run()
	equal(2)
	insert("3")
	s.src(`UPDATE large SET note = 'TOAST stays' WHERE id = 1; UPDATE large SET v = v || '!' WHERE id = 2;
		INSERT INTO large_keyless SELECT v, NULL FROM large WHERE id = 1;
		UPDATE large_keyless SET v = 'small' WHERE b IS NULL`)
	equal(3)
	s.src("DELETE FROM large WHERE id = 3; DELETE FROM large_keyless WHERE length(v) = 10500000; UPDATE large SET id = 4 WHERE id = 1")
	equal(2)
}

// follows loads the source, and streams one change after the other, each of them compared.
func (s *stream) follows(compare func(), load string, changes ...string) {
	s.t.Helper()
	s.src(load)
	stop := s.run()
	for _, change := range append([]string{""}, changes...) {
		if change != "" {
			s.src(change)
		}
		s.streaming()
		compare()
		if s.t.Failed() {
			s.t.Fatalf("after: %.2000s", change)
		}
	}
	stop()
	for _, table := range s.status().Tables {
		if table.Reason != "" {
			s.t.Errorf("%s: %s", table.Table, table.Reason)
		}
	}
}

// equalTables is equal, but for the sequences: the target has others, or they are on their way.
func (s *stream) equalTables() {
	s.t.Helper()
	for _, table := range s.tables() {
		s.equalTable(table)
	}
}

// settled ends what a stopped daemon has left undone, sequences among it, and compares all. The lock of a session that
// has just ended is taken for a daemon's.
func (s *stream) settled() {
	s.t.Helper()
	s.eventually("this process carries the stream", 10*time.Second, func() bool { return s.catchUp().By == "this process" })
	s.equal()
}
