package capture

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/drift.sql
var driftSQL string

// Seen is what the source looks like at one moment.
type Seen struct {
	Catalog *catalog.Catalog
	Tables  []Table       // that are captured
	Drift   map[int]error // by number: what others have done to a table; none where its deltas are the whole truth
}

// Look reads the source's catalog, what is captured, and its triggers, all in one snapshot: a table that is dropped between two reads would
// be taken for one whose triggers were dropped. Each drift carries its remedy.
func (c *Capture) Look(ctx context.Context, conn *pg.Conn) (seen Seen, err error) {
	for range tornLooks {
		err = conn.Read(ctx, "", func(ctx context.Context) (err error) {
			if seen.Tables, err = c.Tables(ctx, conn); err != nil {
				return err
			}
			if seen.Catalog, err = catalog.Load(ctx, conn); err != nil {
				return err
			}
			seen.Drift, err = c.drift(ctx, conn, seen.Tables, seen.Catalog)
			return err
		})
		if err != nil || !seen.torn() {
			break
		}
	}
	return seen, err
}

// tornLooks bounds how often a look is repeated that met a DROP.
const tornLooks = 5

// torn says whether the look met a DROP of a type of a captured table.
func (s Seen) torn() bool {
	for _, t := range s.Tables {
		if is := s.Catalog.Tables[t.Name]; is != nil && is.Torn() {
			return true
		}
	}
	return false
}

func (c *Capture) drift(ctx context.Context, conn *pg.Conn, tables []Table, now *catalog.Catalog) (map[int]error, error) {
	var oids []uint32
	for _, t := range tables {
		oids = append(oids, t.OID)
	}
	triggers, err := c.triggers(ctx, conn, oids)
	if err != nil {
		return nil, fmt.Errorf("look at the triggers: %w", err)
	}
	byOID := map[uint32]*catalog.Table{}
	for _, t := range now.Tables {
		byOID[t.OID] = t
	}
	drift := map[int]error{}
	for _, t := range tables {
		if why := c.drifted(t, byOID[t.OID], now.Tables[t.Name], triggers[t.OID]); why != nil {
			drift[t.Number] = why
		}
	}
	return drift, nil
}

// triggers returns, by table and name, whether a trigger of ours fires always.
func (c *Capture) triggers(ctx context.Context, conn *pg.Conn, oids []uint32) (map[uint32]map[string]bool, error) {
	rows, err := conn.Query(ctx, driftSQL, oids, c.script.stream)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	triggers := map[uint32]map[string]bool{}
	for rows.Next() {
		var oid uint32
		var name string
		var always bool
		if err := rows.Scan(&oid, &name, &always); err != nil {
			return nil, err
		}
		if triggers[oid] == nil {
			triggers[oid] = map[string]bool{}
		}
		triggers[oid][name] = always
	}
	return triggers, rows.Err()
}

// drifted compares a table, as it was captured, with what it is. namesake is the table that has its name now.
func (c *Capture) drifted(was Table, is, namesake *catalog.Table, triggers map[string]bool) error {
	resync := "pgibex resync " + was.Name.String()
	switch {
	case is == nil && namesake != nil:
		return hint.With(errors.New("the table was dropped on the source, and another has its name"), "%s", resync)
	case is == nil:
		return hint.With(errors.New("the table was dropped on the source"), "%s", Gone(was.Name))
	case was.Stopped != "":
		return hint.With(errors.New(was.Stopped), "once the target can take the changes: %s, or pgibex resync --all", resync)
	case is.Name != was.Name:
		return hint.With(fmt.Errorf("the table was renamed to %s on the source", is.Name),
			"rename it back, then: %s; or write %s into tables.exclude, then: pgibex remove %[2]s; rename and empty the target's table, then: pgibex add %s", resync, was.Name, is.Name)
	}
	// Before the triggers: those whose condition names a column go with it.
	if why, alter := columnDrift(was.Name, was.Signature, signature(is)); why != "" {
		return hint.With(errors.New(why), "on the target: %s; then: %s", alter, resync)
	}
	for _, event := range []string{"insert", "update", "delete", "truncate"} {
		name := c.script.stream + "_" + event
		always, there := triggers[name]
		switch {
		case !there:
			return hint.With(fmt.Errorf("trigger %s was dropped on the source: changes since then are not recorded", name), "%s", resync)
		case !always:
			return hint.With(fmt.Errorf("trigger %s is not ENABLE ALWAYS any more on the source: changes may have been missed", name), "%s", resync)
		}
	}
	if len(was.Key) > 0 && is.UniqueOn(was.Key) == nil {
		return hint.With(fmt.Errorf("the unique index on (%s) was dropped on the source", strings.Join(was.Key, ", ")), "create it again, or go on without it; then: %s", resync)
	}
	return nil
}

// Gone says what to do about a table of the stream that is gone on the source.
func Gone(name catalog.Name) string {
	return "take it out of tables.include, then: pgibex remove " + name.String()
}

// columnDrift compares two signatures, which are in the order of the columns' numbers. alter does the same to the target's table.
func columnDrift(table catalog.Name, was, is []string) (why, alter string) {
	before, after := byNumber(was), byNumber(is)
	var changes, statements []string
	change := func(format string, args ...any) { changes = append(changes, fmt.Sprintf(format, args...)) }
	statement := func(format string, args ...any) {
		statements = append(statements, "ALTER TABLE "+table.SQL()+" "+fmt.Sprintf(format, args...))
	}
	for _, column := range was {
		number, described, _ := strings.Cut(column, " ")
		now, there := after[number]
		name, kind := nameAndType(described)
		nameNow, kindNow := nameAndType(now)
		switch {
		case !there:
			change("column %s was dropped", described)
			statement("DROP COLUMN %s", name)
			continue
		case now == described:
			continue
		}
		change("column %s became %s", described, now)
		if nameNow != name {
			statement("RENAME COLUMN %s TO %s", name, nameNow)
		}
		if kindNow != kind {
			statement("ALTER COLUMN %s TYPE %s", nameNow, kindNow)
		}
	}
	for _, column := range is {
		number, described, _ := strings.Cut(column, " ")
		if _, there := before[number]; !there {
			change("column %s was added", described)
			statement("ADD COLUMN %s", described)
		}
	}
	if len(changes) == 0 {
		return "", ""
	}
	return "on the source " + strings.Join(changes, ", "), strings.Join(statements, "; ")
}

// nameAndType takes a column of a signature apart: its name is quoted, and a quote within is doubled.
func nameAndType(described string) (name, kind string) {
	for i := 1; i < len(described); i++ {
		if described[i] != '"' {
			continue
		}
		if i+1 < len(described) && described[i+1] == '"' {
			i++
			continue
		}
		return described[:i+1], strings.TrimPrefix(described[i+1:], " ")
	}
	return described, ""
}

func byNumber(signature []string) map[string]string {
	columns := make(map[string]string, len(signature))
	for _, column := range signature {
		number, described, _ := strings.Cut(column, " ")
		columns[number] = described
	}
	return columns
}
