package verify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLooks(t *testing.T) {
	type look struct{ before, there, after string }
	for _, test := range []struct {
		name   string
		looks  []look
		settle time.Duration
		want   []outcome
	}{
		{"the target had it at the first look", []look{{"a", "a", "b"}}, time.Minute, []outcome{equal}},
		{"the target is as new as the second look", []look{{"a", "b", "b"}}, time.Minute, []outcome{equal}},
		{"gone on both", []look{{"a", absent, absent}}, time.Minute, []outcome{equal}},
		{"different twice", []look{{"a", "b", "a"}, {"a", "b", "a"}}, time.Minute, []outcome{again, differs}},
		{"missing twice", []look{{"a", absent, "a"}, {"a", absent, "a"}}, time.Minute, []outcome{again, differs}},
		{"changed and changed back between the looks", []look{{"a", "b", "a"}, {"a", "a", "a"}}, time.Minute, []outcome{again, equal}},
		{"a change clears what was seen", []look{{"a", "b", "a"}, {"c", "b", "d"}, {"d", "b", "d"}, {"d", "b", "d"}}, time.Minute, []outcome{again, again, again, differs}},
		{"restless when time is up", []look{{"a", "b", "c"}}, -1, []outcome{restless}},
		{"standing still when time is up", []look{{"a", "b", "a"}, {"a", "b", "a"}}, -1, []outcome{again, differs}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c candidate
			for i, l := range test.looks {
				require.Equal(t, test.want[i], c.look(l.before, l.there, l.after, test.settle))
			}
		})
	}
}
