package capture

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

// vacuums decides how long a lock is waited for behind an autovacuum. The server cancels one, unless it is to prevent wraparound, for a
// session that has waited deadlock_timeout for its table's lock: a wait that always ends before would never have the lock, and would make
// the application queue each time.
type vacuums struct {
	wait     time.Duration // that is always allowed
	deadlock time.Duration // the server's deadlock_timeout
	lowered  bool          // it is less for us, as a superuser may have it: no wait need be longer

	longer bool // the next wait is to outlast deadlock_timeout
	waited int  // the autovacuum that this was tried with
}

// longestWait bounds a wait behind an autovacuum, and so how long the application may queue up, where deadlock_timeout is long.
const longestWait = 5 * time.Second

func lookAtDeadlockTimeout(ctx context.Context, conn *pg.Conn, wait time.Duration) (*vacuums, error) {
	var superuser string
	var milliseconds int
	err := conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('is_superuser'), setting::int FROM pg_catalog.pg_settings
		WHERE name = 'deadlock_timeout'`).Scan(&superuser, &milliseconds)
	deadlock := time.Duration(milliseconds) * time.Millisecond
	return &vacuums{wait: wait, deadlock: deadlock, lowered: superuser == "on"}, err
}

// nextWait are the settings that bound the next wait.
func (v *vacuums) nextWait() string {
	wait := v.wait
	if v.longer {
		v.longer = false
		wait += v.deadlock
	}
	settings := []string{fmt.Sprintf("SET LOCAL statement_timeout = %d", wait.Milliseconds())}
	if early := v.wait / 4; v.lowered && early < v.deadlock {
		settings = append(settings, fmt.Sprintf("SET LOCAL deadlock_timeout = %d", max(1, early.Milliseconds())))
	}
	return strings.Join(settings, "; ")
}

// met says what is to be done about an autovacuum of some kind that was in the way. Where it can help, the next wait is longer, once for
// each of them: one that goes on then is not canceled for us.
func (v *vacuums) met(pid int, kind string) string {
	const endIt = "it ends by itself, or by SELECT pg_cancel_backend(%d) of a superuser"
	switch tried := v.waited == pid && !v.longer; {
	case kind == "wraparound":
		return fmt.Sprintf("pid %d, an autovacuum to prevent wraparound, which the server does not cancel for a lock; "+endIt, pid, pid)
	case kind == "unknown" && tried:
		return fmt.Sprintf("pid %d, a vacuum that the server does not cancel for a lock (to prevent wraparound, or a superuser's own); "+endIt, pid, pid)
	case v.lowered || tried || v.deadlock < v.wait:
		return fmt.Sprintf("pid %d, an autovacuum, which the server was asked to cancel", pid)
	case v.wait+v.deadlock > longestWait:
		return fmt.Sprintf("pid %d, an autovacuum, which the server would cancel after deadlock_timeout, longer than the application is to wait; "+endIt, pid, pid)
	}
	v.longer, v.waited = true, pid
	return fmt.Sprintf("pid %d, an autovacuum; waiting once more, longer than deadlock_timeout, for the server to cancel it", pid)
}
