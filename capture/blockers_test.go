package capture

import (
	"slices"
	"testing"
)

// Who blocks is named with what the role may see of it, and no transaction that only passed.
func TestBlockersInWords(t *testing.T) {
	seen := blocker{pid: 7, user: "app", application: "psql", mode: "RowExclusiveLock", state: "idle in transaction", query: "UPDATE a", virtual: "3/9", seconds: 12}
	unseen := blocker{pid: 8, user: "app", application: "web", mode: "AccessShareLock", query: "<insufficient privilege>", virtual: "4/2", seconds: -1}
	prepared := blocker{user: "app", gid: "two", mode: "RowExclusiveLock", virtual: "-1/700", seconds: 60}
	next := unseen
	next.virtual = "4/3" // the same session, another transaction
	passed := []string{"short transactions that have ended since"}
	for name, test := range map[string]struct {
		first, second []blocker
		want          []string
	}{
		"seen":     {[]blocker{seen}, []blocker{seen}, []string{"pid 7 of app (psql), idle in transaction, in a transaction for 12s, with RowExclusiveLock: UPDATE a"}},
		"unseen":   {[]blocker{unseen}, []blocker{unseen}, []string{"pid 8 of app (web), with AccessShareLock (only a superuser sees what it does)"}},
		"prepared": {[]blocker{prepared}, []blocker{prepared}, []string{`prepared transaction "two" of app, for 1m0s, with RowExclusiveLock`}},
		"passing":  {[]blocker{next, unseen}, []blocker{{pid: 9, virtual: "5/1"}}, passed},
		"beside":   {[]blocker{unseen, seen}, []blocker{next, seen}, []string{seen.String()}},
		"gone":     {[]blocker{seen}, nil, passed},
	} {
		if got := inWords(staying(test.first, test.second), nil); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
