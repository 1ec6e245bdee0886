package capture

import (
	"context"
	"fmt"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// Pending is what a table's segments hold that is not applied.
type Pending struct {
	Rows  int64 // deltas, of which several may concern one row
	Bytes int64 // of the segments that have any
}

// Pending counts the deltas that the positions, by table, do not see. It reads the segments: it is made for an operator's
// question, not for a poll.
func (c *Capture) Pending(ctx context.Context, conn *pg.Conn, positions map[int]change.Snapshot) (map[int]Pending, error) {
	rows, err := conn.Query(ctx, c.script.sql(`SELECT s.number, s.segment, pg_catalog.pg_relation_size(c.oid)
		FROM {{schema}}.segment s
		JOIN pg_catalog.pg_class c ON c.relname = 'delta_' || s.number || '_' || s.segment
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
		WHERE pg_catalog.pg_relation_size(c.oid) > 0`), c.script.stream)
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
		var n int64
		err := conn.QueryRow(ctx, "SELECT count(*) FROM ONLY "+c.script.delta(m.number, m.segment)+" WHERE "+unapplied(positions[m.number])).Scan(&n)
		if err != nil {
			return nil, fmt.Errorf("count the backlog: %w", err)
		}
		p := pending[m.number]
		p.Rows += n
		if n > 0 {
			p.Bytes += m.size
		}
		pending[m.number] = p
	}
	return pending, nil
}
