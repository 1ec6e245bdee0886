package capture

import (
	"context"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// Flush sees to it that the source's log is out up to a place, before a position that sees all that ended before is written
// anywhere. A rollback, or the commit of a transaction that wrote nothing, does not wait for the log: a crash forgets it, and the
// server gives its number to another transaction, which the position would take for applied.
//
// It must be called outside of a transaction. Where others commit the log is out long since. Before 9.6 a server tells what it has
// written, not what is on the disk: that survives its crash, not the machine's.
func (c *Capture) Flush(ctx context.Context, conn *pg.Conn, to change.LSN) error {
	return c.script.flush(ctx, conn, to)
}

func (s script) flush(ctx context.Context, conn *pg.Conn, to change.LSN) error {
	if to == 0 {
		return nil
	}
	out := "pg_current_xlog_location"
	switch {
	case conn.Version >= 100000:
		out = "pg_current_wal_flush_lsn"
	case conn.Version >= 90600:
		out = "pg_current_xlog_flush_location"
	}
	var text string
	if err := conn.QueryRow(ctx, "SELECT pg_catalog."+out+"()::text").Scan(&text); err != nil {
		return err
	}
	if at, err := change.ParseLSN(text); err != nil || at >= to {
		return err
	}
	// A commit waits for its own place in the log, which is behind that one. The row lock is the least there is to write.
	return conn.Run(ctx, s.sql("SELECT 1 FROM {{schema}}.stream FOR SHARE"))
}
