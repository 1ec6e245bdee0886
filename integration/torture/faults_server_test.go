package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const diskFull = "the target's disk is full"

// serverFaults are those of the servers and of sessions on them.
var serverFaults = []*fault{
	{name: "source shut down at once, started again", weight: 3, uses: []string{sourceServer, sourceTables}, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		return 1, m.crash(ctx, m.source, between(r, 0, time.Second))
	}},
	{name: "target shut down at once, started again", weight: 4, uses: []string{targetServer}, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		return 1, m.crash(ctx, m.target, between(r, 0, time.Second))
	}},
	{name: "sessions on the source terminated", weight: 8, run: terminateSome(func(m *machine) *server { return m.source })},
	{name: "sessions on the target terminated", weight: 8, run: terminateSome(func(m *machine) *server { return m.target })},
	{name: "no connection slot free on the source", weight: 2, uses: []string{sourceServer}, run: hog(func(m *machine) *server { return m.source })},
	{name: "no connection slot free on the target", weight: 3, uses: []string{targetServer}, run: hog(func(m *machine) *server { return m.target })},
	{name: diskFull, weight: 4, uses: []string{targetServer}, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		if err := m.disk.fill(); err != nil {
			return 0, err
		}
		pause(ctx, between(r, 500*time.Millisecond, 4*time.Second))
		return 1, m.disk.free()
	}},
}

// crash shuts a server down at once and starts it again. One that does not come back ends the run.
func (m *machine) crash(ctx context.Context, s *server, down time.Duration) error {
	err := s.crash(ctx, down)
	if err != nil {
		m.hurt("the %s does not come back: %.2000v", s.side, err)
	}
	return err
}

// terminateSome terminates all of our sessions on a server, or one of them, a few times.
func terminateSome(side func(*machine) *server) func(context.Context, *machine, *rand.Rand) (int, error) {
	return func(ctx context.Context, m *machine, r *rand.Rand) (times int, err error) {
		for range 1 + r.IntN(4) {
			limit := []int{1, 1, 100}[r.IntN(3)]
			n, askErr := ask[int](ctx, side(m), `SELECT count(pg_terminate_backend(pid))::int FROM (
				SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgibex/`+stream+`/%' ORDER BY md5($1::text || pid) LIMIT $2) a`, fmt.Sprint(r.Uint32()), limit)
			times, err = times+n, errors.Join(err, askErr)
			pause(ctx, between(r, 0, 700*time.Millisecond))
		}
		return times, err
	}
}

// hog takes all connections there are, terminates one or all of ours so that it has to connect, and lets go after a while.
func hog(side func(*machine) *server) func(context.Context, *machine, *rand.Rand) (int, error) {
	return func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		var taken []*pgx.Conn
		defer func() {
			for _, conn := range taken {
				_ = conn.Close(context.WithoutCancel(ctx)) // the server may be down
			}
		}()
		ended, until := false, time.Now().Add(between(r, time.Second, 4*time.Second))
		for time.Now().Before(until) && ctx.Err() == nil {
			conn, err := side(m).connect(ctx, "torture/hog")
			if err == nil {
				taken = append(taken, conn)
				continue
			}
			if !ended && len(taken) > 0 {
				ended = true
				_, err := taken[0].Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgibex/"+stream+"/%'")
				if err != nil {
					return len(taken), err
				}
			}
			pause(ctx, 20*time.Millisecond)
		}
		return len(taken), nil
	}
}
