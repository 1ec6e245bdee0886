package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

// typePair is a source's type beside a target's, with what became of the source's values there.
type typePair struct {
	source, target pairType
	printed        []string  // by the source, as a session of pgibex has them
	same           []string  // of these, by number, which are equal
	arrived        []*string // what the target prints of them; nil where it refused one
	back           []*string // what the source's type makes of that
}

func (p typePair) name() string { return p.source.name + "_to_" + p.target.name }

var (
	point   = regexp.MustCompile(`\.0+\b`)
	filling = regexp.MustCompile(` +("|$)`)
)

// withoutFill leaves out the blanks at the end of a text, or of the elements of an array, and the quotes that they made necessary.
func withoutFill(text string) string {
	return strings.ReplaceAll(filling.ReplaceAllString(text, "$1"), `"`, "")
}

// filled says whether blanks at the end count for nothing.
func (p pairType) filled() bool { return p.name == "bpchar" || strings.HasPrefix(p.kind, "char(") }

// safe are the numbers of the values that the target took, and took as they are.
func (p typePair) safe() (safe []int) {
	for i := range p.printed {
		if p.arrived[i] != nil && !p.changed(i) {
			safe = append(safe, i)
		}
	}
	return safe
}

// changed says whether the target took a value for another one.
func (p typePair) changed(i int) bool {
	switch {
	case p.arrived[i] == nil:
		return false
	case p.source.filled() && p.target.filled():
		return withoutFill(*p.arrived[i]) != withoutFill(p.printed[i])
	}
	if p.back[i] == nil { // a whole number with a point
		return point.ReplaceAllString(*p.arrived[i], "") != p.printed[i]
	}
	return *p.back[i] != p.printed[i]
}

const (
	// tryIn writes a text into a column of a type, and gives the text that is then there; null if it is refused. becomes reads a text as a type.
	tryIn = `CREATE FUNCTION try_in(name text, input text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE there text; BEGIN
		EXECUTE 'INSERT INTO ' || name || ' VALUES (' || quote_literal(input) || ') RETURNING format(''%s'', v)' INTO there; RETURN there;
		EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;`
	becomes = `CREATE FUNCTION becomes(kind text, input text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE there text; BEGIN
		EXECUTE 'SELECT format(''%s'', (' || quote_literal(input) || ')::' || kind || ')' INTO there; RETURN there;
		EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;`
	// equals gives the pairs of texts that are one value to a type; none if the type has no equality.
	equals = `CREATE FUNCTION equals(kind text, inputs text[]) RETURNS text[] LANGUAGE plpgsql AS $$ DECLARE pairs text[]; BEGIN
		EXECUTE 'CREATE TEMP TABLE alike (n int, v ' || kind || ') ON COMMIT DROP';
		FOR i IN 1 .. coalesce(array_length(inputs, 1), 0) LOOP
			IF inputs[i] IS NOT NULL THEN EXECUTE 'INSERT INTO alike VALUES (' || i || ', ' || quote_literal(inputs[i]) || ')'; END IF;
		END LOOP;
		SELECT array_agg(a.n || '=' || b.n) INTO pairs FROM alike a JOIN alike b ON a.n < b.n AND a.v = b.v;
		DROP TABLE alike;
		RETURN coalesce(pairs, '{}');
		EXCEPTION WHEN undefined_object OR undefined_function OR internal_error THEN RETURN NULL; END $$;`
)

// pairConn is a session with pgibex's settings.
func pairConn(s *stream, side pg.Side, dsn string) *pg.Conn {
	s.t.Helper()
	conn, err := pg.Server{Side: side, DSN: dsn, Stream: "it"}.Connect(s.t.Context(), "test")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.CloseNow)
	if err := conn.Run(s.t.Context(), "SET search_path = public, pg_catalog; SET client_min_messages = error"); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func answer[T any](s *stream, conn *pg.Conn, query string, args ...any) (value T) {
	s.t.Helper()
	if err := conn.QueryRow(s.t.Context(), query, args...).Scan(&value); err != nil {
		s.t.Fatalf("%v in %s %q", err, query, args)
	}
	return value
}

// pairTables makes a table, and one with a key, of every type that the server has.
func pairTables(s *stream, conn *pg.Conn) *catalog.Catalog {
	s.t.Helper()
	for _, family := range pairFamilies {
		for _, kind := range family {
			for _, sql := range []string{"CREATE TABLE a_%s (v %s)", "CREATE TABLE k_%s (v %s PRIMARY KEY)"} {
				_, err := conn.Exec(s.t.Context(), fmt.Sprintf(sql, kind.name, kind.kind), pgx.QueryExecModeSimpleProtocol)
				if err != nil && !strings.Contains(err.Error(), "does not exist") && !strings.Contains(err.Error(), "no default operator class") && !strings.Contains(err.Error(), "pseudo-type unknown") && !strings.Contains(err.Error(), "collation") {
					s.t.Fatal(kind.name, err)
				}
			}
		}
	}
	c, err := catalog.Load(s.t.Context(), conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// castable is the type without its collation.
func (p pairType) castable() string {
	kind, _, _ := strings.Cut(p.kind, " COLLATE")
	return kind
}

// tried writes the source's values into the target's type, and reads them back.
func (p typePair) tried(s *stream, src, dst *pg.Conn) typePair {
	s.t.Helper()
	p.arrived = answer[[]*string](s, dst, "SELECT ARRAY(SELECT try_in($1, v) FROM unnest($2::text[]) v)", "a_"+p.target.name, p.printed)
	p.back = answer[[]*string](s, src, "SELECT ARRAY(SELECT becomes($1, v) FROM unnest($2::text[]) v)", p.source.castable(), p.arrived)
	return p
}

// TestEveryPairOfTypes tries, by values, what is said of each pair of types: that all values arrive as they are, that some are refused and
// none is changed in silence, or that the two do not go together.
func TestEveryPairOfTypes(t *testing.T) {
	t.Parallel()
	s := newStream(t, pairSchema)
	s.src(pairSourceSchema)
	s.dst(pairTargetSchema)
	src, dst := pairConn(s, pg.Source, s.sourceDSN), pairConn(s, pg.Target, s.targetDSN)
	for conn, functions := range map[*pg.Conn]string{src: becomes + equals, dst: tryIn + equals} {
		if err := conn.Run(t.Context(), functions); err != nil {
			t.Fatal(err)
		}
	}
	sources, targets := pairTables(s, src), pairTables(s, dst)
	for _, family := range pairFamilies {
		for _, from := range family {
			printed := answer[[]string](s, src, "SELECT ARRAY(SELECT becomes($1, v) FROM unnest($2::text[]) v WHERE becomes($1, v) IS NOT NULL)", from.castable(), from.values)
			same := answer[[]string](s, src, "SELECT coalesce(equals($1, $2::text[]), '{}')", from.castable(), printed)
			for _, to := range family {
				source, target := sources.Find("public.a_"+from.name), targets.Find("public.a_"+to.name)
				if source == nil || target == nil || len(printed) == 0 {
					continue
				}
				p := typePair{source: from, target: to, printed: printed, same: same}.tried(s, src, dst)
				problems, warnings := catalog.Fit(source, target)
				p.judge(t, problems, warnings)
				keyed, unique := sources.Find("public.k_"+from.name), targets.Find("public.k_"+to.name)
				if len(problems) == 0 && unique != nil {
					p.judgeKey(s, dst, source, keyed, unique)
				}
			}
		}
	}
}

// refusedByChoice says of a pair which no value speaks against that it may be refused all the same: a type that is another one, but for its
// length or precision, has to be named as a wider one.
func (p typePair) refusedByChoice() bool {
	name := func(p pairType) string { return strings.Split(strings.Split(p.kind, "(")[0], " ")[0] }
	return name(p.source) != name(p.target)
}

func (p typePair) judge(t *testing.T, problems, warnings []string) {
	t.Helper()
	var refused, changed []string
	for i, value := range p.printed {
		switch {
		case p.arrived[i] == nil:
			refused = append(refused, value)
		case p.changed(i):
			changed = append(changed, value+" became "+*p.arrived[i])
		}
	}
	name := p.source.name + " " + p.target.name
	switch {
	case len(problems) > 0:
		if len(refused)+len(changed) == 0 && !p.refusedByChoice() {
			t.Errorf("%s: refused, though every value arrives", name)
		}
	case len(warnings) == 0:
		if len(refused)+len(changed) > 0 {
			t.Errorf("%s: nothing is said, but %q are refused, and %q", name, refused, changed)
		}
	default: // an undefined reltime has no text that makes it
		told := strings.Contains(warnings[0], "cut off") || strings.Contains(warnings[0], "jsonb keeps") || strings.Contains(warnings[0], "told apart no more")
		if len(changed) > 0 && !told || len(refused)+len(changed) == 0 && p.source.name != "reltime" {
			t.Errorf("%s: %s, but %q are refused, and %q", name, warnings, refused, changed)
		}
	}
}

// judgeKey looks for two values that are one on the target only, and the reverse.
func (p typePair) judgeKey(s *stream, dst *pg.Conn, source, keyed, unique *catalog.Table) {
	s.t.Helper()
	before := slices.DeleteFunc(slices.Clone(p.same), func(pair string) bool {
		var a, b int
		_, _ = fmt.Sscanf(pair, "%d=%d", &a, &b)
		return p.arrived[a-1] == nil || p.arrived[b-1] == nil
	})
	after := answer[[]string](s, dst, "SELECT coalesce(equals($1, $2::text[]), '{}')", p.target.kind, p.arrived)
	merged := slices.ContainsFunc(after, func(pair string) bool { return !slices.Contains(before, pair) })
	split := slices.ContainsFunc(before, func(pair string) bool { return !slices.Contains(after, pair) })
	name := p.source.name + " " + p.target.name
	if problems, _ := catalog.Fit(source, unique); (len(problems) > 0) != merged && !strings.HasSuffix(name, "citext folding") {
		s.t.Errorf("%s in a unique index: on the source %q are equal, on the target %q, and Fit says %q", name, before, after, problems)
	}
	if keyed == nil {
		return
	}
	if problems, _ := catalog.Fit(keyed, unique); (len(problems) > 0) != (merged || split) && !strings.Contains(fmt.Sprint(problems), "cannot read") && !strings.HasSuffix(name, "citext folding") {
		s.t.Errorf("%s as a key: on the source %q are equal, on the target %q, and Fit says %q", name, before, after, problems)
	}
}

// pairsThatStream are the pairs, as source and target, that whole tables are carried in: of each kind of conversion one.
var pairsThatStream = []string{
	"text varchar_63", "varchar_3 varchar_5", "varchar_5 text", "char_3 char_5", "char_5 text", "char_3 varchar_5", "name text", "code plain_text", "text citext", "citext text", "bpchar text",
	"json text", "json jsonb", "unknown text", "mood mood", "mood text", "int bigint", "smallint numeric", "int numeric_12_2", "bigint numeric", "oid bigint", "plain_int bigint",
	"int plain_int", "positive positive", "price price", "numeric_4_1 numeric_6_3", "numeric_6_2 numeric_12_2", "numeric_6_2 numeric", "real float8", "real exact_float", "timestamp_0 timestamp_3", "timestamptz_3 timestamptz",
	"abstime timestamptz", "time_0 time_3", "timetz_1 timetz", "interval_hs interval_3", "interval_y interval_ym", "interval_d interval_dm", "reltime interval", "reltime text", "bit_3 varbit_5",
	"varbit_3 varbit", "cidr inet", "ints longs", "ints numerics", "numerics_12_2 numerics_14_3", "varchars_5 texts", "chars_3 chars_5", "reals doubles", "stamps_0 stamps_3", "moods moods", "cidrs inets",
	"point3 point3", "point3s point3s", "floats floats", "single single", "int4range int8range", "widening widening",
}

func pairNamed(t *testing.T, name string) (p typePair) {
	t.Helper()
	from, to, _ := strings.Cut(name, " ")
	for _, kind := range slices.Concat(pairFamilies...) {
		if kind.name == from {
			p.source = kind
		}
		if kind.name == to {
			p.target = kind
		}
	}
	if p.source.kind == "" || p.target.kind == "" {
		t.Fatalf("there is no %s", name)
	}
	return p
}

// TestWiderTypesStream carries each kind of conversion through copy and stream, as a column, in a table without a key and, where it may be
// one, as the key; verify finds no difference but the one that is made in each table.
func TestWiderTypesStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, pairSchema)
	s.src(pairSourceSchema)
	s.dst(pairTargetSchema)
	src, dst := pairConn(s, pg.Source, s.sourceDSN), pairConn(s, pg.Target, s.targetDSN)
	for conn, functions := range map[*pg.Conn]string{src: becomes, dst: tryIn} {
		if err := conn.Run(t.Context(), functions); err != nil {
			t.Fatal(err)
		}
	}
	var pairs []typePair
	for _, name := range pairsThatStream {
		p := pairNamed(t, name)
		s.dst(fmt.Sprintf("CREATE TABLE a_%s (v %s)", p.name(), p.target.kind))
		p.printed = answer[[]string](s, src, "SELECT ARRAY(SELECT becomes($1, v) FROM unnest($2::text[]) v WHERE becomes($1, v) IS NOT NULL)", p.source.castable(), p.source.values)
		p.arrived = answer[[]*string](s, dst, "SELECT ARRAY(SELECT try_in($1, v) FROM unnest($2::text[]) v)", "a_"+p.name(), p.printed)
		p.back = answer[[]*string](s, src, "SELECT ARRAY(SELECT becomes($1, v) FROM unnest($2::text[]) v)", p.source.castable(), p.arrived)
		pairs = append(pairs, p)
	}
	for _, p := range pairs {
		s.dst(fmt.Sprintf("DROP TABLE a_%s", p.name()))
		p.create(s)
	}
	keyed := keyedPairs(s, src, dst)
	var load, more strings.Builder
	for _, p := range pairs {
		for n, i := range p.safe() {
			into := &load
			if n%2 == 1 {
				into = &more
			}
			value := fmt.Sprintf("%s::%s", pg.Literal(p.printed[i]), p.source.castable())
			fmt.Fprintf(into, "INSERT INTO w_%s VALUES (%d, %s);\n", p.name(), i, value)
			if !slices.Contains(keyed, p.name()) {
				fmt.Fprintf(into, "INSERT INTO l_%s VALUES (%s), (%s);\n", p.name(), value, value)
			}
			if slices.Contains(keyed, p.name()) {
				fmt.Fprintf(into, "INSERT INTO x_%s SELECT %s, %d WHERE NOT EXISTS (SELECT 1 FROM x_%s WHERE k = %s);\n", p.name(), value, i, p.name(), value)
			}
		}
		fmt.Fprintf(&more, "UPDATE w_%[1]s SET v = (SELECT v FROM w_%[1]s ORDER BY id LIMIT 1) WHERE id = (SELECT max(id) FROM w_%[1]s);\n", p.name())
		if slices.Contains(keyed, p.name()) {
			fmt.Fprintf(&more, "UPDATE x_%[1]s SET n = n + 100 WHERE n = (SELECT min(n) FROM x_%[1]s); DELETE FROM x_%[1]s WHERE n = (SELECT max(n) FROM x_%[1]s HAVING count(*) > 1);\n", p.name())
		} else {
			fmt.Fprintf(&more, "DELETE FROM l_%[1]s WHERE ctid = (SELECT max(ctid) FROM l_%[1]s);\n", p.name())
		}
	}
	s.src(load.String())
	s.catchUp()
	s.verified(0)
	s.src(more.String())
	s.catchUp()
	s.verified(0)
	var changes strings.Builder
	for _, p := range pairs { // another value, or none, in each table
		fmt.Fprintf(&changes, "UPDATE w_%[1]s w SET v = (SELECT u.v FROM w_%[1]s u WHERE u.v::text <> w.v::text LIMIT 1) WHERE id = (SELECT min(id) FROM w_%[1]s);\n", p.name())
		if slices.Contains(keyed, p.name()) {
			fmt.Fprintf(&changes, "UPDATE x_%[1]s SET n = n + 1000 WHERE n = (SELECT min(n) FROM x_%[1]s);\n", p.name())
		} else {
			fmt.Fprintf(&changes, "DELETE FROM l_%[1]s WHERE ctid = (SELECT min(ctid) FROM l_%[1]s);\n", p.name())
		}
	}
	s.dst(changes.String())
	s.verified(1)
}

// create makes a table with the type in a column, one without a key, and one in which it is the key.
func (p typePair) create(s *stream) {
	s.t.Helper()
	for dsn, kind := range map[string][2]string{s.sourceDSN: {p.source.kind, "int"}, s.targetDSN: {p.target.kind, "bigint"}} {
		s.exec(dsn, fmt.Sprintf("CREATE TABLE w_%[1]s (id %[3]s PRIMARY KEY, v %[2]s); CREATE TABLE l_%[1]s (v %[2]s)", p.name(), kind[0], kind[1]))
		conn := s.connect(dsn)
		_, err := conn.Exec(s.t.Context(), fmt.Sprintf("CREATE TABLE x_%s (k %s PRIMARY KEY, n int)", p.name(), kind[0]), pgx.QueryExecModeSimpleProtocol)
		if err != nil && !strings.Contains(err.Error(), "no default operator class") {
			s.t.Fatal(err)
		}
		_ = conn.Close(s.t.Context())
	}
}

// keyedPairs are those whose type may be the key; the tables of the others are dropped.
func keyedPairs(s *stream, src, dst *pg.Conn) (names []string) {
	s.t.Helper()
	source, err := catalog.Load(s.t.Context(), src)
	if err != nil {
		s.t.Fatal(err)
	}
	target, err := catalog.Load(s.t.Context(), dst)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, table := range source.Tables {
		if pair, keyed := strings.CutPrefix(name.Relation, "x_"); keyed {
			there := target.Tables[name]
			if there != nil {
				if problems, _ := catalog.Fit(table, there); len(problems) == 0 {
					names = append(names, pair)
					s.src("DROP TABLE l_" + pair)
					continue
				}
			}
			s.src("DROP TABLE " + name.SQL())
		}
	}
	return names
}

// verified compares, and expects so many differing rows in each table.
func (s *stream) verified(differing int64) {
	s.t.Helper()
	results, err := s.replicator().Verify(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range results {
		if strings.HasPrefix(fmt.Sprint(r.Notes), "[column v was not compared") {
			continue
		}
		if r.Total != differing || r.Skipped != "" || r.Unsettled != 0 {
			s.t.Errorf("%s: %d rows differ, expected %d: %+v", r.Name, r.Total, differing, r)
		}
	}
}
