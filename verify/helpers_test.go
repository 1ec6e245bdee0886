package verify

import (
	"context"
	"io"

	"github.com/pgibex/pgibex/internal/pg"
)

func copyOut(conn *pg.Conn, table string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		return conn.CopyOut(ctx, "COPY "+table+" TO STDOUT", w)
	}
}

func copyIn(conn *pg.Conn, table string) func(context.Context, io.Reader) error {
	return func(ctx context.Context, r io.Reader) error {
		_, err := conn.CopyIn(ctx, "COPY "+table+" FROM STDIN", r)
		return err
	}
}
