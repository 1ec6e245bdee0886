package capture

import (
	"strings"
	"testing"
	"time"
)

// TestBehindAnAutovacuum: what the next wait is, and what the operator is told, after one in vain.
func TestBehindAnAutovacuum(t *testing.T) {
	const bounded, outlasting = "SET LOCAL statement_timeout = 1000", "SET LOCAL statement_timeout = 2000"
	plain := vacuums{wait: time.Second, deadlock: time.Second}
	again := plain
	again.waited = 7
	for name, test := range map[string]struct {
		v    vacuums
		kind string
		says string
		next string
	}{
		"nothing met":               {v: plain, next: bounded},
		"ordinary":                  {v: plain, kind: "ordinary", says: "pid 7, an autovacuum; waiting once more, longer than deadlock_timeout", next: outlasting},
		"not shown":                 {v: plain, kind: "unknown", says: "waiting once more", next: outlasting},
		"not shown, still there":    {v: again, kind: "unknown", says: "pid 7, a vacuum that the server does not cancel for a lock (to prevent wraparound", next: bounded},
		"ordinary, still there":     {v: again, kind: "ordinary", says: "which the server was asked to cancel", next: bounded},
		"wraparound":                {v: plain, kind: "wraparound", says: "an autovacuum to prevent wraparound, which the server does not cancel", next: bounded},
		"of a superuser":            {v: vacuums{wait: time.Second, deadlock: time.Second, lowered: true}, kind: "ordinary", says: "was asked to cancel", next: bounded + "; SET LOCAL deadlock_timeout = 250"},
		"server's timeout is short": {v: vacuums{wait: time.Second, deadlock: 100 * time.Millisecond}, kind: "ordinary", says: "was asked to cancel", next: bounded},
		"server's timeout is long":  {v: vacuums{wait: time.Second, deadlock: time.Minute}, kind: "ordinary", says: "longer than the application is to wait", next: bounded},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // it holds more than one lock
				if test.kind == "" {
					break
				}
				if says := test.v.met(7, test.kind); !strings.Contains(says, test.says) {
					t.Errorf("says %q", says)
				}
			}
			if next := test.v.nextWait(); next != test.next {
				t.Errorf("the next wait is %q", next)
			}
			if test.next == outlasting && test.v.nextWait() != bounded {
				t.Error("more than one wait is longer")
			}
		})
	}
}
