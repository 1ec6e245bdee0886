package capture

import (
	"context"
	_ "embed"
	"errors"

	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

//go:embed sql/migrate_2.sql
var migrate2SQL string

//go:embed sql/migrate_3.sql
var migrate3SQL string

// migrations by the version they lead to, as those of the target. They are never changed once released.
var migrations = map[int]string{2: migrate2SQL, 3: migrate3SQL}

// Migrate brings the source's objects to this version's layout. A newer one is an error.
func (c *Capture) Migrate(ctx context.Context, conn *pg.Conn) error {
	_, err := c.ID(ctx, conn)
	if other, ok := errors.AsType[*state.VersionError](err); ok {
		if other.Version > state.Version {
			return err
		}
		return state.Migrate(ctx, conn, c.script.sql, migrations)
	}
	if pg.State(err) != "" {
		return err
	}
	return nil // what is missing will be met by whoever works with it
}
