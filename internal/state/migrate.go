package state

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/pgibex/pgibex/internal/pg"
)

// Version is the version of the layout in both databases. One that is newer is refused, an older one is migrated.
const Version = 3

//go:embed sql/migrate_2.sql
var migrate2SQL string

//go:embed sql/migrate_3.sql
var migrate3SQL string

// migrations by the version they lead to. They are never changed once released.
var migrations = map[int]string{2: migrate2SQL, 3: migrate3SQL}

// Migrate brings the target's state to this version's layout, in one transaction with the right to write.
func (s *Store) Migrate(ctx context.Context, conn *pg.Conn) error {
	return Migrate(ctx, conn, s.SQL, migrations)
}

// Migrate brings one side's layout to Version, in one transaction that whoever carries the stream waits for.
func Migrate(ctx context.Context, conn *pg.Conn, fill func(string) string, migrations map[int]string) error {
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		var version int
		if err := conn.QueryRow(ctx, fill("UPDATE {{schema}}.stream SET generation = generation + 1 RETURNING version")).Scan(&version); err != nil {
			return err
		}
		for next := version + 1; next <= Version; next++ {
			if err := conn.Run(ctx, fill(migrations[next])); err != nil {
				return fmt.Errorf("migrate the stream's layout on the %s from version %d to %d: %w", conn.Side, next-1, next, err)
			}
		}
		_, err := conn.Exec(ctx, fill("UPDATE {{schema}}.stream SET version = greatest(version, $1)"), Version)
		return err
	})
}
