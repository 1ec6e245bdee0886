package torture

import (
	"testing"
	"time"
)

// TestWatcherSeesWhoIsInTheWay: a wait counts from when one of ours holds the lock, or waits for it in front.
func TestWatcherSeesWhoIsInTheWay(t *testing.T) {
	const (
		app   = 1
		ours  = 2
		other = 3
	)
	waits := lock{app, "relation 1", "RowExclusiveLock", false}
	for _, c := range []struct {
		name  string
		first []lock // what is there from the beginning
		then  []lock // what is there for two seconds
		want  time.Duration
	}{
		{"we hold it", nil, []lock{{ours, "relation 1", "AccessExclusiveLock", true}, waits}, 2 * time.Second},
		{"we hold a mode that goes with it", nil, []lock{{ours, "relation 1", "AccessShareLock", true}, waits}, 0},
		{"we hold another lock", nil, []lock{{ours, "relation 2", "AccessExclusiveLock", true}, waits}, 0},
		{"another of the application holds it", nil, []lock{{other, "relation 1", "AccessExclusiveLock", true}, waits}, 0},
		{
			"we wait in front",
			[]lock{{ours, "relation 1", "AccessExclusiveLock", false}},
			[]lock{{other, "relation 1", "RowExclusiveLock", true}, {ours, "relation 1", "AccessExclusiveLock", false}, waits},
			2 * time.Second,
		},
		{
			"we wait in front, and it must wait without us",
			[]lock{{ours, "relation 1", "AccessShareLock", false}},
			[]lock{{other, "relation 1", "RowExclusiveLock", true}, {ours, "relation 1", "AccessShareLock", false}, {app, "relation 1", "AccessExclusiveLock", false}},
			0,
		},
		{
			"we wait behind",
			[]lock{waits},
			[]lock{{other, "relation 1", "AccessExclusiveLock", true}, waits, {ours, "relation 1", "AccessExclusiveLock", false}},
			0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatcher(&machine{faults: &faults{}})
			backends := []activity{{pid: app, name: "app/1"}, {pid: ours, name: "pgibex/torture/source"}, {pid: other, name: "app/2"}}
			start := time.Now()
			w.take(start, backends, c.first)
			for _, after := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
				w.take(start.Add(after), backends, c.then)
			}
			if w.held.took != c.want {
				t.Errorf("held up for %s, want %s: %s", w.held.took, c.want, w.held.text)
			}
		})
	}
}

func TestWatcherKnowsOursInADeadlock(t *testing.T) {
	w := newWatcher(nil)
	w.names[17], w.names[18] = "app/1", "pgibex/torture/source"
	for detail, want := range map[string]string{
		"Process 17 waits for ShareLock on transaction 5; blocked by process 18.": "pgibex/torture/source",
		"Process 17 waits for ShareLock on transaction 5; blocked by process 19.": "",
	} {
		if got := w.pgibexIn(detail); got != want {
			t.Errorf("%q: %q, want %q", detail, got, want)
		}
	}
}
