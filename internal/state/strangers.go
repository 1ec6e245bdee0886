package state

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/strangers.sql
var strangersSQL string

// CheckOwner makes sure, before anything in a stream's schema of that name is read, that all in it is our role's or a superuser's, and that nothing in it
// runs code when it is read: any role that may create a schema could have made it first. It is in order where there is none.
func CheckOwner(ctx context.Context, conn *pg.Conn, name string) error {
	var what, owner string
	var runs bool
	schema := pg.Ident(name)
	err := conn.QueryRow(ctx, strangersSQL, name).Scan(&what, &owner, &runs)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("read who owns schema %s of the %s: %w", schema, conn.Side, err)
	case runs:
		return hint.With(fmt.Errorf("%s: in schema %s, %s of role %s is no table of a stream; nothing in the schema is read", conn.Side, schema, what, pg.Ident(owner)),
			"find out who made it; then, as a superuser on the %s: DROP SCHEMA %s CASCADE", conn.Side, schema)
	}
	return hint.With(fmt.Errorf("%s: in schema %s, %s belongs to role %s, neither this session's nor a superuser; nothing in the schema is read", conn.Side, schema, what, pg.Ident(owner)),
		"connect as %s if that is pgibex's role; else find out who made the schema, and on the %s: DROP SCHEMA %s CASCADE", pg.Ident(owner), conn.Side, schema)
}
