package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
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
	var allowed func(hostile.Hostility) bool
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
	d.c = h.Fill(r, v, hostile.Settings{Other: other, Stream: "it", Weak: a.weak, Owner: a.owner, Number: a.cases})
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
	state, remedy := d.outcome()
	d.othersStream()
	d.commandsName(state)
	if restart == 2 {
		d.restart(d.t)
		d.othersStream()
	}
	d.mend(state, remedy)
	d.healed()
	d.t.Logf("%s after %s", map[bool]string{true: "FAILED", false: "mended"}[d.t.Failed()], time.Since(start).Round(100*time.Millisecond))
}

// commandsName asks those that say whether the target has everything. They wait for what only waits.
func (d *duel) commandsName(state string) {
	d.t.Helper()
	var commands []string
	switch {
	case state == "quarantined" || state == "named" && d.c.Is != hostile.Waits:
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

// outcome waits for what becomes of the table: state is "" where nothing is said of it.
func (d *duel) outcome() (state, remedy string) {
	d.t.Helper()
	if d.c.Is == hostile.Differs { // nobody can know
		state, _, remedy = d.report(d.t).named(d.c.Names())
		return quarantined(state), remedy
	}
	limit := namedWithin
	if d.c.Quiet {
		limit = looksForDrift
	}
	arrives := d.c.Is == hostile.Harmless || d.c.Is == hostile.Either || d.c.Is == hostile.Named && d.c.On == hostile.Target
	reason, arrived := "", false
	d.within(limit, func() bool {
		if state, reason, remedy = d.report(d.t).named(d.c.Names()); reason == "" && d.c.Is == hostile.Waits {
			reason = d.warned()
		}
		if reason != "" {
			return true
		}
		arrived = arrives && d.arrived()
		return arrived
	})
	switch {
	case reason == "" && !arrived:
		d.t.Errorf("%s is neither equal nor named after %s; status:\n%s", d.c.Names(), limit, d.pgibex(d.t, "status").out)
	case reason == "" && d.c.Is == hostile.Named:
		d.t.Errorf("the hostility does nothing: %s is equal", d.c.Names())
	case reason != "" && d.c.Is == hostile.Harmless:
		d.t.Errorf("harmless, and yet %s: %s (%s)", state, reason, remedy)
	case reason != "" && state == "quarantined" && remedy == "":
		d.t.Errorf("%s is named without a remedy: %s", d.c.Names(), reason)
	}
	if reason == "" {
		return "", ""
	}
	d.t.Logf("%s: %s (%s)", state, reason, remedy)
	return state, remedy
}

// warned is a warning of the daemon's that names it.
func (d *duel) warned() string {
	for line := range strings.Lines(d.d.log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, d.c.Names()) {
			return line
		}
	}
	return ""
}

// quarantined is a state, where it is that one.
func quarantined(state string) string {
	if state == "quarantined" {
		return state
	}
	return ""
}

var remedial = regexp.MustCompile(`pgibex (resync|remove|add)\b`)

// mend undoes the hostility and then does what the remedy says.
func (d *duel) mend(state, remedy string) {
	d.t.Helper()
	if d.held != nil {
		if _, err := d.held.Exec(d.t.Context(), "COMMIT"); err != nil && d.c.Is != hostile.Waits {
			d.t.Errorf("the hostility's own COMMIT: %v", err)
		}
		_ = d.held.Close(d.t.Context())
		d.held = nil
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	if d.c.Slow { // whoever mends ends the statement that is in the way
		group.Go(func() { d.cancelSleepers(done) })
	}
	for _, side := range []struct{ dsn, sql string }{{d.targetDSN, d.c.Mend}, {d.sourceDSN, d.c.MendSource}} {
		ctx, cancel := context.WithTimeout(d.t.Context(), mendedWithin)
		if err := tryExec(ctx, side.dsn, side.sql); err != nil {
			d.t.Errorf("mend: %v", err)
		}
		cancel()
	}
	close(done)
	group.Wait()
	now, _, saidNow := d.report(d.t).named(d.c.Victim.Plain)
	if now != "quarantined" && d.c.Is != hostile.Differs {
		return
	}
	if now == "quarantined" { // what was in flight may have brought it there only now
		state, remedy = now, saidNow
	}
	found := remedial.FindStringSubmatch(remedy)
	if d.c.Is == hostile.Differs && state != "quarantined" { // which verify says
		found = []string{"", "resync"}
	}
	if found == nil {
		d.t.Errorf("the remedy names no command: %q", remedy)
		found = []string{"", "resync"}
	}
	if found[1] == "remove" {
		d.excluded, d.removed = append(d.excluded, d.c.Victim.Plain), true
		d.configure()
	} else if d.c.Removed {
		d.t.Errorf("%s is gone, and the remedy is %q", d.c.Victim.Plain, remedy)
	}
	if r := d.pgibex(d.t, found[1], d.c.Victim.Plain); r.code != 0 {
		d.t.Errorf("the remedy, pgibex %s %s, ends with code %d: %s%s", found[1], d.c.Victim.Plain, r.code, r.out, r.log)
	}
}

func (d *duel) cancelSleepers(done <-chan struct{}) {
	for {
		_, _ = askAll(d.t.Context(), d.targetDSN, "SELECT pg_cancel_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/%' AND wait_event = 'PgSleep'")
		select {
		case <-done:
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// healed: all is equal again, and nobody says anything.
func (d *duel) healed() {
	d.t.Helper()
	d.othersStream()
	var r report
	if !d.within(mendedWithin, func() bool {
		r = d.report(d.t)
		return r.Phase == "streaming" && r.Consistent && r.Pending == 0 && !strings.Contains(r.whole, `"quarantined"`)
	}) {
		d.t.Fatalf("%s after it was mended not all streams: %s", mendedWithin, r.whole)
	}
	caught := d.pgibex(d.t, "catchup")
	if caught.code != 0 {
		d.t.Errorf("it is mended, and catchup ends with code %d:\n%s%s", caught.code, caught.out, caught.log)
	}
	for _, v := range d.victims {
		if d.removed && v.Plain == d.c.Victim.Plain {
			continue
		}
		if !d.same(v) {
			d.t.Errorf("%s is not equal", v.Plain)
		}
	}
	sequences := ""
	if !d.within(sequencesMoved, func() bool {
		for _, v := range d.victims {
			for _, name := range []string{v.Free, v.Owned} {
				if name != "" && !(d.removed && v.Plain == d.c.Victim.Plain) && !d.sameSequence(name) {
					sequences = name
					return false
				}
			}
		}
		return true
	}) {
		d.t.Errorf("sequence %s is not where it is on the source", sequences)
	}
	if r := d.pgibex(d.t, "verify"); r.code != 0 {
		d.t.Errorf("it is mended, and verify ends with code %d:\n%s%s", r.code, r.out, r.log)
	}
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }
