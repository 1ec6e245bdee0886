package integration

import (
	"testing"
	"time"
)

// TestKeysOfCreatedTypes: what an application makes of its own and takes for a key.
func TestKeysOfCreatedTypes(t *testing.T) {
	t.Parallel()
	s := newStream(t, "")
	s.src("CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext")
	s.dst("CREATE SCHEMA there; CREATE EXTENSION citext SCHEMA there")
	const schema = `CREATE TYPE color AS ENUM ('red', 'green', 'blue'); CREATE DOMAIN shade AS color CHECK (VALUE <> 'blue'); CREATE DOMAIN shades AS color[];
		CREATE TYPE pair AS (a int, b text);
		CREATE FUNCTION parse(text) RETURNS pair LANGUAGE sql IMMUTABLE AS $$ SELECT ROW(0, 'always the same')::public.pair $$; CREATE CAST (text AS pair) WITH FUNCTION parse(text);
		CREATE TABLE by_shade (k shade PRIMARY KEY, v int); CREATE TABLE by_shades (k shades, n int, v int, PRIMARY KEY (n, k));
		CREATE TABLE by_pair (k pair PRIMARY KEY, v int);`
	s.both(schema)
	s.src("CREATE TABLE by_citext (id int, k ext.citext PRIMARY KEY, v text)")
	s.dst("CREATE TABLE by_citext (id int, k there.citext PRIMARY KEY, v text)")
	s.src(`INSERT INTO by_shade VALUES ('red', 1), ('green', 1); INSERT INTO by_shades VALUES ('{red}', 1, 1), ('{red,blue}', 1, 1);
		INSERT INTO by_pair VALUES (ROW(1, 'x')::pair, 1), (ROW(2, 'y')::pair, 1);
		INSERT INTO by_citext SELECT g, 'Key' || g, repeat('v', 80) FROM generate_series(1, 8000) g; ANALYZE by_citext`)
	s.config.Copy.ChunkSize = 64 << 10
	release := s.holdCopy("by_citext", 3000) // what changes meanwhile is settled by the key
	stop := s.run()
	s.eventually("some chunks are copied", 20*time.Second, s.copiedAtLeast(3))
	s.src("UPDATE by_citext SET k = upper(k::text)::ext.citext, v = 'u' WHERE v LIKE 'v%' AND k::text LIKE 'Key%9'")
	release()
	s.streaming()
	s.src(`UPDATE by_shade SET v = 2 WHERE k::color = 'red'; DELETE FROM by_shade WHERE k::color = 'green'; UPDATE by_shades SET v = 2, n = 2 WHERE k::color[] = '{red}';
		UPDATE by_pair SET v = 2 WHERE (k).a = 1; DELETE FROM by_pair WHERE (k).a = 2; UPDATE by_citext SET v = 'w' WHERE k::text LIKE '%8'; DELETE FROM by_citext WHERE k::text LIKE '%7'`)
	s.streaming()
	stop()
	s.sameRows()
	s.command("", "verify").wants(t, 0, ", 0 differ")
}
