package torture

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// heartbeat is a row that is written on the source all the time, and looked for on the target: it says how long the stream has stood.
type heartbeat struct {
	m       *machine
	writing sync.Mutex // held by the judge, who wants rest
	mu      sync.Mutex
	arrived time.Time // newest beat seen on the target
}

func newHeartbeat(m *machine) *heartbeat { return &heartbeat{m: m} }

const beatInterval = 50 * time.Millisecond

// keepOn does something on a connection again and again, with a new one after an error, until ctx ends.
func keepOn(ctx context.Context, s *server, name string, every time.Duration, do func(context.Context, *pgx.Conn) error) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			conn, _ = s.connect(ctx, name) // it may be down
		}
		if conn != nil {
			once, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			if err := do(once, conn); err != nil {
				_ = conn.Close(once) // to begin anew
			}
			cancel()
		}
		pause(ctx, every)
	}
	if conn != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

// run writes and looks until ctx ends.
func (h *heartbeat) run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() {
		keepOn(ctx, h.m.source, "app/heartbeat", beatInterval, func(ctx context.Context, conn *pgx.Conn) error {
			if !h.writing.TryLock() {
				return nil
			}
			defer h.writing.Unlock()
			_, err := conn.Exec(ctx, "UPDATE heartbeat SET at = $1 WHERE id = 1", time.Now())
			if err != nil {
				h.m.errors.judge("app/heartbeat", "beat", err)
			}
			return err
		})
	})
	group.Go(func() {
		keepOn(ctx, h.m.target, "torture/heartbeat", beatInterval, func(ctx context.Context, conn *pgx.Conn) error {
			var at *time.Time
			if err := conn.QueryRow(ctx, "SELECT max(at) FROM heartbeat").Scan(&at); err != nil {
				return err
			}
			if at != nil {
				h.mu.Lock()
				if at.After(h.arrived) {
					h.arrived = *at
				}
				h.mu.Unlock()
			}
			return nil
		})
	})
	group.Wait()
}

// since says whether a beat of after that moment has arrived.
func (h *heartbeat) since(moment time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.arrived.After(moment)
}

// forget has it wait for a beat of a new stream.
func (h *heartbeat) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrived = time.Time{}
}

func (h *heartbeat) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("last beat on the target: %s", h.arrived.UTC().Format(time.RFC3339Nano))
}
