package hostile

// source is what others do to the table, or to what is ours on it, on the source.
var source = []Hostility{
	{Kind: "source", Name: "schema renamed", Is: Named, Do: "ALTER SCHEMA {schema} RENAME TO elsewhere", MendSource: "ALTER SCHEMA elsewhere RENAME TO {schema}", Write: "UPDATE elsewhere.{name} SET {text} = 'there {n}' WHERE id = '5'", Breaks: true},
	{Kind: "source", Name: "schema renamed just after a row was written", Is: Named, Do: "INSERT INTO {t} (id, {text}, {int}) VALUES ({id}, 'last {n}', 1); ALTER SCHEMA {schema} RENAME TO elsewhere", MendSource: "ALTER SCHEMA elsewhere RENAME TO {schema}", Write: "SELECT 1", Breaks: true},
	{Kind: "source", Name: "schema dropped", Is: Named, Do: "DROP SCHEMA {schema} CASCADE", Write: "SELECT 1", Removed: true, Only: alone, Breaks: true},
	{Kind: "source", Name: "schema dropped just after a row was written", Is: Named, Do: "INSERT INTO {t} (id, {text}, {int}) VALUES ({id}, 'last {n}', 1); DROP SCHEMA {schema} CASCADE", Write: "SELECT 1", Removed: true, Only: alone, Breaks: true},
	{Kind: "source", Name: "table dropped", Is: Named, Do: "DROP TABLE {t} CASCADE", Write: "SELECT 1", Removed: true, Only: alone, Breaks: true},
	{Kind: "source", Name: "table dropped and made again", Is: Named, Quiet: true, Do: "SET ROLE {owner}; DROP TABLE {t} CASCADE; {create}", Only: alone, Breaks: true},
	{Kind: "source", Name: "table renamed", Is: Named, Do: "ALTER TABLE {t} RENAME TO elsewhere", MendSource: "ALTER TABLE {schema}.elsewhere RENAME TO {name}", Write: "UPDATE {schema}.elsewhere SET {text} = 'there {n}' WHERE id = '5'", Breaks: true},
	{Kind: "source", Name: "table swapped for another", Is: Named, Do: "SET ROLE {owner}; ALTER TABLE {t} RENAME TO elsewhere; CREATE TABLE {t} (LIKE {schema}.elsewhere INCLUDING ALL)", MendSource: "DROP TABLE {t}; ALTER TABLE {schema}.elsewhere RENAME TO {name}", Breaks: true},
	{Kind: "source", Name: "table moved to another schema", Is: Named, Do: "ALTER TABLE {t} SET SCHEMA hostile", MendSource: "ALTER TABLE hostile.{name} SET SCHEMA {schema}", Write: "UPDATE hostile.{name} SET {text} = 'there {n}' WHERE id = '5'", Breaks: true},
	{Kind: "source", Name: "column added", Is: Named, Quiet: true, Do: "ALTER TABLE {t} ADD hostile int DEFAULT 7", Mend: "ALTER TABLE {t} ADD hostile int"},
	{Kind: "source", Name: "column renamed", Is: Named, Do: "ALTER TABLE {t} RENAME {text} TO elsewhere", Write: "UPDATE {t} SET elsewhere = 'there {n}' WHERE id = '5'", MendSource: "ALTER TABLE {t} RENAME elsewhere TO {text}", Breaks: true},
	{Kind: "source", Name: "column of the key renamed", Is: Named, Only: simpleKey, Do: "ALTER TABLE {t} RENAME {key} TO elsewhere", Write: "UPDATE {t} SET {text} = 'there {n}' WHERE elsewhere = '5'", MendSource: "ALTER TABLE {t} RENAME elsewhere TO {key}", Breaks: true},
	{Kind: "source", Name: "column dropped", Is: Named, Quiet: true, Only: plainTextKeyed, Do: "ALTER TABLE {t} DROP {text}", Write: "UPDATE {t} SET {int} = 5", MendSource: "ALTER TABLE {t} ADD {text} text", Breaks: true},
	{Kind: "source", Name: "column retyped", Is: Named, Quiet: true, Only: keyed, Do: "ALTER TABLE {t} ALTER {int} TYPE bigint", Write: "UPDATE {t} SET {int} = 5000000000", Mend: "ALTER TABLE {t} ALTER {int} TYPE bigint", MendSource: "UPDATE {t} SET {int} = 5; ALTER TABLE {t} ALTER {int} TYPE int"},
	{Kind: "source", Name: "trigger on {event} dropped", Is: Named, Quiet: true, Do: "DROP TRIGGER {ours}_{event} ON {t}"},
	{Kind: "source", Name: "trigger on {event} disabled", Is: Named, Quiet: true, Do: "ALTER TABLE {t} DISABLE TRIGGER {ours}_{event}"},
	{Kind: "source", Name: "every trigger disabled for a moment", Is: Named, Quiet: true, Do: "ALTER TABLE {t} DISABLE TRIGGER ALL; UPDATE {t} SET {int} = 4; ALTER TABLE {t} ENABLE TRIGGER ALL"},
	{Kind: "source", Name: "key dropped", Is: Named, Quiet: true, Only: keyed, Do: unkey, MendSource: "ALTER TABLE {t} ADD PRIMARY KEY ({key})", Remade: true},
	{Kind: "source", Name: "owned by another", Is: Named, Do: "ALTER TABLE {t} OWNER TO {weak}", MendSource: "ALTER TABLE {t} OWNER TO {owner}", Breaks: true},
	{Kind: "source", Name: "its owner's rights revoked", Is: Named, Only: keyed, Do: "REVOKE ALL ON {t} FROM {owner}", MendSource: "GRANT ALL ON {t} TO {owner}", Breaks: true},
	// The images of a table without a key are in its deltas: nothing is read of the table itself.
	{Kind: "source", Name: "its owner's rights revoked", Is: Either, Only: keyless, Do: "REVOKE ALL ON {t} FROM {owner}", MendSource: "GRANT ALL ON {t} TO {owner}", Breaks: true},
	{Kind: "source", Name: "rights on its schema revoked", Is: Named, Do: "REVOKE ALL ON SCHEMA {schema} FROM {owner}, PUBLIC", MendSource: "GRANT ALL ON SCHEMA {schema} TO {owner}", Breaks: true},
	{Kind: "source", Name: "a row that the target's index does not take", Is: Named, Only: uniqueText, Do: "SELECT 1", Write: `INSERT INTO {t} (id, {text}, {int}) VALUES ({id}, (SELECT substr(string_agg(md5(g::text || '{n}'), ''), 1, 2700) FROM generate_series(1, 90) g), 1)`, MendSource: "UPDATE {t} SET {text} = 'short {n}' WHERE length({text}) > 2000"},
	{Kind: "source", Name: "a rule", Is: Harmless, Do: "CREATE RULE hostile AS ON INSERT TO {t} DO ALSO NOTHING", MendSource: unrule},
	{Kind: "source", Name: "a rule DO INSTEAD NOTHING", Is: Harmless, Do: "CREATE RULE hostile AS ON UPDATE TO {t} DO INSTEAD NOTHING", MendSource: unrule},
	{Kind: "source", Name: "a child with rows", Is: Named, Quiet: true, Do: "SET ROLE {owner}; CREATE TABLE {schema}.offspring () INHERITS ({t}); INSERT INTO {schema}.offspring (id, {text}, {int}) VALUES ({id}, 'child', 1)", MendSource: "DROP TABLE {schema}.offspring", About: "{plainschema}.offspring"},
	{
		Kind: "source", Name: "an application's trigger that writes elsewhere", Is: Harmless, MendSource: "DROP FUNCTION hostile.f{n}() CASCADE",
		Do: `CREATE FUNCTION hostile.f{n}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$BEGIN UPDATE {other} SET {othertext} = {othertext} WHERE {othertext} = 'a1'; RETURN NULL; END$f$;
			CREATE TRIGGER hostile AFTER INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE PROCEDURE hostile.f{n}()`,
	},
	{Kind: "source", Name: "rewritten", Is: Harmless, Do: "VACUUM FULL {t}"},
	// Not of a table that another refers to, where the application itself would wait, nor of one without a key, which is not read.
	{Kind: "source", Name: "a lock in mode ACCESS EXCLUSIVE", Is: Waits, Held: true, Only: func(v Victim) bool { return alone(v) && keyed(v) }, Do: "INSERT INTO {t} (id, {text}, {int}) VALUES ({id}, 'held {n}', 1); LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE", Write: "SELECT 1"},
	{Kind: "source", Name: "a long transaction that has written", Is: Harmless, Held: true, Do: "INSERT INTO {t} (id, {text}, {int}) VALUES ({id}, 'held {n}', 1)", Write: "UPDATE {t} SET {text} = 'beside {n}' WHERE id = '4'"},
}

func plainTextKeyed(v Victim) bool { return !v.UniqueText && v.Key != "" }

// sequences are what can be wrong with one, on either side.
var sequences = []Hostility{
	{Kind: "sequence", Name: "missing on the target", Is: Named, About: "{free}", Do: "DROP SEQUENCE {free}", Mend: "SET ROLE {owner}; CREATE SEQUENCE {free}", Write: next},
	{Kind: "sequence", Name: "renamed on the target", Is: Named, About: "{free}", Do: "ALTER SEQUENCE {free} RENAME TO elsewhere", Mend: "ALTER SEQUENCE {schema}.elsewhere RENAME TO {freename}", Write: next},
	{Kind: "sequence", Name: "a table with its name on the target", Is: Named, About: "{free}", Do: "DROP SEQUENCE {free}; CREATE TABLE {free} (last_value int, is_called boolean)", Mend: "DROP TABLE {free}; SET ROLE {owner}; CREATE SEQUENCE {free}", Write: next},
	{Kind: "sequence", Name: "MAXVALUE lower on the target", Is: Named, About: "{free}", Do: "ALTER SEQUENCE {free} RESTART 1 MAXVALUE 1000", Mend: "ALTER SEQUENCE {free} NO MAXVALUE", Write: ahead},
	{Kind: "sequence", Name: "MINVALUE higher on the target", Is: Named, About: "{free}", Do: "ALTER SEQUENCE {free} MINVALUE 1000000000 START 1000000000 RESTART 1000000000", Mend: "ALTER SEQUENCE {free} MINVALUE 1 START 1 RESTART 1", Write: next},
	{Kind: "sequence", Name: "AS smallint on the target", Is: Named, About: "{free}", Do: "ALTER SEQUENCE {free} RESTART 1; ALTER SEQUENCE {free} AS smallint", Mend: "ALTER SEQUENCE {free} AS bigint NO MAXVALUE", Write: ahead},
	{Kind: "sequence", Name: "an owned one AS smallint on the target", Is: Named, Only: serial, About: "{owned}", Do: "ALTER SEQUENCE {owned} RESTART 1; ALTER SEQUENCE {owned} AS smallint", Mend: "ALTER SEQUENCE {owned} AS bigint NO MAXVALUE", Write: "SELECT setval('{owned}', 700000 + {n})"},
	{Kind: "sequence", Name: "an owned one missing on the target", Is: Named, Only: serial, About: "{owned}", Do: "DROP SEQUENCE {owned} CASCADE", Mend: "SET ROLE {owner}; CREATE SEQUENCE {owned} OWNED BY {t}.id", Write: "SELECT setval('{owned}', 700000 + {n})"},
	{Kind: "sequence", Name: "owned by a column of another table on the target", Is: Harmless, About: "{free}", Do: "ALTER SEQUENCE {free} OWNED BY {t}.{int}", Mend: "ALTER SEQUENCE {free} OWNED BY NONE", Write: next},
	{Kind: "sequence", Name: "owned by another role on the target", Is: Harmless, About: "{free}", Do: "ALTER SEQUENCE {free} OWNER TO {weak}", Mend: "ALTER SEQUENCE {free} OWNER TO {owner}", Write: next},
	{Kind: "sequence", Name: "locked on the target", Is: Waits, Held: true, About: "{free}", Do: "ALTER SEQUENCE {free} CACHE 2", Write: next},
	{Kind: "sequence", Name: "set back by a stranger on the target", Is: Harmless, About: "{free}", Do: "SELECT setval('{free}', 1, false)", Write: next},
	{Kind: "sequence", On: Source, Name: "dropped on the source", Is: Either, About: "{free}", Do: "DROP SEQUENCE {free}", Write: "SELECT 1", MendSource: "SET ROLE {owner}; CREATE SEQUENCE {free}"},
	{Kind: "sequence", On: Source, Name: "no right on the source", Is: Named, About: "{free}", Do: "ALTER SEQUENCE {free} OWNER TO {weak}", Write: next, MendSource: "ALTER SEQUENCE {free} OWNER TO {owner}"},
	{Kind: "sequence", On: Source, Name: "its owner's rights revoked on the source", Is: Named, About: "{free}", Do: "REVOKE ALL ON SEQUENCE {free} FROM {owner}", Write: next, MendSource: "GRANT ALL ON SEQUENCE {free} TO {owner}"},
	{Kind: "sequence", On: Source, Name: "locked on the source", Is: Waits, Held: true, About: "{free}", Do: "ALTER SEQUENCE {free} OWNER TO {owner}", Write: "SELECT 1"}, // RESTART locks nobody out before 10
	{Kind: "sequence", On: Source, Name: "set back on the source", Is: Harmless, About: "{free}", Do: "SELECT setval('{free}', 3)", Write: next},
	{Kind: "sequence", On: Source, Name: "downwards on the source", Is: Either, About: "{free}", Do: "ALTER SEQUENCE {free} INCREMENT -1 MINVALUE -100 MAXVALUE 100000000 RESTART -5", Write: next, MendSource: "ALTER SEQUENCE {free} INCREMENT 1 NO MAXVALUE MINVALUE 1 RESTART 7"},
	{Kind: "sequence", On: Source, Name: "owned by a column on the source", Is: Harmless, About: "{free}", Do: "ALTER SEQUENCE {free} OWNED BY {t}.{int}", Write: next, MendSource: "ALTER SEQUENCE {free} OWNED BY NONE"},
}

const (
	next  = "SELECT nextval('{free}')"
	ahead = "SELECT setval('{free}', 100000 + {n})"
)
