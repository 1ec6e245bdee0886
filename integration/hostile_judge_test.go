package integration

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pgibex/pgibex/integration/hostile"
)

// outcome waits for what becomes of the table; nothing where nothing is said of it.
func (d *duel) outcome() (said named) {
	d.t.Helper()
	said = d.report(d.t).named(d.c.Names())
	if d.c.Is == hostile.Differs { // nobody can know
		return said
	}
	limit := namedWithin
	if d.c.Quiet {
		limit = looksForDrift
	}
	arrives := d.c.Is == hostile.Harmless || d.c.Is == hostile.Either || d.c.Is == hostile.Named && d.c.On == hostile.Target
	arrived := false
	d.within(limit, func() bool {
		if said = d.report(d.t).named(d.c.Names()); said.Reason == "" && (d.c.Is == hostile.Waits || d.c.About != "") {
			said.Reason = d.warned()
		}
		if said.Reason != "" {
			return true
		}
		arrived = arrives && d.arrived()
		return arrived
	})
	switch {
	case said.Reason == "" && !arrived:
		d.t.Errorf("%s is neither equal nor named after %s; status:\n%s", d.c.Names(), limit, d.pgibex(d.t, "status").out)
	case said.Reason == "" && d.c.Is == hostile.Named:
		d.t.Errorf("the hostility does nothing: %s is equal", d.c.Names())
	case said.Reason != "" && d.c.Is == hostile.Harmless:
		d.t.Errorf("harmless, and yet %s: %s (%s)", said.State, said.Reason, said.Remedy)
	case said.State == quarantined && said.Remedy == "":
		d.t.Errorf("%s is named without a remedy: %s", d.c.Names(), said.Reason)
	}
	if said.Reason != "" {
		d.t.Logf("%s: %s (%s)", said.State, said.Reason, said.Remedy)
	}
	return said
}

const quarantined = "quarantined"

// warned is a warning of the daemon's, since the duel began, that names it.
func (d *duel) warned() string {
	for line := range strings.Lines(d.d.log.String()[d.before:]) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, d.c.Names()) {
			return line
		}
	}
	return ""
}

var remedial = regexp.MustCompile(`pgibex (resync|remove|add)\b`)

// mend undoes the hostility and then does what the remedy says.
func (d *duel) mend(said named) {
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
	now := d.report(d.t).named(d.c.Victim.Plain)
	switch {
	case now.State == quarantined, remedial.MatchString(now.Remedy): // what was in flight may have brought it there only now, or the daemon has not looked yet
		said = now
	case d.c.Is == hostile.Differs: // verify has said it
		said.Remedy = "pgibex resync"
	default:
		return
	}
	found := remedial.FindStringSubmatch(said.Remedy)
	if found == nil {
		d.t.Errorf("the remedy names no command: %q", said.Remedy)
		return
	}
	if found[1] == "remove" {
		d.excluded, d.removed = append(d.excluded, d.c.Victim.Plain), true
		d.configure()
	} else if d.c.Removed {
		d.t.Errorf("%s is gone, and the remedy is %q", d.c.Victim.Plain, said.Remedy)
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
			if d.removed && v.Plain == d.c.Victim.Plain {
				continue
			}
			for _, name := range []string{v.Free, v.Owned} {
				if name != "" && !d.sameSequence(name) {
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
