package integration

import "testing"

func TestCatchUpCopiesAndFollows(t *testing.T) {
	t.Parallel()
	s := newStream(t, `
		CREATE TABLE a (id serial PRIMARY KEY, v text);
		CREATE TABLE b (x int, y text, z numeric, PRIMARY KEY (y, x));
		CREATE TABLE log (at timestamptz, what text);`)
	s.src(`INSERT INTO a (v) SELECT 'v' || g FROM generate_series(1, 1000) g;
		INSERT INTO b SELECT g, 'y' || g % 7, g / 3.0 FROM generate_series(1, 1000) g;
		INSERT INTO log SELECT now(), 'x' FROM generate_series(1, 10)`)
	s.catchUp()
	s.equal()
	s.src(`UPDATE a SET v = v || '!' WHERE id % 2 = 0; DELETE FROM a WHERE id % 10 = 3; UPDATE a SET id = id + 100000 WHERE id % 10 = 5;
		UPDATE b SET x = x + 1000 WHERE x < 100; DELETE FROM b WHERE x % 5 = 0;
		DELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT 3); INSERT INTO log VALUES (NULL, NULL), (NULL, NULL)`)
	s.catchUp()
	s.equal()
	s.src(`TRUNCATE a, log; INSERT INTO a (v) VALUES ('after'); INSERT INTO log VALUES (now(), 'after')`)
	s.catchUp()
	s.equal()
}
