package capture

import (
	"context"
	"fmt"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// Range is a run of blocks of one segment, To excluded.
type Range struct {
	Segment  int
	From, To int64
}

// blockSize is that of every PostgreSQL that was not built otherwise.
const blockSize = 8192

// linesPerBlock is the largest number of rows that fit into a block of a segment: 24 bytes of header, at least 8 for
// the txid and something for the key, and 4 for the line pointer.
const linesPerBlock = 226

// Backlog is everything that the table's segments hold in this snapshot, to be applied in pieces because it is too
// much for one transaction. When all pieces are applied the table's position is the view's.
func (v *View) Backlog(l *Log) []Range {
	var ranges []Range
	for _, s := range sortedSegments(l.segments) {
		if s.pending() {
			ranges = append(ranges, Range{Segment: s.number, To: s.size / blockSize})
			v.reads = append(v.reads, readMark{s, s.changes, s.size})
		}
	}
	return ranges
}

// Piece reads the keys of a run of blocks that changed since the position, and their rows as they are now. 9.2 can not scan a range
// of ctids, but a list of them.
func (c *Capture) Piece(conn *pg.Conn, l *Log, r Range, since change.Snapshot) change.CopyFunc {
	condition := fmt.Sprintf(`ctid = ANY (ARRAY(SELECT ('(' || b || ',' || i || ')')::pg_catalog.tid
		FROM pg_catalog.generate_series(%d::bigint, %d::bigint) b, pg_catalog.generate_series(1, %d) i)) AND %s`,
		r.From, r.To-1, linesPerBlock, unapplied(since))
	v := &View{conn: conn, script: c.script}
	return v.copyOut(rowsSQL(l.Table, []string{c.script.delta(l.Number, r.Segment)}, condition))
}

// BeginPiece begins the transaction of one piece, in the same manner as Open. The table is locked before the snapshot is
// taken: a table that is rewritten in between looks empty in an older snapshot.
func (c *Capture) BeginPiece(ctx context.Context, conn *pg.Conn, l *Log) error {
	return l.lock(ctx, conn, beginRead+"; ")
}
