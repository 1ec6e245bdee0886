package capture

import (
	"context"
	"io"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// Range is a run of blocks of one segment, To excluded.
type Range struct {
	Segment  int
	From, To int64
}

// Backlog is everything that the table's segments hold in this snapshot, to be applied in pieces because it is too
// much for one transaction. When all pieces are applied the table's position is the view's.
func (v *View) Backlog(l *Log) []Range {
	var ranges []Range
	for _, s := range sortedSegments(l.segments) {
		if s.pending() {
			ranges = append(ranges, Range{Segment: s.number, To: s.size / pg.BlockSize})
			v.reads = append(v.reads, readMark{s, s.changes, s.size})
		}
	}
	return ranges
}

// Piece reads the keys of a run of blocks that changed since the position, and their rows as they are now.
func (c *Capture) Piece(conn *pg.Conn, l *Log, r Range, since change.Snapshot) change.CopyFunc {
	condition := pg.InBlocks(conn.Version, "ctid", r.From, r.To) + " AND " + unapplied(since)
	query := rowsSQL(l.Table, []string{c.script.delta(l.Number, r.Segment)}, condition)
	return func(ctx context.Context, w io.Writer) error {
		return conn.CopyRows(ctx, query, 1, l.Table.KeyNames(), w)
	}
}

// BeginPiece begins the transaction of one piece, in the same manner as Open. The table is locked before the snapshot is
// taken: a table that is rewritten in between looks empty in an older snapshot.
func (c *Capture) BeginPiece(ctx context.Context, conn *pg.Conn, l *Log) error {
	return l.lock(ctx, conn, beginRead+"; "+pg.Reading+"; ")
}
