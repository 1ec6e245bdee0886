package hostile

// code is what runs on the target when a row is written: each body in each way to have it run.
func code() (all []Hostility) {
	for _, body := range bodies {
		for _, way := range ways {
			if body.ways != "" && body.ways != way.kind {
				continue
			}
			all = append(all, Hostility{
				Kind: "code", Name: way.name + " that " + body.name, Is: body.is, Slow: body.slow, Only: body.only,
				Do: "CREATE FUNCTION hostile.f{n}(OUT ok boolean) LANGUAGE plpgsql " + body.options + " AS $f$BEGIN ok := true; " + body.does + " END$f$;" +
					"GRANT USAGE ON SCHEMA hostile TO PUBLIC;" + body.prepares + way.does,
				Mend: way.undo + "; DROP FUNCTION hostile.f{n}() CASCADE",
			})
		}
	}
	return append(all, skips...)
}

const (
	statements = "statement" // fires once a statement
	rows       = "row"
)

// ways to have a function of the target run although session_replication_role is replica.
var ways = []struct{ name, kind, does, undo string }{
	{"a trigger BEFORE each row", rows, trigger("BEFORE INSERT OR UPDATE OR DELETE", "ROW", "CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END"), untrigger},
	{"a trigger AFTER each row", rows, trigger("AFTER INSERT OR UPDATE OR DELETE", "ROW", "NULL"), untrigger},
	{"a trigger BEFORE each statement", statements, trigger("BEFORE INSERT OR UPDATE OR DELETE", "STATEMENT", "NULL"), untrigger},
	{"a deferred trigger", rows, `CREATE FUNCTION hostile.t{n}() RETURNS trigger LANGUAGE plpgsql AS $t$BEGIN PERFORM hostile.f{n}(); RETURN NULL; END$t$;
		CREATE CONSTRAINT TRIGGER hostile AFTER INSERT OR UPDATE OR DELETE ON {t} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hostile.t{n}();
		ALTER TABLE {t} ENABLE ALWAYS TRIGGER hostile`, untrigger},
	{"a CHECK", rows, "ALTER TABLE {t} ADD CONSTRAINT hostile CHECK (hostile.f{n}() OR {text} IS NULL) NOT VALID", "ALTER TABLE {t} DROP CONSTRAINT IF EXISTS hostile"},
	{"an index's expression", rows, `CREATE FUNCTION hostile.i{n}(x anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $i$BEGIN
			IF current_setting('session_replication_role') = 'replica' THEN PERFORM hostile.f{n}(); END IF; RETURN true; END$i$;
		CREATE INDEX hostile_{n} ON {t} (hostile.i{n}({int}))`, "DROP INDEX IF EXISTS {schema}.hostile_{n}; CREATE OR REPLACE FUNCTION hostile.i{n}(x anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"}, // an index that a copy has dropped comes back
}

func trigger(when, level, returns string) string {
	return `CREATE FUNCTION hostile.t{n}() RETURNS trigger LANGUAGE plpgsql AS $t$BEGIN PERFORM hostile.f{n}(); RETURN ` + returns + `; END$t$;
		CREATE TRIGGER hostile ` + when + ` ON {t} FOR EACH ` + level + ` EXECUTE FUNCTION hostile.t{n}(); ALTER TABLE {t} ENABLE ALWAYS TRIGGER hostile`
}

const untrigger = "DROP TRIGGER IF EXISTS hostile ON {t}; DROP FUNCTION hostile.t{n}()"

// bodies are what such a function does.
var bodies = []struct {
	name, does, prepares, options, ways string
	is                                  Outcome
	slow                                bool
	only                                func(Victim) bool
}{
	{name: "raises {state}", does: "RAISE EXCEPTION 'hostile {state}' USING ERRCODE = '{state}';", is: Named},
	{name: "raises {state} with a hint and a table of another's", does: "RAISE EXCEPTION 'hostile {state}' USING ERRCODE = '{state}', TABLE = 'elsewhere', SCHEMA = 'public', CONSTRAINT = 'none', HINT = 'try again';", is: Named},
	{name: "divides by zero", does: "PERFORM 1 / (random() * 0)::int;", is: Named},
	{name: "calls itself without an end", does: "PERFORM hostile.f{n}();", is: Named},
	{name: "reads a table that is not there", does: "PERFORM 1 FROM hostile.nothing;", is: Named},
	{name: "writes to a table of pgibex's without the right", does: "PERFORM 1; UPDATE {ours}.stream SET updated_at = updated_at;", options: "SECURITY DEFINER", prepares: "ALTER FUNCTION hostile.f{n}() OWNER TO {weak};", is: Named},
	{name: "makes the transaction READ ONLY", does: "PERFORM set_config('transaction_read_only', 'on', true);", is: Either},
	{name: "changes the session's search_path and role", does: "PERFORM set_config('search_path', 'hostile', false); PERFORM set_config('DateStyle', 'SQL, DMY', false);", is: Either},
	{name: "ends its own session", does: "PERFORM pg_terminate_backend(pg_backend_pid());", is: Named},
	{name: "cancels its own statement", does: "PERFORM pg_cancel_backend(pg_backend_pid());", is: Named},
	{name: "sets a statement_timeout of 1 ms and waits", does: "PERFORM set_config('statement_timeout', '1ms', true); PERFORM pg_sleep(0.01);", is: Either},
	{name: "sleeps {seconds} s", does: "PERFORM pg_sleep({seconds});", ways: statements, is: Either, slow: true},
	{name: "writes to another table of the stream", does: "UPDATE {other} SET {othertext} = {othertext} WHERE {othertext} = 'a1';", is: Harmless},
	{name: "locks another table of the stream", does: "LOCK TABLE {other} IN ROW EXCLUSIVE MODE;", is: Harmless},
	{name: "raises a warning", does: "RAISE WARNING 'hostile';", is: Harmless},
	{name: "notifies", does: "PERFORM pg_notify('hostile', 'x');", is: Harmless},
}

// skips are triggers and rules that have rows not written, or written as others than they are.
var skips = []Hostility{
	{Kind: "code", Name: "a trigger that returns NULL", Is: Differs, Do: onRow("RETURN NULL;"), Mend: untrigger},
	{Kind: "code", Name: "a trigger that changes the row", Is: Differs, Do: onRow("IF TG_OP <> 'DELETE' THEN NEW.{int} := -1; RETURN NEW; END IF; RETURN OLD;"), Mend: untrigger},
	{
		Kind: "code", Name: "a trigger on TRUNCATE that raises {state}", Is: Named, Write: "TRUNCATE {t} CASCADE; INSERT INTO {t} (id, {text}, {int}) VALUES ({id}, 'after {n}', 1)",
		Do: `CREATE FUNCTION hostile.t{n}() RETURNS trigger LANGUAGE plpgsql AS $t$BEGIN RAISE EXCEPTION 'hostile {state}' USING ERRCODE = '{state}'; END$t$;
			CREATE TRIGGER hostile BEFORE TRUNCATE OR DELETE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION hostile.t{n}(); ALTER TABLE {t} ENABLE ALWAYS TRIGGER hostile`,
		Mend: untrigger,
	},
	{
		Kind: "code", Name: "a trigger that fires for nobody but the application", Is: Harmless, Mend: untrigger,
		Do: `CREATE FUNCTION hostile.t{n}() RETURNS trigger LANGUAGE plpgsql AS $t$BEGIN RAISE EXCEPTION 'hostile'; END$t$;
			CREATE TRIGGER hostile BEFORE INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION hostile.t{n}()`,
	},
	{Kind: "code", Name: "a rule for the application alone", Is: Either, Do: "CREATE RULE hostile AS ON INSERT TO {t} DO INSTEAD NOTHING", Mend: unrule},
	{Kind: "code", Name: "a rule ALWAYS, ON INSERT", Is: Named, Do: "CREATE RULE hostile AS ON INSERT TO {t} DO INSTEAD NOTHING; ALTER TABLE {t} ENABLE ALWAYS RULE hostile", Mend: unrule},
	{Kind: "code", Name: "a rule ALWAYS, ON UPDATE", Is: Either, Do: "CREATE RULE hostile AS ON UPDATE TO {t} DO ALSO NOTHING; ALTER TABLE {t} ENABLE ALWAYS RULE hostile", Mend: unrule},
	{Kind: "code", Name: "a rule ALWAYS, ON DELETE DO INSTEAD NOTHING", Is: Differs, Do: "CREATE RULE hostile AS ON DELETE TO {t} DO INSTEAD NOTHING; ALTER TABLE {t} ENABLE ALWAYS RULE hostile", Mend: unrule},
}

func onRow(body string) string {
	return `CREATE FUNCTION hostile.t{n}() RETURNS trigger LANGUAGE plpgsql AS $t$BEGIN ` + body + ` END$t$;
		CREATE TRIGGER hostile BEFORE INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION hostile.t{n}(); ALTER TABLE {t} ENABLE ALWAYS TRIGGER hostile`
}

const unrule = "DROP RULE hostile ON {t}"
