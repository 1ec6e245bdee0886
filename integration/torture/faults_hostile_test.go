package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/pgibex/pgibex/integration/hostile"
)

// hostileTable is what only one fault at a time does something to, so that it is known which table is named, and why.
const hostileTable = "hostile table"

// hostileFaults are what others do to a table of the target, and undo after a while. TestHostile does these one at a time, and judges each
// by itself; here the application and the other faults go on meanwhile.
var hostileFaults = []*fault{
	{name: "a table of the target made hostile, and mended", weight: 6, uses: []string{hostileTable}, run: beHostile},
}

// bearable are those that an application which knows nothing of them bears, and that leave the target's table as it was.
func bearable(h hostile.Hostility) bool {
	byID := strings.Contains(h.Do, "{id}") || strings.Contains(h.Do, "id IN") || strings.Contains(h.Do, "id =")
	allTables := strings.Contains(h.Do, "SCHEMA {schema} ")                                                                                         // they share one
	return h.On == hostile.Target && !h.Remade && !h.Breaks && h.Is != hostile.Differs && !byID && !allTables && !strings.HasPrefix(h.Do, "VACUUM") // which is no transaction
}

func (m *machine) victim(r *rand.Rand) hostile.Victim {
	t := m.schema.keyed[r.IntN(len(m.schema.keyed))]
	return hostile.Victim{
		Schema: "public", Relation: t.name, Plain: "public." + t.name, Key: t.keyColumns(), KeyType: t.key[0].name,
		Text: "note", Int: "n", Free: "public.odd", Family: true,
	}
}

func beHostile(ctx context.Context, m *machine, r *rand.Rand) (times int, err error) {
	whole := context.WithoutCancel(ctx) // what was begun is mended
	v := m.victim(r)
	h, _ := hostile.Pick(r, v, bearable)
	m.mu.Lock()
	m.hostilities++
	number := m.hostilities
	m.wounded[v.Plain] = true
	m.mu.Unlock()
	c := h.Fill(r, v, hostile.Settings{Other: hostile.Victim{Schema: "public", Relation: "counter", Text: "name"}, Stream: stream, Weak: "weak", Owner: "CURRENT_USER", Number: number})
	m.event("hostile: %s", c)
	for ctx.Err() == nil { // the other fault may have the server down
		if err = m.attack(ctx, c, between(r, time.Second, 8*time.Second)); err == nil {
			break
		}
		m.event("hostile: not done: %.200v", err)
		pause(ctx, time.Second)
	}
	if err != nil {
		return 0, err
	}
	return 1, m.mend(whole, c)
}

// attack does it, and where it is a transaction that does not end, ends that after a while.
func (m *machine) attack(ctx context.Context, c hostile.Case, hold time.Duration) error {
	conn, err := m.target.connect(ctx, "torture/hostile")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	do := "BEGIN; SET LOCAL lock_timeout = '10s'; CREATE SCHEMA IF NOT EXISTS hostile; " + c.Do
	if !c.Held {
		do += "; COMMIT"
	}
	if _, err := conn.PgConn().Exec(ctx, do).ReadAll(); err != nil {
		return err
	}
	pause(ctx, hold)
	if c.Held {
		_, err = conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
	}
	_ = err // with its session it has ended as well
	return nil
}

// mendWithin is what mending may take, with whatever the other fault does.
const mendWithin = 3 * time.Minute

// mend undoes it and does what the remedy says, until the table streams again.
func (m *machine) mend(ctx context.Context, c hostile.Case) error {
	ctx, cancel := context.WithTimeout(ctx, mendWithin)
	defer cancel()
	if sql := c.Mend; sql != "" && !c.Held {
		for {
			err := m.target.run(ctx, "torture/hostile", "BEGIN; SET LOCAL lock_timeout = '20s'; "+sql+"; COMMIT")
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				m.hurt("%s cannot be undone: %v", c, err)
				return err
			}
			pause(ctx, 500*time.Millisecond)
		}
	}
	undone := time.Now()
	m.event("hostile: undone: %s", c)
	for ctx.Err() == nil {
		if cured, err := m.cure(ctx); err == nil && !cured && m.beat.since(undone) {
			return nil
		}
		pause(ctx, time.Second)
	}
	return fmt.Errorf("%s: not over after %s", c.Name, mendWithin)
}

var remedial = regexp.MustCompile(`pgibex resync`)

// cure does what the remedy of each table says that a hostility has brought into quarantine. What was in flight when it was undone may
// bring a table there later.
func (m *machine) cure(ctx context.Context) (found bool, err error) {
	code, out := m.call(ctx, "", "status", "--json")
	var report struct {
		Tables []struct{ Table, State, Reason, Remedy string }
	}
	start := strings.IndexByte(out, '{')
	if start < 0 {
		return false, fmt.Errorf("status --json: code %d: %s", code, out)
	}
	if err := json.NewDecoder(strings.NewReader(out[start:])).Decode(&report); err != nil {
		return false, fmt.Errorf("status --json: %w: %s", err, out)
	}
	for _, t := range report.Tables {
		m.mu.Lock()
		wounded := m.wounded[t.Table]
		m.mu.Unlock()
		if t.State != "quarantined" || !wounded {
			continue
		}
		found = true
		if t.Reason == "" || !remedial.MatchString(t.Remedy) {
			m.hurt("%s is in quarantine without a reason or a remedy: %q, %q", t.Table, t.Reason, t.Remedy)
		}
		code, out := m.call(ctx, "", "resync", t.Table)
		m.event("hostile: %s: %.300s (%.200s); resync: code %d: %s", t.Table, t.Reason, t.Remedy, code, lastLine(out))
		m.count("tables in quarantine by a hostility, brought back")
	}
	return found, nil
}
