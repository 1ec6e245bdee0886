package capture

import (
	"context"
	"fmt"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// Pending is what a table's segments hold that is not applied.
type Pending struct {
	Rows  int64 // deltas, of which several may concern one row, and truncations
	Bytes int64 // what they take of their segments
}

// Pending counts the deltas that the positions, by table, do not see. It reads the segments: it is made for an operator's
// question, not for a poll.
func (c *Capture) Pending(ctx context.Context, conn *pg.Conn, positions map[int]change.Snapshot) (map[int]Pending, error) {
	// OFFSET 0 keeps the planner from measuring anything but segments: the size of a table that somebody has locked would be
	// waited for. A segment may be dropped at any moment, with its table's capture; then its size is null.
	rows, err := conn.Query(ctx, c.script.sql(`SELECT number, segment, size FROM (
		SELECT s.number, s.segment, pg_catalog.pg_relation_size(s.oid) AS size FROM (
			SELECT s.number, s.segment, c.oid
			  FROM {{schema}}.segment s
			  JOIN pg_catalog.pg_class c ON c.relname = 'delta_' || s.number || '_' || s.segment
			  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1 OFFSET 0) s OFFSET 0) s
		WHERE size > 0`), c.script.stream)
	if err != nil {
		return nil, fmt.Errorf("measure the backlog: %w", err)
	}
	type measured struct {
		number, segment int
		size            int64
	}
	var segments []measured
	for rows.Next() {
		var m measured
		if err := rows.Scan(&m.number, &m.segment, &m.size); err != nil {
			rows.Close()
			return nil, err
		}
		segments = append(segments, m)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("measure the backlog: %w", err)
	}
	pending := map[int]Pending{}
	for _, m := range segments {
		var n, all int64
		err := conn.QueryRow(ctx, "SELECT count(CASE WHEN "+unapplied(positions[m.number])+" THEN 1 END), count(*) FROM ONLY "+c.script.delta(m.number, m.segment)).Scan(&n, &all)
		if pg.State(err) == pg.UndefinedTable {
			continue // dropped since
		}
		if err != nil {
			return nil, fmt.Errorf("count the backlog: %w", err)
		}
		p := pending[m.number]
		p.Rows += n
		if n > 0 {
			p.Bytes += int64(float64(m.size) * float64(n) / float64(all))
		}
		pending[m.number] = p
	}
	return pending, c.pendingTruncations(ctx, conn, positions, pending)
}

// pendingTruncations counts each TRUNCATE that is not applied as a change: a table that was emptied may have no other.
func (c *Capture) pendingTruncations(ctx context.Context, conn *pg.Conn, positions map[int]change.Snapshot, pending map[int]Pending) error {
	rows, err := conn.Query(ctx, c.script.sql("SELECT number, txid FROM {{schema}}.truncation"))
	if err != nil {
		return fmt.Errorf("count truncations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var number int
		var txid int64
		if err := rows.Scan(&number, &txid); err != nil {
			return err
		}
		if at, known := positions[number]; known && !at.Sees(uint64(txid)) {
			p := pending[number]
			p.Rows++
			pending[number] = p
		}
	}
	return rows.Err()
}
