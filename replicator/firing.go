package replicator

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/firing.sql
var firingSQL string

// firing says, for each table of the target that is carried and has such, what code of other roles runs with our rights when rows are
// written to it.
func firing(ctx context.Context, dst *pg.Conn, target *catalog.Catalog, carried func(catalog.Name) bool) (texts []string, err error) {
	oids := []uint32{}
	for name, t := range target.Tables {
		if carried(name) {
			oids = append(oids, t.OID)
		}
	}
	err = dst.Each(ctx, firingSQL, []any{oids}, func(rows pgx.Rows) error {
		var name catalog.Name
		var code string
		err := rows.Scan(&name.Schema, &name.Relation, &code)
		texts = append(texts, fmt.Sprintf("%s: code of other roles runs with pgibex's rights when its rows are written on the target: %s", name, code))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what fires on the target: %w", err)
	}
	return texts, nil
}

// superusers warns of a side on which we are a superuser: so is, then, the code of the tables' owners.
func (s *sides) superusers(ctx context.Context) (warnings []string, err error) {
	for _, conn := range []*pg.Conn{s.src, s.dst} {
		var role string
		var super bool
		err := conn.QueryRow(ctx, "SELECT current_user::text, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&role, &super)
		if err != nil {
			return nil, err
		}
		if super {
			warnings = append(warnings, fmt.Sprintf("%s: role %s is a superuser, and code of the owners of tables runs as one; a plain role will do (README, a role on either side)", conn.Side, pg.Ident(role)))
		}
	}
	return warnings, nil
}
