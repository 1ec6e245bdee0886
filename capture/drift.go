package capture

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/drift.sql
var driftSQL string

// Drift says of each table, by number, what others have done to it so that its deltas are not the whole truth any
// more, or do not fit. Tables of which nothing is to be said are not in the map. now is the source's catalog as it is.
func (c *Capture) Drift(ctx context.Context, conn *pg.Conn, tables []Table, now *catalog.Catalog) (map[int]string, error) {
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
	drift := map[int]string{}
	for _, t := range tables {
		if why := c.drifted(t, byOID[t.OID], triggers[t.OID]); why != "" {
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

func (c *Capture) drifted(was Table, is *catalog.Table, triggers map[string]bool) string {
	if is == nil {
		return "the table was dropped on the source"
	}
	if was.Stopped != "" {
		return was.Stopped
	}
	if is.Name != was.Name {
		return fmt.Sprintf("the table was renamed to %s on the source", is.Name)
	}
	for _, event := range []string{"insert", "update", "delete", "truncate"} {
		name := c.script.stream + "_" + event
		always, there := triggers[name]
		switch {
		case !there:
			return fmt.Sprintf("trigger %s was dropped on the source: changes since then are not recorded", name)
		case !always:
			return fmt.Sprintf("trigger %s is not ENABLE ALWAYS any more on the source: changes may have been missed", name)
		}
	}
	if why := columnDrift(was.Signature, signature(is)); why != "" {
		return why
	}
	if len(was.Key) > 0 && is.UniqueOn(was.Key) == nil {
		return fmt.Sprintf("the unique index on (%s) was dropped on the source", strings.Join(was.Key, ", "))
	}
	return ""
}

// columnDrift compares two signatures, which are in the order of the columns' numbers.
func columnDrift(was, is []string) string {
	before, after := byNumber(was), byNumber(is)
	var changes []string
	for _, column := range was {
		number, described, _ := strings.Cut(column, " ")
		now, there := after[number]
		switch {
		case !there:
			changes = append(changes, fmt.Sprintf("column %s was dropped", described))
		case now != described:
			changes = append(changes, fmt.Sprintf("column %s became %s", described, now))
		}
	}
	for _, column := range is {
		number, described, _ := strings.Cut(column, " ")
		if _, there := before[number]; !there {
			changes = append(changes, fmt.Sprintf("column %s was added", described))
		}
	}
	if len(changes) == 0 {
		return ""
	}
	return "on the source " + strings.Join(changes, ", ")
}

func byNumber(signature []string) map[string]string {
	columns := make(map[string]string, len(signature))
	for _, column := range signature {
		number, described, _ := strings.Cut(column, " ")
		columns[number] = described
	}
	return columns
}
