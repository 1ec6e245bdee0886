package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestShapesOfTables: few columns, many, all of them key.
func TestShapesOfTables(t *testing.T) {
	t.Parallel()
	wide := make([]string, 1599)
	for i := range wide {
		wide[i] = fmt.Sprintf("column_%d int", i+2)
	}
	columns := strings.Join(wide, ", ")
	s := newStream(t, `CREATE TABLE zero_columns (); CREATE TABLE one_column_key (k int PRIMARY KEY); CREATE TABLE one_column (v text);
		CREATE TABLE all_key (a int, b text, c numeric, PRIMARY KEY (b, a, c));
		CREATE TABLE wide (column_1 int PRIMARY KEY, `+columns+`);
		CREATE TABLE wide_keyless (column_1 int, `+columns+`);
		CREATE TABLE never_written (id int PRIMARY KEY, v text);`)
	s.follows(s.equal, `INSERT INTO zero_columns DEFAULT VALUES; INSERT INTO zero_columns DEFAULT VALUES; INSERT INTO zero_columns DEFAULT VALUES;
		INSERT INTO one_column_key SELECT generate_series(1, 100); INSERT INTO one_column VALUES ('a'), ('a'), (''), (NULL), (NULL), (E'\\N'), (E'\\.');
		INSERT INTO all_key SELECT g, 'b' || g % 3, g / 2.0 FROM generate_series(1, 100) g;
		INSERT INTO wide VALUES (1), (2); UPDATE wide SET column_2 = 7, column_1600 = 2147483647; INSERT INTO wide_keyless SELECT * FROM wide;
		INSERT INTO wide_keyless SELECT * FROM wide`,
		`INSERT INTO zero_columns DEFAULT VALUES; INSERT INTO zero_columns DEFAULT VALUES;
		INSERT INTO one_column_key SELECT generate_series(101, 200); INSERT INTO one_column VALUES ('a'), (NULL), (E'\\.');
		INSERT INTO all_key SELECT g, 'new', 0 FROM generate_series(1, 10) g;
		INSERT INTO wide (column_1, column_800) VALUES (3, 3); INSERT INTO wide SELECT 4`+filled(1599)+`; INSERT INTO wide_keyless SELECT * FROM wide WHERE column_1 >= 3`,
		`UPDATE one_column_key SET k = -k WHERE k % 2 = 0; UPDATE one_column SET v = 'b' WHERE v = 'a' OR v IS NULL;
		UPDATE all_key SET c = c + 1 WHERE b = 'b1'; UPDATE all_key SET c = 0.00 WHERE b = 'new';
		UPDATE wide SET column_1600 = column_1, column_2 = NULL; UPDATE wide SET column_1 = 5 WHERE column_1 = 1; UPDATE wide_keyless SET column_1599 = 1 WHERE column_1 = 1`,
		`DELETE FROM zero_columns WHERE ctid IN (SELECT ctid FROM zero_columns LIMIT 2); DELETE FROM one_column_key WHERE k < 0;
		DELETE FROM one_column WHERE ctid IN (SELECT ctid FROM one_column WHERE v = 'b' LIMIT 1); DELETE FROM all_key WHERE a % 2 = 0;
		DELETE FROM wide WHERE column_1 = 2; DELETE FROM wide_keyless WHERE ctid IN (SELECT ctid FROM wide_keyless LIMIT 1)`,
		`TRUNCATE zero_columns, one_column, wide_keyless, all_key; INSERT INTO zero_columns DEFAULT VALUES; INSERT INTO all_key VALUES (1, '', 'NaN')`)
}

func filled(n int) string { return strings.Repeat(", 1000000", n) }

// TestColumnsThatDifferByPosition: dropped columns, different ones on either side, and another order on the target.
func TestColumnsThatDifferByPosition(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	for _, key := range []struct{ table, constraint string }{{"keyed", " PRIMARY KEY"}, {"keyless", ""}, {"by_index", " NOT NULL UNIQUE"}} {
		s.src(fmt.Sprintf(`CREATE TABLE %[1]s (gone_1 int, id int%[2]s, gone_2 text, v text, w int DEFAULT 7, gone_3 int);
			INSERT INTO %[1]s VALUES (1, 1, 'x', 'before the drop', 1, 1), (1, 2, 'x', NULL, NULL, 1);
			ALTER TABLE %[1]s DROP gone_1, DROP gone_2, DROP gone_3; ALTER TABLE %[1]s ADD added date`, key.table, key.constraint))
		s.dst(fmt.Sprintf(`CREATE TABLE %[1]s (added date, w int, junk int, v text, id int%[2]s, junk_2 int);
			ALTER TABLE %[1]s DROP junk, DROP junk_2;`, key.table, key.constraint))
	}
	statements := func(template string) string {
		return strings.ReplaceAll(template, "{t}", "keyed") + strings.ReplaceAll(template, "{t}", "keyless") + strings.ReplaceAll(template, "{t}", "by_index")
	}
	s.follows(s.equal, statements("INSERT INTO {t} SELECT g, 'v' || g, g, '2000-01-01'::date + g FROM generate_series(10, 50) g;"),
		statements("INSERT INTO {t} SELECT g, 'v' || g, NULL, NULL FROM generate_series(100, 120) g;"),
		statements("UPDATE {t} SET v = v || w, added = 'infinity' WHERE id % 3 = 0; UPDATE {t} SET id = id + 1000 WHERE id % 5 = 0;"),
		statements("DELETE FROM {t} WHERE id % 2 = 0;"),
		statements("TRUNCATE {t}; INSERT INTO {t} VALUES (1, 'v', 2, '2000-01-01');"))
	// With the wrong key, or none, the rows would be equal all the same.
	keys := one[string](s, s.sourceDSN, "SELECT string_agg(table_name || ' ' || key_columns::text, ', ' ORDER BY table_name) FROM pgibex_it.captured")
	if want := "by_index {id}, keyed {id}, keyless {}"; keys != want {
		t.Errorf("keys are %s, expected %s", keys, want)
	}
}

// TestColumnsOfTheTargetsOwn: those that the source lacks keep their defaults; identities and generated columns take the source's rows.
func TestColumnsOfTheTargetsOwn(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	s.src(`CREATE TABLE more (id int PRIMARY KEY, v text); CREATE TABLE more_keyless (v text);
		CREATE TABLE always_key (id int PRIMARY KEY, v text); CREATE TABLE default_key (id int PRIMARY KEY, v text);
		CREATE TABLE always_other (id text PRIMARY KEY, n bigint NOT NULL); CREATE TABLE always_keyless (n int NOT NULL, v text);
		CREATE TABLE default_keyless (n int NOT NULL, v text); CREATE TABLE generated (id int PRIMARY KEY, a int, b int); CREATE TABLE generated_keyless (a int, b int)`)
	s.dst(`CREATE TABLE more (extra int, id int PRIMARY KEY, noted text NOT NULL DEFAULT 'default', v text, twice text GENERATED ALWAYS AS (v || v) STORED);
		CREATE TABLE more_keyless (n serial, v text, noted text DEFAULT 'default');
		CREATE TABLE always_key (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
		CREATE TABLE default_key (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text);
		CREATE TABLE always_other (id text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY);
		CREATE TABLE always_keyless (n int GENERATED ALWAYS AS IDENTITY, v text); CREATE TABLE default_keyless (n int GENERATED BY DEFAULT AS IDENTITY, v text);
		CREATE TABLE generated (id int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, a int);
		CREATE TABLE generated_keyless (b int GENERATED ALWAYS AS (a * 2) STORED, a int)`)
	s.follows(s.equalTables, `INSERT INTO more SELECT g, 'v' || g FROM generate_series(1, 20) g; INSERT INTO more_keyless SELECT v FROM more;
		INSERT INTO always_key SELECT * FROM more; INSERT INTO default_key SELECT * FROM more; INSERT INTO always_other SELECT v, id FROM more;
		INSERT INTO always_keyless SELECT * FROM more; INSERT INTO default_keyless SELECT * FROM more; INSERT INTO generated SELECT id, id, id * 2 FROM more;
		INSERT INTO generated_keyless SELECT id % 5, id % 5 * 2 FROM more`,
		`INSERT INTO more VALUES (0, NULL), (-1, ''); INSERT INTO more_keyless VALUES ('v1'), (NULL); INSERT INTO always_key VALUES (100, 'x'); INSERT INTO default_key VALUES (100, 'x');
		INSERT INTO always_other VALUES ('x', 99); INSERT INTO always_keyless VALUES (1, 'v1'), (77, 'x'); INSERT INTO default_keyless VALUES (1, 'v1'), (77, 'x');
		INSERT INTO generated VALUES (100, 3, 6), (101, NULL, NULL); INSERT INTO generated_keyless VALUES (3, 6), (3, 6)`,
		`UPDATE more SET v = 'new' WHERE id < 5; UPDATE more_keyless SET v = 'new' WHERE v = 'v1'; UPDATE always_key SET v = 'new' WHERE id < 5; UPDATE always_key SET id = id + 500 WHERE id = 7;
		UPDATE default_key SET v = 'new', id = id + 500 WHERE id < 5; UPDATE always_other SET n = n + 1000 WHERE n < 10; UPDATE always_keyless SET n = n + 1 WHERE v = 'v1';
		UPDATE default_keyless SET n = n + 1; UPDATE generated SET a = a + 1, b = b + 2; UPDATE generated_keyless SET a = 4, b = 8 WHERE a = 3`,
		`DELETE FROM more WHERE id > 10; DELETE FROM more_keyless WHERE v = 'new'; DELETE FROM always_key WHERE id > 10; DELETE FROM default_key WHERE id > 10; DELETE FROM always_other WHERE n > 10;
		DELETE FROM always_keyless WHERE n > 10; DELETE FROM default_keyless WHERE n > 10; DELETE FROM generated WHERE id > 10; DELETE FROM generated_keyless WHERE ctid IN (SELECT ctid FROM generated_keyless LIMIT 3)`)
	if n := one[int](s, s.targetDSN, "SELECT count(*) FROM more WHERE noted <> 'default' OR extra IS NOT NULL OR twice <> v || v"); n != 0 {
		t.Errorf("%d rows lack the defaults of the target's own columns", n)
	}
}

// TestWiderTypes: a column of the target may have a type that holds more.
func TestWiderTypes(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	for _, table := range []string{"wider (id int PRIMARY KEY, ", "wider_keyless (id int, "} {
		s.src("CREATE TABLE " + table + "code varchar(5), doc json, s smallint, c char(3), r real, i int, host cidr, bits bit(3), at abstime)")
	}
	s.dst(`CREATE TABLE wider (id bigint PRIMARY KEY, code text, doc jsonb, s numeric, c varchar(3), r float8, i bigint, host inet, bits varbit, at timestamptz);
		CREATE TABLE wider_keyless (id numeric, code varchar(10), doc text, s int, c text, r float8, i numeric, host inet, bits varbit, at timestamptz)`)
	const common = "code, s::int, float4send(r::real)::text, i::bigint, host::inet, bits::varbit, at::timestamptz"
	compare := func() {
		s.equalQueries("SELECT id, "+common+" FROM public.wider", "SELECT id::bigint, doc::text, "+common+" FROM public.wider_keyless",
			"SELECT id, rtrim(c::text) FROM public.wider", "SELECT id, rtrim(c::text) FROM public.wider_keyless")
		docs := one[[]string](s, s.sourceDSN, "SELECT ARRAY(SELECT coalesce(doc::text, '0') FROM wider ORDER BY id)")
		if same := one[bool](s, s.targetDSN, "SELECT ARRAY(SELECT coalesce(doc, '0') FROM wider ORDER BY id) = $1::text[]::jsonb[]", docs); !same {
			t.Error("documents differ")
		}
	}
	s.follows(compare, `INSERT INTO wider SELECT g, 'ab' || g, ('{"b":  1.0, "a": ' || g || '}')::json, g, 'a', g / 3.0, g, '10.0.0.0/8'::cidr, g::bit(3), '2000-01-01 UTC'::abstime FROM generate_series(1, 100) g;
		INSERT INTO wider_keyless SELECT * FROM wider; INSERT INTO wider_keyless SELECT * FROM wider LIMIT 5`,
		`INSERT INTO wider VALUES (0, '', 'null', -32768, '', 'NaN', -1, '::/0', '111', 'epoch'); INSERT INTO wider (id) VALUES (-1); INSERT INTO wider_keyless SELECT * FROM wider WHERE id < 3`,
		`UPDATE wider SET doc = '[1, 2]', c = 'abc' WHERE id % 3 = 0; UPDATE wider SET id = id + 1000 WHERE id < 10; UPDATE wider_keyless SET r = r * 2, doc = '[ ]' WHERE id < 10`,
		`DELETE FROM wider WHERE id % 2 = 0; DELETE FROM wider_keyless WHERE id % 2 = 1`)
}

// TestKeylessForWantOfAFitIndex: unique indexes that do not tell rows apart, or not at once, are no key, and the log says so.
func TestKeylessForWantOfAFitIndex(t *testing.T) {
	t.Parallel()
	const deferred, partial, expression, nullable = "deferred_one", "partial_one", "expression_one", "nullable_one"
	s := newStream(t, `CREATE TABLE deferred_one (id int NOT NULL CONSTRAINT deferred_idx UNIQUE DEFERRABLE, v text);
		CREATE TABLE partial_one (id int NOT NULL, v text); CREATE UNIQUE INDEX partial_idx ON partial_one (id) WHERE id > 10;
		CREATE TABLE expression_one (id int NOT NULL, v text); CREATE UNIQUE INDEX expression_idx ON expression_one (abs(id));
		CREATE TABLE nullable_one (id int, v text); CREATE UNIQUE INDEX nullable_idx ON nullable_one (id);
		CREATE TABLE best_of_many (a int NOT NULL, b int NOT NULL, c int, d int NOT NULL, v text, UNIQUE (c), UNIQUE (a, b), UNIQUE (d));
		CREATE UNIQUE INDEX ON best_of_many (v) WHERE a > 0`)
	tables := []string{deferred, partial, expression, nullable}
	statements := func(template string) string {
		var all strings.Builder
		for _, table := range tables {
			all.WriteString(strings.ReplaceAll(template, "{t}", table))
		}
		return all.String()
	}
	s.follows(s.equal, statements("INSERT INTO {t} SELECT g, 'v' FROM generate_series(1, 50) g;")+
		"INSERT INTO nullable_one VALUES (NULL, 'n'), (NULL, 'n'); INSERT INTO partial_one VALUES (1, 'v'), (1, 'v'); INSERT INTO best_of_many SELECT g, g, NULL, g, g FROM generate_series(1, 50) g",
		statements("INSERT INTO {t} SELECT g, 'v' FROM generate_series(51, 60) g;")+"INSERT INTO nullable_one VALUES (NULL, 'n'); INSERT INTO best_of_many VALUES (99, 99, 99, 99, '99')",
		statements("UPDATE {t} SET v = 'new' WHERE id % 2 = 0;")+"UPDATE deferred_one SET id = id + 1; UPDATE best_of_many SET d = d + 100, c = a; UPDATE best_of_many SET a = a + 100, v = -b WHERE b < 9",
		statements("DELETE FROM {t} WHERE id % 3 = 0;")+"DELETE FROM nullable_one WHERE ctid IN (SELECT ctid FROM nullable_one WHERE id IS NULL LIMIT 1); DELETE FROM best_of_many WHERE a < 20")
	for table, why := range map[string]string{deferred: "deferred_idx is deferrable", partial: "partial_idx is partial", expression: "expression_idx is on an expression", nullable: "nullable_idx is on a column that may be null"} {
		if !s.log.contains("public."+table+" has no primary key") || !s.log.contains(why) {
			t.Errorf("the log does not say of %s: %s", table, why)
		}
	}
	if s.log.contains("public.best_of_many has no primary key") {
		t.Error("best_of_many has a key")
	}
}
