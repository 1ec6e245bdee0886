package torture

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// keyed is a generated table with a key.
type keyed struct {
	name      string
	key       []keyType
	secondary secondary
	slots     int // keys that the application plays with
}

// secondary is what else must be unique in a table.
type secondary int

const (
	noOther secondary = iota
	unique
	uniqueDeferred
	uniquePartial
	uniqueExpression
	exclusion
	exclusionDeferred
	secondaries
)

// schema is what both sides are given.
type schema struct {
	keyed []*keyed
	sql   string // for both sides
}

// newSchema generates the tables: one for each type of key and then some of several columns, each with another secondary
// constraint, and the fixed ones.
func newSchema(r *rand.Rand, citext bool) *schema {
	s := &schema{}
	var sql strings.Builder
	sql.WriteString(preamble)
	kinds := r.Perm(int(secondaries))
	add := func(key ...keyType) {
		t := &keyed{name: fmt.Sprintf("keyed_%d", len(s.keyed)+1), key: key, secondary: secondary(kinds[len(s.keyed)%len(kinds)]), slots: 2000}
		s.keyed = append(s.keyed, t)
		sql.WriteString(t.create(r))
	}
	var whole, partial []keyType
	for _, k := range keyTypes {
		switch {
		case k.name == "citext" && !citext:
		case k.partial:
			partial = append(partial, k)
		default:
			whole = append(whole, k)
		}
	}
	for _, k := range whole {
		add(k)
	}
	for _, p := range partial {
		key := []keyType{p, whole[r.IntN(len(whole))], whole[r.IntN(len(whole))]}
		r.Shuffle(len(key), func(i, j int) { key[i], key[j] = key[j], key[i] })
		add(key[:2+r.IntN(2)]...)
		s.keyed[len(s.keyed)-1].ensureWhole(whole[0])
	}
	s.sql = strings.Replace(sql.String(), "/*citext*/", map[bool]string{true: "CREATE EXTENSION citext;"}[citext], 1) + fixed
	var after strings.Builder
	for i, t := range s.keyed {
		if i%3 == 0 {
			fmt.Fprintf(&after, "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE PROCEDURE note_audit();\n", t.name)
		}
	}
	s.sql += after.String()
	return s
}

// ensureWhole is for the rare key whose shuffled columns are all partial.
func (t *keyed) ensureWhole(k keyType) {
	for _, have := range t.key {
		if !have.partial {
			return
		}
	}
	panic("a key of partial columns only: " + t.name + " needs " + k.name)
}

// create makes the table's columns in any order, with a dropped one among them.
func (t *keyed) create(r *rand.Rand) string {
	columns := []string{
		"gone int", "n int NOT NULL DEFAULT 0", "code text", "live boolean NOT NULL DEFAULT true", "span int4range", "amount numeric", "ratio float8",
		"bin bytea", "note text", "tags text[]", "at timestamptz",
	}
	for i, k := range t.key {
		columns = append(columns, fmt.Sprintf("k%d %s", i+1, k.name))
	}
	r.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	sql := fmt.Sprintf("CREATE TABLE %s (%s, PRIMARY KEY (%s));\nALTER TABLE %s DROP COLUMN gone;\nCREATE INDEX ON %s (n);\n",
		t.name, strings.Join(columns, ", "), t.keyColumns(), t.name, t.name)
	switch t.secondary {
	case unique:
		sql += fmt.Sprintf("ALTER TABLE %s ADD UNIQUE (code);\n", t.name)
	case uniqueDeferred:
		sql += fmt.Sprintf("ALTER TABLE %s ADD UNIQUE (code) DEFERRABLE INITIALLY DEFERRED;\n", t.name)
	case uniquePartial:
		sql += fmt.Sprintf("CREATE UNIQUE INDEX ON %s (code) WHERE live;\n", t.name)
	case uniqueExpression:
		sql += fmt.Sprintf("CREATE UNIQUE INDEX ON %s (lower(code));\n", t.name)
	case exclusion:
		sql += fmt.Sprintf("ALTER TABLE %s ADD EXCLUDE USING gist (span WITH &&);\n", t.name)
	case exclusionDeferred:
		sql += fmt.Sprintf("ALTER TABLE %s ADD EXCLUDE USING gist (span WITH &&) DEFERRABLE INITIALLY DEFERRED;\n", t.name)
	}
	return sql
}

// fill gives the table three quarters of its slots' rows.
func (t *keyed) fill(r *rand.Rand) string { return t.insertMany(r, 1, t.slots*3/4) }

const preamble = `
	/*citext*/
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Very Happy', '😀');
	CREATE SEQUENCE codes; CREATE SEQUENCE spans; CREATE SEQUENCE odd INCREMENT 7 START 3;
`

const fixed = `
	CREATE TABLE ledger (session int, seq int, what text, PRIMARY KEY (session, seq));
	CREATE TABLE heartbeat (id int PRIMARY KEY, at timestamptz);
	CREATE TABLE audit (id bigserial PRIMARY KEY, relation text, operation text, at timestamptz DEFAULT clock_timestamp());
	CREATE TABLE counter (name text PRIMARY KEY, n bigint);
	CREATE TABLE big (id bigint PRIMARY KEY, n int, note text);
	CREATE INDEX big_n ON big (n);
	CREATE TABLE blob (id int PRIMARY KEY, body text, bytes bytea);

	CREATE TABLE log (at timestamptz, what text, ratio float8);
	CREATE TABLE twin (a int, b text);
	CREATE INDEX ON twin (a);

	CREATE TABLE base (id int PRIMARY KEY, what text);
	CREATE TABLE base_a (extra int, PRIMARY KEY (id)) INHERITS (base);
	CREATE TABLE base_b (other text UNIQUE, PRIMARY KEY (id)) INHERITS (base);

	CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL UNIQUE);
	CREATE TABLE "Order" (id bigserial PRIMARY KEY, customer int NOT NULL REFERENCES customer ON UPDATE CASCADE ON DELETE CASCADE, note text);
	CREATE INDEX ON "Order" (customer);
	CREATE TABLE line (number int, "order" bigint REFERENCES "Order" ON UPDATE CASCADE ON DELETE CASCADE, amount numeric(10,2), PRIMARY KEY ("order", number));
	CREATE TABLE invoice (id serial PRIMARY KEY, "order" bigint REFERENCES "Order" ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, total numeric);
	CREATE INDEX ON invoice ("order");

	CREATE FUNCTION note_audit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO audit (relation, operation) VALUES (TG_TABLE_NAME, TG_OP);
		RETURN NULL;
	END$$;
	CREATE FUNCTION count_orders() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		UPDATE counter SET n = n + 1 WHERE name = TG_TABLE_NAME;
		RETURN NULL;
	END$$;
	CREATE TRIGGER count AFTER INSERT ON "Order" FOR EACH ROW EXECUTE PROCEDURE count_orders();
	CREATE TRIGGER note AFTER UPDATE OR DELETE ON customer FOR EACH ROW EXECUTE PROCEDURE note_audit();
`

// content is what the source has before pgibex comes.
func (s *schema) content(r *rand.Rand) []string {
	sql := []string{`
	INSERT INTO heartbeat VALUES (1, now());
	INSERT INTO counter VALUES ('Order', 0);
	INSERT INTO big SELECT g, g % 1000, 'row ' || g FROM generate_series(1, 100000) g;
	INSERT INTO blob SELECT g, repeat(md5(g::text), 3000), decode(repeat(md5(g::text), 1000), 'hex') FROM generate_series(1, 20) g;
	INSERT INTO log SELECT now(), 'l' || g % 10, random() FROM generate_series(1, 500) g;
	INSERT INTO twin SELECT g % 20, 'b' || g % 7 FROM generate_series(1, 2000) g;
	INSERT INTO base SELECT g, 'base' FROM generate_series(1, 200) g;
	INSERT INTO base_a SELECT g, 'a', g FROM generate_series(201, 400) g;
	INSERT INTO base_b SELECT g, 'b', 'o' || g FROM generate_series(401, 600) g;
	INSERT INTO customer SELECT g, 'customer ' || g FROM generate_series(1, 500) g;
	INSERT INTO "Order" (customer, note) SELECT 1 + g % 500, 'o' || g FROM generate_series(1, 2000) g;
	INSERT INTO line SELECT i, o.id, i * 1.25 FROM "Order" o, generate_series(1, 2) i;
	INSERT INTO invoice ("order", total) SELECT id, id * 2.5 FROM "Order" WHERE id % 4 = 0`}
	for _, t := range s.keyed {
		sql = append(sql, t.fill(r))
	}
	return append(sql, "ANALYZE")
}
