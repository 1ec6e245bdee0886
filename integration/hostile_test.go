package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/integration/hostile"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

const (
	hostileSeeds   = 3                // in make test
	streamsOn      = 25 * time.Second // what the others may take, on a machine that has other things to do
	namedWithin    = 30 * time.Second
	mendedWithin   = 90 * time.Second
	looksForDrift  = 45 * time.Second // by itself
	sequencesMoved = 30 * time.Second
)

// TestHostile does something hostile to one table of a stream, by a seed: the others must stream on, the one must be named with a reason
// and a remedy, and the remedy must mend it. HOSTILE_SEED repeats it, HOSTILE_SEEDS says how many, each the successor of the one before.
func TestHostile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs servers; not with -short")
	}
	first, count := rand.Uint64()%1_000_000_000+1, uint64(hostileSeeds)
	if text := os.Getenv("HOSTILE_SEED"); text != "" {
		first, count = parse(t, "HOSTILE_SEED", text), 1
	}
	if text := os.Getenv("HOSTILE_SEEDS"); text != "" {
		count = parse(t, "HOSTILE_SEEDS", text)
	}
	only := os.Getenv("HOSTILE_ONLY")
	pgtest.Note("hostile: SEED=" + strconv.FormatUint(first, 10) + ", " + strconv.FormatUint(count, 10) + " seeds")
	var next atomic.Uint64
	lanes := 1
	if count > 10 {
		lanes = 3
	}
	for lane := range lanes {
		t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) {
			t.Parallel()
			for begun := true; begun && next.Load() < count; {
				begun = false
				t.Run("stream", func(t *testing.T) {
					a := newArena(t)
					begun = true
					for n := next.Add(1) - 1; n < count; n = next.Add(1) - 1 {
						seed := first + n
						if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { a.try(t, seed, only) }) || a.removed {
							return
						}
					}
				})
			}
		})
	}
}

func parse(t *testing.T, name, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// duel is one hostility and what is seen of it.
type duel struct {
	*arena
	t    *testing.T
	c    hostile.Case
	r    *rand.Rand
	bulk bool
	held *pgx.Conn
	mark int
}

func (a *arena) try(t *testing.T, seed uint64, only string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	allowed := func(hostile.Hostility) bool { return true }
	if only != "" {
		match := regexp.MustCompile(only)
		allowed = func(h hostile.Hostility) bool { return match.MatchString(h.Kind + ": " + h.Name) }
	}
	a.cases++
	v := a.victims[r.IntN(len(a.victims))]
	var h hostile.Hostility
	for found := false; !found; v = a.victims[r.IntN(len(a.victims))] {
		if h, found = hostile.Pick(r, v, allowed); found {
			break
		}
	}
	other := a.victims[r.IntN(4)]
	for other.Plain == v.Plain {
		other = a.victims[r.IntN(4)]
	}
	d := &duel{arena: a, t: t, r: r}
	d.c = h.Fill(r, v, a.settings(other, a.cases))
	d.bulk = !h.Slow && r.IntN(4) == 0
	d.fight(r.IntN(2) == 0, r.IntN(5))
}

func (d *duel) dsn() string {
	if d.c.On == hostile.Source {
		return d.sourceDSN
	}
	return d.targetDSN
}

// fight is the whole of it.
func (d *duel) fight(together bool, restart int) {
	d.t.Helper()
	start := time.Now()
	d.before = len(d.d.log.String())
	d.t.Logf("%s; bulk %v, together %v, restart %d", d.c, d.bulk, together, restart)
	defer func() {
		if d.held != nil {
			_ = d.held.Close(context.WithoutCancel(d.t.Context()))
		}
		if d.t.Failed() {
			d.t.Logf("the hostility: %s\nthe daemon said:\n%s", d.c.Do, tail(d.d.log.String(), 6000))
		}
	}()
	d.attack()
	if restart == 0 {
		d.restart(d.t)
	}
	d.write(together)
	d.othersStream()
	if d.c.Quiet && restart > 1 {
		d.restart(d.t)
	}
	said := d.outcome()
	d.othersStream()
	d.commandsName(said)
	if restart == 2 {
		d.restart(d.t)
		d.othersStream()
	}
	d.mend(said)
	d.healed()
	d.t.Logf("%s after %s", map[bool]string{true: "FAILED", false: "mended"}[d.t.Failed()], time.Since(start).Round(100*time.Millisecond))
}

// commandsName asks those that say whether the target has everything. They wait for what only waits.
func (d *duel) commandsName(said named) {
	d.t.Helper()
	var commands []string
	switch {
	case said.State == quarantined || said.Reason != "" && said.Waiting == "" && d.c.Is != hostile.Waits:
		commands = []string{"catchup", "verify"}
	case d.c.Is == hostile.Differs:
		commands = []string{"verify"}
	}
	for _, name := range commands {
		if r := d.pgibex(d.t, name); r.code != 1 || !strings.Contains(r.out+r.log, d.c.Names()) {
			d.t.Errorf("%s ends with code %d, and should end with 1 and name %s:\n%s%s", name, r.code, d.c.Names(), r.out, r.log)
		}
	}
}

func (d *duel) attack() {
	d.t.Helper()
	if !d.c.Held {
		if err := tryExec(d.t.Context(), d.dsn(), d.c.Do); err != nil {
			d.t.Fatalf("the hostility cannot be done: %v", err)
		}
		return
	}
	conn, err := pgx.Connect(d.t.Context(), d.dsn())
	if err == nil {
		d.held = conn
		_, err = conn.PgConn().Exec(d.t.Context(), "BEGIN; "+d.c.Do).ReadAll()
	}
	if err != nil {
		d.t.Fatalf("the hostility cannot be done: %v in: %s", err, d.c.Do)
	}
}

// write is the application's, to all tables. It must never fail.
func (d *duel) write(together bool) {
	d.t.Helper()
	n := 1_000_000 + 10*d.cases
	v := d.c.Victim
	sql := d.c.Write
	if sql == "" {
		sql = fmt.Sprintf("INSERT INTO %[1]s (id, v, n) VALUES ('%[2]d', 'written by case %[3]d', 100000 + %[3]d); UPDATE %[1]s SET n = n + 1, v = v || '!' WHERE id IN ('5', '6'); DELETE FROM %[1]s WHERE id = '%[4]d'",
			v.Table(), n, d.cases, 7+d.cases%30)
		if d.bulk {
			sql += fmt.Sprintf("; INSERT INTO %[1]s (id, v, n) SELECT g, 'bulk ' || g, g FROM generate_series(%[2]d, %[3]d) g", v.Table(), 100_000_000+10_000*d.cases, 100_000_000+10_000*d.cases+3000)
		}
	}
	marks := d.marks()
	if together {
		marks, sql = "", "BEGIN; "+sql+"; "+marks+"; COMMIT"
	}
	for _, statements := range []string{sql, marks} {
		if err := tryExec(d.t.Context(), d.sourceDSN, statements); err != nil {
			d.t.Fatalf("the application got an error: %v", err)
		}
	}
}

// marks writes a new value to every other table.
func (d *duel) marks() string {
	d.mark++
	var sql strings.Builder
	for _, v := range d.others() {
		fmt.Fprintf(&sql, "INSERT INTO %s (id, v, n) VALUES ('%d', 'mark %d.%d', %d);", v.Table(), 2_000_000+100*d.cases+d.mark, d.cases, d.mark, d.cases)
	}
	return sql.String() + "SELECT nextval('" + d.others()[0].Free + "')"
}

func (d *duel) others() (others []hostile.Victim) {
	for _, v := range d.victims {
		if v.Plain != d.c.Victim.Plain {
			others = append(others, v)
		}
	}
	return others
}

// othersStream: every other table gets what was last written to it, and another row.
func (d *duel) othersStream() {
	d.t.Helper()
	start := time.Now()
	if err := tryExec(d.t.Context(), d.sourceDSN, d.marks()); err != nil {
		d.t.Fatalf("the application got an error: %v", err)
	}
	var lacking []string
	if !d.within(streamsOn, func() bool {
		lacking = nil
		for _, v := range d.others() {
			there, err := askAll(d.t.Context(), d.targetDSN, fmt.Sprintf("SELECT 'there' FROM %s WHERE v = 'mark %d.%d'", v.Table(), d.cases, d.mark))
			if err != nil || len(there) != 1 {
				lacking = append(lacking, v.Plain)
			}
		}
		return len(lacking) == 0
	}) {
		d.t.Fatalf("after %s the others do not stream on: %v", time.Since(start).Round(time.Second), lacking)
	}
}

// within polls a condition.
func (d *duel) within(limit time.Duration, holds func() bool) bool {
	for deadline, pause := time.Now().Add(limit), 20*time.Millisecond; ; pause = min(pause*3/2, 400*time.Millisecond) {
		if holds() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		select {
		case <-time.After(pause):
		case <-d.d.gone:
			d.t.Fatalf("the daemon has ended with code %d:\n%s", d.d.cmd.ProcessState.ExitCode(), tail(d.d.log.String(), 600))
		}
	}
}

func (d *duel) arrived() bool {
	if d.c.Kind == "sequence" {
		name := d.c.Victim.Free
		if d.c.About != "" && d.c.Names() == strings.ReplaceAll(d.c.Victim.Owned, `"`, "") {
			name = d.c.Victim.Owned
		}
		return d.sameSequence(name)
	}
	return d.c.About == "" && d.same(d.c.Victim)
}

// TestHostilitiesCanBeDoneAndUndone tries each where nothing streams, so that what a seed finds is never a mistake in the SQL: on one table,
// the next one each time, or with PGIBEX_TEST_ALL on each.
func TestHostilitiesCanBeDoneAndUndone(t *testing.T) {
	t.Parallel()
	a := newBattlefield(t)
	r := rand.New(rand.NewPCG(1, 0))
	sides := [2]session{hostile.Target: {a.stream, a.connect(a.targetDSN)}, hostile.Source: {a.stream, a.connect(a.sourceDSN)}}
	number := 0
	for first := range a.victims {
		if first > 0 && os.Getenv("PGIBEX_TEST_ALL") == "" {
			break
		}
		for i, h := range hostile.All() {
			v := a.victims[(first+i)%len(a.victims)]
			if h.Only != nil && !h.Only(v) || strings.Contains(h.Do, "{ours}") {
				continue
			}
			number++
			c := h.Fill(r, v, a.settings(a.victims[0], number))
			try := func(what string, side hostile.Side, sql string) {
				_, err := sides[side].conn.PgConn().Exec(t.Context(), sql).ReadAll()
				if err != nil {
					t.Errorf("%s: %s: %v in:\n%s", c, what, err, sql)
				}
				sides[side].do("RESET ROLE")
			}
			if c.Held {
				try("do", c.On, "BEGIN; "+c.Do+"; ROLLBACK")
				continue
			}
			try("do", c.On, c.Do)
			try("write", hostile.Source, c.Write)
			if c.Removed {
				try("make again", hostile.Source, "DROP SCHEMA IF EXISTS "+v.Schema+" CASCADE; CREATE SCHEMA "+v.Schema+" AUTHORIZATION "+a.owner+"; SET ROLE "+a.owner+"; "+v.Create+"; CREATE SEQUENCE "+v.Free)
			}
			try("undo", hostile.Target, c.Mend)
			try("undo", hostile.Source, c.MendSource)
		}
	}
}
