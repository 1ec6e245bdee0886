package catalog

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

var (
	//go:embed sql/tables.sql
	tablesSQL string
	//go:embed sql/columns.sql
	columnsSQL string
	//go:embed sql/uniques.sql
	uniquesSQL string
	//go:embed sql/exclusives.sql
	exclusivesSQL string
)

// Catalog is what one database has.
type Catalog struct {
	Tables map[Name]*Table
}

// Look reads the catalogs in one snapshot: read one after the other, a DROP TABLE in between looks like a table without its columns.
func Look(ctx context.Context, conn *pg.Conn) (c *Catalog, err error) {
	for range tornLooks {
		err = conn.InTx(ctx, pg.BeginSnapshot, func(ctx context.Context) (err error) {
			c, err = Load(ctx, conn)
			return err
		})
		if err != nil || !slices.ContainsFunc(slices.Collect(maps.Values(c.Tables)), (*Table).Torn) {
			break
		}
	}
	return c, err
}

// tornLooks bounds how often a look is repeated that met a DROP.
const tornLooks = 5

// Torn says whether a type was dropped while its column, as the snapshot has it, was read: format_type goes by the catalog of the moment.
func (t *Table) Torn() bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool { return strings.Contains(c.Type, "???") })
}

// Load reads the catalogs of a database as they are now.
func Load(ctx context.Context, conn *pg.Conn) (*Catalog, error) {
	c := &Catalog{Tables: map[Name]*Table{}}
	byOID := map[uint32]*Table{}
	err := conn.Each(ctx, tablesSQL, nil, func(rows pgx.Rows) error {
		var t Table
		if err := rows.Scan(&t.OID, &t.Schema, &t.Relation, &t.Kind, &t.Rows, &t.HasRules); err != nil {
			return err
		}
		c.Tables[t.Name], byOID[t.OID] = &t, &t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tables of the %s: %w", conn.Side, err)
	}
	if err := loadColumns(ctx, conn, byOID); err != nil {
		return nil, fmt.Errorf("read columns of the %s: %w", conn.Side, err)
	}
	if err := loadUniques(ctx, conn, byOID); err != nil {
		return nil, fmt.Errorf("read unique indexes of the %s: %w", conn.Side, err)
	}
	for _, t := range c.Tables {
		t.chooseKey()
	}
	return c, nil
}

func loadColumns(ctx context.Context, conn *pg.Conn, byOID map[uint32]*Table) error {
	query := withLoose(columnsSQL, conn.Version, "attcollation")
	if conn.Version >= 100000 {
		query = strings.Replace(query, "/*identity*/''", "a.attidentity::text", 1)
	}
	if conn.Version >= 120000 {
		query = strings.Replace(query, "/*generated*/''", "a.attgenerated::text", 1)
	}
	used := map[*Table][]typeKey{}
	var oids []uint32
	err := conn.Each(ctx, query, nil, func(rows pgx.Rows) error {
		var oid uint32
		var c Column
		var of typeKey
		var generated string
		err := rows.Scan(&oid, &c.Number, &c.Name, &c.Type, &c.Base, &c.BaseType, &c.Created, &c.ParsedByCast, &c.PlainText, &c.NotNull, &c.Default, &c.Identity, &generated,
			&of.oid, &of.modifier, &c.Loose)
		if err != nil {
			return err
		}
		c.Generated = generated != ""
		if t := byOID[oid]; t != nil { // a table made since tables were read is left for the next look
			t.Columns = append(t.Columns, c)
			used[t] = append(used[t], of)
			oids = append(oids, of.oid)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(oids)
	types, err := loadTypes(ctx, conn, slices.Compact(oids))
	for t, keys := range used {
		for i, key := range keys {
			if err == nil {
				t.Columns[i].Of = types.get(key.oid, key.modifier)
			}
		}
	}
	return err
}

// LoadExclusives adds, to all tables, what may not occur twice in them. From 9.5 on that means to open each table: those that somebody
// has for himself, or waits for, are left out: if a value that must be unique there changes hands between two pieces of a long backlog
// before the next beginning, the table comes into quarantine.
func (c *Catalog) LoadExclusives(ctx context.Context, conn *pg.Conn) error {
	byOID := map[uint32]*Table{}
	for _, t := range c.Tables {
		byOID[t.OID] = t
	}
	query := exclusivesSQL
	if conn.Version >= 90500 {
		query += `   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'AccessExclusiveLock'
			AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))`
	}
	err := conn.Each(ctx, query, nil, func(rows pgx.Rows) error {
		var oid uint32
		var definition *string
		if err := rows.Scan(&oid, &definition); err != nil {
			return err
		}
		if t := byOID[oid]; t != nil && definition != nil {
			t.Exclusives = append(t.Exclusives, *definition)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read exclusion constraints of the %s: %w", conn.Side, err)
	}
	return nil
}

func loadUniques(ctx context.Context, conn *pg.Conn, byOID map[uint32]*Table) error {
	query := withLoose(uniquesSQL, conn.Version, "i.indcollation[k]")
	if conn.Version >= 110000 { // columns that are only INCLUDEd are no key
		query = strings.ReplaceAll(query, "/*nkeys*/i.indnatts", "i.indnkeyatts")
	}
	return conn.Each(ctx, query, nil, func(rows pgx.Rows) error {
		var oid uint32
		var u Unique
		var immediate bool
		err := rows.Scan(&oid, &u.Index, &u.Primary, &immediate, &u.Valid, &u.Partial, &u.Expression, &u.Exclusion, &u.Columns, &u.Equal, &u.Compares, &u.Loose)
		if err != nil {
			return err
		}
		u.Deferrable = !immediate
		if t := byOID[oid]; t != nil {
			t.Uniques = append(t.Uniques, u)
		}
		return nil
	})
}
