package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"
)

// anew takes the stream away and begins it again, with a failure at some points of each command, while the application writes.
func (m *machine) anew(ctx context.Context) {
	r := m.random(actorLife<<32 + uint64(m.round))
	m.event("a new life: uninstall")
	m.app.calm.Store(true)
	defer m.app.calm.Store(false)
	m.app.start(ctx)
	m.daemons.end([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[r.IntN(2)])
	m.insist(ctx, r, "uninstall", "--yes", "--force")
	for _, s := range []*server{m.source, m.target} {
		if left, err := s.left(ctx); err != nil || len(left) > 0 {
			m.hurt("uninstall is through, and on the %s there is still: %v %v", s.side, left, err)
		}
	}
	m.compareDefinitions(ctx)
	m.must(m.target.run(ctx, "torture", "SET session_replication_role = replica; TRUNCATE "+strings.Join(m.tables(), ", ")+", heartbeat CASCADE"))
	m.beat.forget()
	if r.IntN(2) == 0 {
		m.insist(ctx, r, "install")
	}
	if r.IntN(3) == 0 {
		m.insist(ctx, r, "catchup")
	}
	m.app.end(ctx)
}

// insist repeats a command that is struck down again and again until it says that it is through.
func (m *machine) insist(ctx context.Context, r *rand.Rand, command string, flags ...string) {
	start, tries := time.Now(), 0
	for ; time.Since(start) < 3*time.Minute && ctx.Err() == nil; tries++ {
		fault := ""
		if tries < 60 {
			kind, every := []string{"exit", "exit", "cut"}[r.IntN(3)], 5+r.IntN(20+20*tries)
			if command == "catchup" { // it goes on by itself after a cut, only ever later, while the application is ahead of it
				kind = "exit"
			}
			fault = fmt.Sprintf("%s:%d:%d", kind, r.Uint32(), every)
		}
		code, out := m.call(ctx, fault, append([]string{command}, flags...)...)
		switch {
		case code == 0:
			m.event("%s is through after %s, at try %d", command, time.Since(start).Round(time.Millisecond), tries+1)
			m.tallyCommand(command, tries)
			return
		case code == killed:
		case fault == "" || !strings.HasPrefix(fault, "cut"):
			m.hurt("pgibex %s ends with code %d:\n%s", command, code, out)
			return
		}
	}
	m.hurt("pgibex %s is not through after %s and %d tries", command, time.Since(start).Round(time.Second), tries)
}

// killed is the exit code at a fault point.
const killed = 137

func (m *machine) tallyCommand(command string, struck int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[command+" under fault: times it was through"]++
	m.counts[command+" under fault: times it was struck down"] += struck
}

// left is what of pgibex is in the catalog.
func (s *server) left(ctx context.Context) ([]string, error) {
	return ask[[]string](ctx, s, `SELECT ARRAY(
		SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'pgibex%' UNION ALL
		SELECT 'relation ' || relname FROM pg_class WHERE relname LIKE 'pgibex%' OR relname LIKE 'delta\_%' UNION ALL
		SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE 'pgibex%' UNION ALL
		SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE 'capture\_%' ORDER BY 1)`)
}

// equalSets says whether two lists hold the same.
func equalSets(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
