package verify

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/waits.sql
var waitsSQL string

// waitsEvery is how often it is looked whether a session waits for somebody's lock.
const waitsEvery = time.Second

// tellWaits tells of each lock that a session of the workers waits for, and still does a moment later, once, until ctx ends.
func (v *Verifier) tellWaits(ctx context.Context, workers []*sessions) error {
	var sides [2]struct {
		server pg.Server
		conn   *pg.Conn
		pids   []int32
	}
	sides[0].server, sides[1].server = v.source, v.target
	for _, w := range workers {
		sides[0].pids = append(sides[0].pids, int32(w.source.PgConn().PID()))
		sides[1].pids = append(sides[1].pids, int32(w.target.PgConn().PID()))
	}
	for i := range sides {
		conn, err := sides[i].server.Connect(ctx, "locks")
		if ctx.Err() != nil { // the comparison is over
			conn.CloseNow()
			return nil
		}
		if err != nil {
			return err
		}
		defer conn.CloseNow()
		sides[i].conn = conn
	}
	told, met := map[string]bool{}, map[string]bool{}
	ticker := time.NewTicker(waitsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		before := met
		met = map[string]bool{}
		for _, s := range sides {
			err := s.conn.Each(ctx, waitsSQL, []any{s.pids}, func(rows pgx.Rows) error {
				var relation, by string
				err := rows.Scan(&relation, &by)
				text := relation + by
				if met[text] = true; err == nil && before[text] && !told[text] {
					told[text] = true
					v.options.Waiting(s.conn.Side, relation, by)
				}
				return err
			})
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}
