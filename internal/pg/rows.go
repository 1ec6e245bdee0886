package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Each runs a query and hands every row of its answer to row.
func (c *Conn) Each(ctx context.Context, query string, args []any, row func(pgx.Rows) error) error {
	rows, err := c.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
