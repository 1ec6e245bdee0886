package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/integration/hostile"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// arena is a running stream of many tables, each in a schema of its own, on which one hostility after the other is tried. It is given up
// with the first that leaves something behind.
type arena struct {
	*stream
	config      string // the file
	owner, weak string // roles
	victims     []hostile.Victim
	d           *process
	before      int // how long its log was when the duel began
	excluded    []string
	cases       int
	removed     bool // a table is of the stream no more
	sourceAs    string
}

// shapes are the tables. Each has a column id, v of text and n of integer.
var shapes = []struct {
	schema, relation, plain, columns, key, keyType string
	unique, family                                 bool
}{
	{"plain", "whole", "plain.whole", "id int PRIMARY KEY, v text, n int", "id", "int", false, false},
	{"counted", "serial", "counted.serial", "id bigserial PRIMARY KEY, v text, n int", "id", "bigint", false, false},
	{"worded", "text", "worded.text", "n int, id text PRIMARY KEY, v text", "id", "text", false, false},
	{"composite", "pair", "composite.pair", "part int DEFAULT 1, v text, id int, n int, PRIMARY KEY (part, id)", "part, id", "int", false, false},
	{"keyless", "images", "keyless.images", "id int, v text, n int", "", "int", false, false},
	{"single", "twice", "single.twice", "id int PRIMARY KEY, v text UNIQUE, n int", "id", "int", true, false},
	{`"Mixed Case"`, `"Select"`, "Mixed Case.Select", "id int PRIMARY KEY, v text, n int", "id", "int", false, false},
	{"family", "parent", "family.parent", "id int PRIMARY KEY, v text, n int", "id", "int", false, true},
	{"family_2", "child", "family_2.child", "id int PRIMARY KEY, v text, n int, up int REFERENCES family.parent DEFERRABLE INITIALLY DEFERRED", "id", "int", false, true},
	{"constrained", "deferred", "constrained.deferred", "id int PRIMARY KEY, v text, n int, CONSTRAINT late UNIQUE (n, id) DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING btree (id WITH =, n WITH =)", "id", "int", false, false},
}

func victims() (all []hostile.Victim) {
	for _, s := range shapes {
		v := hostile.Victim{
			Schema: s.schema, Relation: s.relation, Plain: s.plain, Key: s.key, KeyType: s.keyType, Text: "v", Int: "n",
			UniqueText: s.unique, Family: s.family, Free: s.schema + ".tick",
		}
		v.Create = fmt.Sprintf("CREATE TABLE %s (%s)", v.Table(), s.columns)
		if strings.Contains(s.columns, "serial") {
			v.Owned = s.schema + "." + s.relation + "_id_seq"
		}
		all = append(all, v)
	}
	return all
}

var arenas atomic.Int64

// newArena begins the stream, as the role that the documentation asks for on the source: what the owner may not do it may not either.
func newArena(t *testing.T) *arena {
	t.Helper()
	a := newBattlefield(t)
	database := one[string](a.stream, a.sourceDSN, "SELECT quote_ident(current_database())")
	a.src(fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", database, a.sourceAs))
	a.config = write(t, "")
	a.configure()
	a.start()
	a.streaming()
	return a
}

// newBattlefield makes the tables, on which nothing streams yet.
func newBattlefield(t *testing.T) *arena {
	t.Helper()
	name := fmt.Sprintf("hostile_%d_%d", os.Getpid(), arenas.Add(1))
	a := &arena{owner: name + "_owner", weak: name + "_weak", sourceAs: name, victims: victims()}
	source, target := pgtest.Source(t), pgtest.Target(t)
	t.Cleanup(func() { // once the databases are gone
		for _, dsn := range []string{source.DSN(""), target.DSN("")} {
			_ = tryExec(context.WithoutCancel(t.Context()), dsn, fmt.Sprintf("DROP ROLE %s; DROP ROLE %s; DROP ROLE %s", name, a.owner, a.weak))
		}
	})
	for _, dsn := range []string{source.DSN(""), target.DSN("")} {
		if err := tryExec(t.Context(), dsn, fmt.Sprintf("CREATE ROLE %s; CREATE ROLE %s; CREATE ROLE %s LOGIN; GRANT %[1]s TO %[3]s", a.owner, a.weak, name)); err != nil {
			t.Fatal(err)
		}
	}
	a.stream = newStreamOn(t, source, target, "CREATE SCHEMA hostile")
	a.both(a.schema())
	a.src(a.rows())
	return a
}

func (a *arena) settings(other hostile.Victim, number int) hostile.Settings {
	return hostile.Settings{Other: other, Stream: "it", Weak: a.weak, Owner: a.owner, Number: number}
}

func (a *arena) schema() string {
	var sql strings.Builder
	fmt.Fprintf(&sql, "GRANT ALL ON SCHEMA hostile TO %s;", a.owner)
	for _, v := range a.victims {
		fmt.Fprintf(&sql, "CREATE SCHEMA %s AUTHORIZATION %s;", v.Schema, a.owner)
	}
	fmt.Fprintf(&sql, "SET ROLE %s;", a.owner)
	for _, v := range a.victims {
		fmt.Fprintf(&sql, "%s; CREATE SEQUENCE %s;", v.Create, v.Free)
	}
	return sql.String()
}

func (a *arena) rows() string {
	var sql strings.Builder
	for _, v := range a.victims {
		fmt.Fprintf(&sql, "INSERT INTO %s (id, v, n) SELECT g, 'a' || g, g FROM generate_series(1, 40) g;", v.Table())
	}
	return sql.String()
}

func (a *arena) configure() {
	address, err := url.Parse(a.sourceDSN)
	if err != nil {
		a.t.Fatal(err)
	}
	address.User = url.User(a.sourceAs)
	a.stream.config.Source.DSN = address.String()
	exclude := []string{`"hostile.*"`}
	for _, name := range a.excluded {
		exclude = append(exclude, fmt.Sprintf("%q", name))
	}
	replace(a.t, a.config, fmt.Sprintf("stream: it\nsource: {dsn: %q}\ntarget: {dsn: %q}\nmetrics: {listen: \"off\"}\napply: {poll_interval: 50ms, batch_size: 64kB, workers: 2}\ncopy: {workers: 2}\ntables: {exclude: [%s]}\n",
		address, a.targetDSN, strings.Join(exclude, ", ")))
}

func (a *arena) start() {
	a.t.Helper()
	a.d = pgibex(a.t, nil, "run", "-c", a.config)
}

// restart ends the daemon, which must be quick whatever it waits for, and starts another.
func (a *arena) restart(t *testing.T) {
	t.Helper()
	old := a.d
	old.t = t
	old.terminate()
	_, _ = a.log.Write([]byte(old.log.String()))
	a.before = 0
	a.d = pgibex(a.t, nil, "run", "-c", a.config)
}

func (a *arena) pgibex(t *testing.T, args ...string) result {
	t.Helper()
	return command(t, nil, append(args, "-c", a.config)...)
}

// report is what status --json says.
type report struct {
	Phase      string  `json:"phase"`
	Consistent bool    `json:"consistent"`
	Pending    int64   `json:"backlog_rows"`
	Tables     []named `json:"tables"`
	Sequences  []named `json:"sequences_not_set"`
	whole      string
}

// named is what it says of a table or a sequence.
type named struct {
	Table    string `json:"table"`
	Sequence string `json:"sequence"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Remedy   string `json:"remedy"`
	Waiting  string `json:"waiting"` // for whom
}

func (a *arena) report(t *testing.T) (r report) {
	t.Helper()
	out := a.pgibex(t, "status", "--json")
	if err := json.Unmarshal([]byte(out.out), &r); err != nil {
		r = report{}
	}
	r.whole = out.out + out.log
	return r
}

// named says what is said of a table or a sequence; nothing where nothing is wrong with it.
func (r report) named(name string) named {
	for _, row := range slices.Concat(r.Tables, r.Sequences) {
		if row.Table != name && row.Sequence != name {
			continue
		}
		row.Reason = cmp.Or(row.Reason, row.Waiting)
		return row
	}
	for line := range strings.Lines(r.whole) { // not of the stream
		if strings.Contains(line, name) {
			return named{State: "left out", Reason: strings.TrimSpace(line), Remedy: strings.TrimSpace(line)}
		}
	}
	return named{}
}

// content is the sorted rows of a table in the columns that every shape has, or an error as text.
func content(ctx context.Context, dsn string, v hostile.Victim) ([]string, error) {
	return askAll(ctx, dsn, fmt.Sprintf("SELECT coalesce(id::text, '~') || ' ' || coalesce(v, '~') || ' ' || coalesce(n::text, '~') FROM ONLY %s ORDER BY 1", v.Table()))
}

// same says whether a table's rows are equal on both sides.
func (a *arena) same(v hostile.Victim) bool {
	source, err := content(a.t.Context(), a.sourceDSN, v)
	if err != nil {
		return false
	}
	target, err := content(a.t.Context(), a.targetDSN, v)
	return err == nil && equalUnordered(source, target)
}

func equalUnordered(a, b []string) bool { // collations differ between the sides
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// sameSequence says whether the source's sequence is where the target's is, if it is there.
func (a *arena) sameSequence(name string) bool {
	const query = "SELECT last_value || ' ' || is_called FROM "
	source, err := askAll(a.t.Context(), a.sourceDSN, query+name)
	if err != nil {
		there, lookErr := askAll(a.t.Context(), a.sourceDSN, "SELECT 'there' FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'S' AND quote_ident(nspname) || '.' || quote_ident(relname) = '"+name+"'")
		return lookErr == nil && len(there) == 0
	}
	target, err := askAll(a.t.Context(), a.targetDSN, query+name)
	return err == nil && slices.Equal(source, target)
}

// tryExec runs statements as a superuser.
func tryExec(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%w in: %.600s", err, sql)
	}
	return nil
}

// askAll returns a query's only column.
func askAll(ctx context.Context, dsn, query string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // a lock may be held on what is asked for
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
