package integration

import (
	"fmt"
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
	arrived        []*string // what the target prints of them; nil where it refused one
	back           []*string // what the source's type makes of that
}

func (p typePair) name() string { return p.source.name + "_to_" + p.target.name }

// safe are the numbers of the values that the target took, and took as they are.
func (p typePair) safe() (safe []int) {
	for i := range p.printed {
		if p.back[i] != nil && *p.back[i] == p.printed[i] {
			safe = append(safe, i)
		}
	}
	return safe
}

// changed says whether the target took a value for another one.
func (p typePair) changed(i int) bool {
	return p.arrived[i] != nil && (p.back[i] == nil || *p.back[i] != p.printed[i])
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
		EXECUTE 'CREATE TEMP TABLE alike (n serial, v ' || kind || ' UNIQUE) ON COMMIT DROP';
		DROP TABLE alike;
		EXECUTE 'CREATE TEMP TABLE alike (n int, v ' || kind || ') ON COMMIT DROP';
		FOR i IN 1 .. array_length(inputs, 1) LOOP
			IF inputs[i] IS NOT NULL THEN EXECUTE 'INSERT INTO alike VALUES (' || i || ', ' || quote_literal(inputs[i]) || ')'; END IF;
		END LOOP;
		SELECT array_agg(a.n || '=' || b.n) INTO pairs FROM alike a JOIN alike b ON a.n < b.n AND a.v = b.v;
		DROP TABLE alike;
		RETURN coalesce(pairs, '{}');
		EXCEPTION WHEN undefined_object OR undefined_function THEN RETURN NULL; END $$;`
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

// tried writes the source's values into the target's type, and reads them back.
func (p typePair) tried(s *stream, src, dst *pg.Conn) typePair {
	s.t.Helper()
	kind, _, _ := strings.Cut(p.source.kind, " COLLATE")
	p.printed = answer[[]string](s, src, "SELECT ARRAY(SELECT becomes($1, v) FROM unnest($2::text[]) v)", kind, p.source.values)
	p.arrived = answer[[]*string](s, dst, "SELECT ARRAY(SELECT try_in($1, v) FROM unnest($2::text[]) v)", "a_"+p.target.name, p.printed)
	p.back = answer[[]*string](s, src, "SELECT ARRAY(SELECT becomes($1, v) FROM unnest($2::text[]) v)", kind, p.arrived)
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
			for _, to := range family {
				source, target := sources.Find("public.a_"+from.name), targets.Find("public.a_"+to.name)
				if source == nil || target == nil || len(from.values) == 0 {
					continue
				}
				p := typePair{source: from, target: to}.tried(s, src, dst)
				problems, warnings := catalog.Fit(source, target)
				p.judge(t, problems, warnings)
				keyed, unique := sources.Find("public.k_"+from.name), targets.Find("public.k_"+to.name)
				if len(problems) == 0 && unique != nil {
					p.judgeKey(s, src, dst, source, keyed, unique)
				}
			}
		}
	}
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
		if len(refused)+len(changed) == 0 && !slices.Contains(refusedByChoice, name) {
			t.Errorf("%s: refused, though every value arrives: %s", name, problems)
		}
	case len(warnings) == 0:
		if len(refused)+len(changed) > 0 {
			t.Errorf("%s: nothing is said, but %q are refused, and %q", name, refused, changed)
		}
	default:
		told := strings.Contains(warnings[0], "cut off") || strings.Contains(warnings[0], "jsonb keeps")
		if len(changed) > 0 && !told || len(refused)+len(changed) == 0 {
			t.Errorf("%s: %s, but %q are refused, and %q", name, warnings, refused, changed)
		}
	}
}

// judgeKey looks for two values that are one on the target only, and the reverse.
func (p typePair) judgeKey(s *stream, src, dst *pg.Conn, source, keyed, unique *catalog.Table) {
	s.t.Helper()
	printed := make([]*string, len(p.printed))
	for i := range printed {
		if p.arrived[i] != nil {
			printed[i] = &p.printed[i]
		}
	}
	kind, _, _ := strings.Cut(p.source.kind, " COLLATE")
	before := answer[[]string](s, src, "SELECT coalesce(equals($1, $2::text[]), '{}')", kind, printed)
	after := answer[[]string](s, dst, "SELECT coalesce(equals($1, $2::text[]), '{}')", p.target.kind, p.arrived)
	merged := slices.ContainsFunc(after, func(pair string) bool { return !slices.Contains(before, pair) })
	split := slices.ContainsFunc(before, func(pair string) bool { return !slices.Contains(after, pair) })
	name := p.source.name + " " + p.target.name
	if problems, _ := catalog.Fit(source, unique); (len(problems) > 0) != merged {
		s.t.Errorf("%s in a unique index: on the source %q are equal, on the target %q, and Fit says %q", name, before, after, problems)
	}
	if keyed == nil {
		return
	}
	if problems, _ := catalog.Fit(keyed, unique); (len(problems) > 0) != (merged || split) && !strings.Contains(fmt.Sprint(problems), "cannot read") {
		s.t.Errorf("%s as a key: on the source %q are equal, on the target %q, and Fit says %q", name, before, after, problems)
	}
}
