package capture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

// passing is how long a transaction that is met on a table must stay to count as one that blocks: the application's own short ones come and
// go there all the time.
const passing = 500 * time.Millisecond

// blocker is a lock on a table, and the transaction that holds it.
type blocker struct {
	pid                                                 int
	user, application, gid, mode, state, query, virtual string
	seconds                                             float64 // in its transaction; -1 where the role may not see it
	vacuum                                              string  // of an autovacuum: ordinary, wraparound, unknown
	table                                               uint32
}

// String says what is known: a role that is neither superuser nor the session's own sees no more than who it is.
func (b blocker) String() string {
	who := fmt.Sprintf("pid %d of %s (%s)", b.pid, b.user, b.application)
	since := ""
	if b.seconds >= 0 {
		since = time.Duration(b.seconds * float64(time.Second)).Round(time.Millisecond).String()
	}
	if b.gid != "" {
		return fmt.Sprintf("prepared transaction %q of %s, for %s, with %s", b.gid, b.user, since, b.mode)
	}
	said := []string{who}
	if b.state != "" {
		said = append(said, b.state)
	}
	if since != "" {
		said = append(said, "in a transaction for "+since)
	}
	text := strings.Join(append(said, "with "+b.mode), ", ")
	if b.query == "" || b.query == "<insufficient privilege>" {
		return text + " (only a superuser sees what it does)"
	}
	return text + ": " + b.query
}

// lets says whether the lock lets others read the table.
func (b blocker) lets() bool { return b.mode != "AccessExclusiveLock" }

// stayingBlockers says who holds a lock on one of the tables, and still does a moment later.
func stayingBlockers(ctx context.Context, conn *pg.Conn, oids []uint32) ([]blocker, error) {
	first, err := blockers(ctx, conn, oids)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(passing):
	}
	second, err := blockers(ctx, conn, oids)
	if err != nil {
		return nil, err
	}
	return staying(first, second), nil
}

// staying are those of the second look that the first had found in the same transaction.
func staying(first, second []blocker) []blocker {
	return slices.DeleteFunc(slices.Clone(second), func(b blocker) bool {
		return !slices.ContainsFunc(first, func(a blocker) bool { return a.virtual == b.virtual && a.pid == b.pid && a.mode == b.mode })
	})
}

// inWords names those who stay. An autovacuum decides how long the next wait is.
func inWords(staying []blocker, vacuums *vacuums) (by []string) {
	for _, b := range staying {
		if b.vacuum != "" && vacuums != nil {
			by = append(by, vacuums.met(b.pid, b.vacuum)+": "+b.query)
			continue
		}
		by = append(by, b.String())
	}
	if len(by) == 0 {
		by = []string{"short transactions that have ended since"}
	}
	return by
}

// blockers reads who holds a lock on one of the tables.
func blockers(ctx context.Context, conn *pg.Conn, oids []uint32) ([]blocker, error) {
	rows, err := conn.Query(ctx, blockersSQL, oids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var by []blocker
	for rows.Next() {
		var b blocker
		if err := rows.Scan(&b.pid, &b.user, &b.application, &b.gid, &b.seconds, &b.mode, &b.state, &b.query, &b.virtual, &b.vacuum, &b.table); err != nil {
			return nil, err
		}
		by = append(by, b)
	}
	return by, rows.Err()
}
