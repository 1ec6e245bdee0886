package integration

import (
	"strings"
	"testing"
)

// TestNames: none of them may need to be typed in a particular way, or clash with one of ours.
func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 62)
	s := newStream(t, `CREATE SCHEMA "Mixed Case"; CREATE SCHEMA "select"; CREATE SCHEMA "схема"; CREATE SCHEMA "a.b"; CREATE SCHEMA pgibexlike;
		CREATE TABLE "Mixed Case"."Table ""of"" x" ("Id" serial PRIMARY KEY, "a ""b"" c" text, "it's" int, "tab	line
end" int, "back\slash" int, "per%cent $1 {{table}}" int);
		CREATE TABLE "select"."table" ("column" int, "user" text, "order" int, "from" int, PRIMARY KEY ("order", "column"));
		CREATE SEQUENCE "select"."sequence"; CREATE TABLE "select"."Sequence" ("default" int DEFAULT nextval('"select"."sequence"'), "null" text);
		CREATE TABLE "схема"."таблица ä 表" ("ключ" text PRIMARY KEY, "значение 😀" text);
		CREATE TABLE "a.b"."c.d" ("e.f" int PRIMARY KEY, "*" int); CREATE TABLE pgibexlike.pgibex_main (pgibex_it int PRIMARY KEY, v text);
		CREATE TABLE `+long+`1 (`+long+`1 int PRIMARY KEY, `+long+`2 int); CREATE TABLE `+long+`2 (`+long+`1 int, `+long+`2 int);
		CREATE TABLE t (t int PRIMARY KEY, d int, s int, k1 int, k2 int, a int, txid bigint, number int, segment int, excluded int, "old" int, "new" int, changed int);
		CREATE TABLE s (sign int, image text, net int, n int, i int, t text, s text, c1 text, txid bigint, doomed int, deleted int, stage_1 int, "pgibex:image" text, "pgibex:i" int);
		CREATE TABLE net (n int, image text); CREATE TABLE stage_1 (stage_1 int PRIMARY KEY, gone_1 int); CREATE TABLE changed (changed int PRIMARY KEY, c int, there int, here int, c0 int UNIQUE);`)
	s.follows(s.equalTables, `INSERT INTO "Mixed Case"."Table ""of"" x" ("it's") SELECT generate_series(1, 20); INSERT INTO "select"."table" SELECT g, 'u', g % 3, g FROM generate_series(1, 20) g;
		INSERT INTO "select"."Sequence" ("null") VALUES ('a'), ('a'), (NULL); INSERT INTO "схема"."таблица ä 表" VALUES ('ключ', '😀'), ('', NULL);
		INSERT INTO "a.b"."c.d" VALUES (1, 1), (2, 2); INSERT INTO pgibexlike.pgibex_main VALUES (1, 'x'); INSERT INTO `+long+`1 VALUES (1, 1), (2, 2); INSERT INTO `+long+`2 VALUES (1, 1), (1, 1);
		INSERT INTO t SELECT g, g FROM generate_series(1, 20) g; INSERT INTO s (sign, image, "pgibex:i") VALUES (1, 'x', 1), (1, 'x', 1), (2, NULL, 2); INSERT INTO net VALUES (1, 'x'), (1, 'x');
		INSERT INTO stage_1 VALUES (1, 1), (2, 2); INSERT INTO changed SELECT g, g, g, g, g FROM generate_series(1, 10) g`,
		`INSERT INTO "Mixed Case"."Table ""of"" x" ("it's") SELECT generate_series(1, 5); INSERT INTO "select"."table" VALUES (99, 'u', 99); INSERT INTO "select"."Sequence" ("null") VALUES ('a'), (NULL);
		INSERT INTO "схема"."таблица ä 表" VALUES ('ключ 2', '😀'); INSERT INTO "a.b"."c.d" VALUES (3, 1); INSERT INTO pgibexlike.pgibex_main VALUES (2); INSERT INTO `+long+`1 VALUES (3, 1); INSERT INTO `+long+`2 VALUES (1, 1);
		INSERT INTO t VALUES (99); INSERT INTO s (sign, "pgibex:image") VALUES (1, 'x'), (1, 'x'); INSERT INTO net VALUES (1, 'x'); INSERT INTO stage_1 VALUES (3, 3); INSERT INTO changed VALUES (99, 99, 99, 99, 99)`,
		`UPDATE "Mixed Case"."Table ""of"" x" SET "per%cent $1 {{table}}" = "Id", "Id" = "Id" + 100 WHERE "Id" % 2 = 0; UPDATE "select"."table" SET "from" = 0, "order" = "order" + 10 WHERE "column" < 5; UPDATE "select"."Sequence" SET "null" = 'b' WHERE "null" = 'a';
		UPDATE "схема"."таблица ä 表" SET "ключ" = "ключ" || '!'; UPDATE "a.b"."c.d" SET "*" = "e.f"; UPDATE pgibexlike.pgibex_main SET v = 'y'; UPDATE `+long+`1 SET `+long+`2 = 7; UPDATE `+long+`2 SET `+long+`2 = 7;
		UPDATE t SET t = t + 1000, s = 1 WHERE t < 10; UPDATE t SET "old" = 1, "new" = 2; UPDATE s SET n = 5, "pgibex:i" = 3 WHERE image = 'x'; UPDATE net SET n = 2; UPDATE stage_1 SET gone_1 = 0;
		UPDATE changed SET c0 = NULL WHERE changed = 1; UPDATE changed SET c0 = 1 WHERE changed = 2; UPDATE changed SET c0 = 2 WHERE changed = 1`,
		`DELETE FROM "Mixed Case"."Table ""of"" x" WHERE "Id" < 10; DELETE FROM "select"."table" WHERE "column" > 10; DELETE FROM "select"."Sequence" WHERE ctid IN (SELECT ctid FROM "select"."Sequence" LIMIT 1); DELETE FROM "схема"."таблица ä 表" WHERE "ключ" = '!';
		DELETE FROM "a.b"."c.d" WHERE "*" = 2; DELETE FROM `+long+`1 WHERE `+long+`1 = 1; DELETE FROM `+long+`2 WHERE ctid IN (SELECT ctid FROM `+long+`2 LIMIT 1); DELETE FROM t WHERE t > 1005;
		DELETE FROM s WHERE ctid IN (SELECT ctid FROM s LIMIT 1); DELETE FROM net WHERE ctid IN (SELECT ctid FROM net LIMIT 1); DELETE FROM stage_1 WHERE stage_1 = 1; DELETE FROM changed WHERE changed > 5`,
		`TRUNCATE "Mixed Case"."Table ""of"" x", "a.b"."c.d", s; INSERT INTO s (s) VALUES ('after')`)
	s.settled()
}

// TestInheritanceAndUnlogged: each table of a tree has its own rows, and an unlogged one is followed like others.
func TestInheritanceAndUnlogged(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (w int, PRIMARY KEY (id)) INHERITS (parent); CREATE TABLE grandchild (x int) INHERITS (child);
		CREATE TABLE other (y int) INHERITS (parent, child); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text); CREATE UNLOGGED TABLE unlogged_keyless (v text);`)
	s.follows(s.equal, `INSERT INTO parent SELECT g, 'p' FROM generate_series(1, 10) g; INSERT INTO child SELECT g, 'c', g FROM generate_series(1, 10) g; INSERT INTO grandchild SELECT g, 'g', g, g FROM generate_series(1, 10) g;
		INSERT INTO other (id, v) VALUES (1, 'o'), (1, 'o'); INSERT INTO unlogged SELECT * FROM ONLY parent; INSERT INTO unlogged_keyless SELECT v FROM parent`,
		`INSERT INTO parent VALUES (20, 'p'); INSERT INTO child VALUES (20, 'c'); INSERT INTO grandchild VALUES (20, 'g'), (20, 'g'); INSERT INTO unlogged VALUES (2000); INSERT INTO unlogged_keyless VALUES ('p')`,
		`UPDATE parent SET v = v || '!' WHERE id % 2 = 0; UPDATE child SET id = id + 100 WHERE id = 3; UPDATE ONLY parent SET id = id + 1000 WHERE id < 5; UPDATE unlogged SET v = 'x' WHERE id < 5; UPDATE unlogged_keyless SET v = 'q'`,
		`DELETE FROM parent WHERE id = 6; DELETE FROM ONLY child WHERE id > 5; DELETE FROM unlogged WHERE id < 3`,
		`TRUNCATE ONLY child; TRUNCATE unlogged`, `INSERT INTO child VALUES (1, 'again', 1); TRUNCATE parent; INSERT INTO parent VALUES (1, 'after'); INSERT INTO grandchild VALUES (1, 'after', 1, 1)`)
}

// TestTriggersAndRules are there on both sides. On the source they do what they do; nothing of it may happen twice.
func TestTriggersAndRules(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE account (id serial PRIMARY KEY, balance int, touched timestamptz, note text); CREATE TABLE audit (id serial, what text, who int);
		CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.balance < 0 THEN RETURN NULL; END IF; NEW.touched := clock_timestamp(); NEW.balance := NEW.balance * 10; RETURN NEW; END $$;
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit (what, who) VALUES (TG_OP, CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END); RETURN NULL; END $$;
		CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE PROCEDURE touch();
		CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON account FOR EACH ROW EXECUTE PROCEDURE audit();
		CREATE TRIGGER zz_last BEFORE UPDATE ON account FOR EACH ROW WHEN (OLD.* IS NOT DISTINCT FROM NEW.*) EXECUTE PROCEDURE suppress_redundant_updates_trigger();
		CREATE TABLE ruled (id int PRIMARY KEY, v text); CREATE TABLE copies (id int, v text); CREATE TABLE instead (id int PRIMARY KEY, v text); CREATE TABLE ruled_keyless (v text);
		CREATE RULE also_insert AS ON INSERT TO ruled DO ALSO INSERT INTO copies VALUES (NEW.id, NEW.v); CREATE RULE also_update AS ON UPDATE TO ruled DO ALSO INSERT INTO copies VALUES (OLD.id, 'updated');
		CREATE RULE no_delete AS ON DELETE TO instead DO INSTEAD NOTHING; CREATE RULE elsewhere AS ON INSERT TO instead WHERE NEW.id > 100 DO INSTEAD INSERT INTO copies VALUES (NEW.id, NEW.v);
		CREATE RULE also_keyless AS ON INSERT TO ruled_keyless DO ALSO INSERT INTO copies VALUES (0, NEW.v);`)
	s.follows(s.equalTables, `INSERT INTO account (balance) SELECT g - 2 FROM generate_series(1, 20) g; INSERT INTO ruled SELECT g, 'v' FROM generate_series(1, 20) g; INSERT INTO instead SELECT g, 'v' FROM generate_series(1, 120) g; INSERT INTO ruled_keyless VALUES ('a'), ('a')`,
		`INSERT INTO account (balance) VALUES (1), (-1); INSERT INTO ruled VALUES (30, 'x'); INSERT INTO instead VALUES (99999, 'x'), (-1, 'x'); INSERT INTO ruled_keyless VALUES ('a'), ('b')`,
		`UPDATE account SET balance = -1 WHERE id < 5; UPDATE account SET note = 'x' WHERE id > 10; UPDATE ruled SET v = 'y' WHERE id < 5; UPDATE ruled SET id = id + 100 WHERE id = 7; UPDATE instead SET v = 'y' WHERE id < 10; UPDATE ruled_keyless SET v = 'c' WHERE v = 'a'`,
		`DELETE FROM account WHERE id > 15; DELETE FROM ruled WHERE id > 10; DELETE FROM instead; DELETE FROM ruled_keyless WHERE v = 'b'; DELETE FROM audit WHERE id % 2 = 0`)
	s.settled()
}

// TestForeignKeys: to itself, in a circle, deferrable, with cascades, and one that was never validated and does not hold.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node ON DELETE CASCADE);
		CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
		ALTER TABLE a ADD CONSTRAINT "a to b" FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED;
		CREATE TABLE item (id int PRIMARY KEY, a int REFERENCES a ON UPDATE CASCADE ON DELETE SET NULL, node int DEFAULT 1 REFERENCES node ON DELETE SET DEFAULT);
		CREATE TABLE item_keyless (a int REFERENCES a ON UPDATE CASCADE ON DELETE CASCADE); CREATE TABLE orphan (id int PRIMARY KEY, a int);`)
	s.src("INSERT INTO orphan VALUES (1, -1), (2, NULL)")
	s.both("ALTER TABLE orphan ADD CONSTRAINT orphan_a FOREIGN KEY (a) REFERENCES a NOT VALID")
	const definitions = `SELECT conname, conrelid::regclass::text, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace`
	before := s.rows(s.targetDSN, definitions)
	s.follows(s.equal, `BEGIN; INSERT INTO node SELECT g, nullif(g / 2, 0) FROM generate_series(1, 40) g; INSERT INTO a SELECT g, g FROM generate_series(1, 20) g; INSERT INTO b SELECT g, 21 - g FROM generate_series(1, 20) g;
		INSERT INTO item SELECT g, g, g FROM generate_series(1, 20) g; INSERT INTO item_keyless SELECT g % 10 + 1 FROM generate_series(1, 20) g; COMMIT`,
		`BEGIN; INSERT INTO b VALUES (100, 101); INSERT INTO a VALUES (101, 100); INSERT INTO item VALUES (100, 101); INSERT INTO item_keyless VALUES (1), (101); INSERT INTO orphan VALUES (3, 1); COMMIT`,
		`BEGIN; UPDATE a SET id = id + 1000 WHERE id = 5; UPDATE b SET a = 1005 WHERE a = 5; UPDATE item SET node = 2 WHERE id < 5; UPDATE node SET parent = 1 WHERE id = 40; UPDATE a SET b = NULL WHERE id > 15; COMMIT`,
		`BEGIN; DELETE FROM node WHERE id = 3; UPDATE b SET a = NULL WHERE a IN (7, 8); DELETE FROM a WHERE id IN (7, 8); COMMIT`,
		`TRUNCATE a CASCADE; INSERT INTO a VALUES (1, NULL); INSERT INTO item VALUES (1, 1, 1); TRUNCATE node CASCADE`)
	if after := s.rows(s.targetDSN, definitions); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("foreign keys of the target before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if failures := s.status().ForeignKeys; len(failures) > 0 {
		t.Error(failures)
	}
}

// TestConstraintsOfTheTarget: what the target alone demands holds for the rows at each commit, yet not for each row in turn.
func TestConstraintsOfTheTarget(t *testing.T) {
	t.Parallel()
	s := newStream(t, `CREATE TABLE room (id int PRIMARY KEY, booked int4range, place int, name text)`)
	s.dst(`ALTER TABLE room ADD CHECK (id > 0), ADD CONSTRAINT room_place CHECK (place < 100000) NOT VALID, ADD CONSTRAINT no_overlap EXCLUDE USING gist (booked WITH &&), ADD CONSTRAINT one_place UNIQUE (place);
		CREATE UNIQUE INDEX room_name ON room (lower(name)) WHERE place > 5; CREATE INDEX ON room USING gin (to_tsvector('simple', name)); COMMENT ON CONSTRAINT no_overlap ON room IS 'ours'`)
	const definitions = `SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'public.room'::regclass UNION ALL
		SELECT conname || pg_get_constraintdef(oid) || convalidated || coalesce(obj_description(oid, 'pg_constraint'), '') FROM pg_constraint WHERE conrelid = 'public.room'::regclass`
	before := s.rows(s.targetDSN, definitions)
	s.follows(s.equal, `INSERT INTO room SELECT g, int4range(g * 10, g * 10 + 10), g, 'Room ' || g FROM generate_series(1, 50) g`,
		`INSERT INTO room VALUES (100, 'empty', 100, 'x'), (101, NULL, NULL, NULL)`,
		`UPDATE room SET booked = int4range((51 - id) * 10, (51 - id) * 10 + 10), place = 51 - id, name = 'Room ' || 51 - id WHERE id <= 50`,
		`UPDATE room SET id = id + 500 WHERE id % 2 = 0; UPDATE room SET place = place + 100 WHERE id < 500`,
		`DELETE FROM room WHERE id < 10; UPDATE room SET booked = '[0,200)', place = 9999, name = 'all' WHERE id = 11; DELETE FROM room WHERE booked && '[0,200)' AND id <> 11`)
	if after := s.rows(s.targetDSN, definitions); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("indexes and constraints of the target before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}
