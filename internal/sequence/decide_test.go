package sequence

import "testing"

func at(last int64) *Value { return &Value{last, true} }

// fresh is where a sequence of START 1 stands that was never called.
var fresh = &Value{1, false}

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source, target *Value
		known, setting *Value
		increment      int64
		cycle          bool
		want           Verdict
	}{
		"the same":                                          {source: at(5), target: at(5), want: Equal},
		"the same, and the target was elsewhere":            {source: at(5), target: at(5), known: at(3), want: Equal},
		"first met: a restored schema":                      {source: at(900), target: fresh, want: Set},
		"first met: a restored schema, set below its start": {source: at(-5), target: fresh, want: Set},
		"first met: the target is behind":                   {source: at(900), target: at(800), want: Set},
		"first met: the target is ahead":                    {source: at(900), target: at(901), want: Ahead},
		"the source moved":                                  {source: at(7), target: at(5), known: at(5), want: Set},
		"called for the first time":                         {source: at(1), target: fresh, known: fresh, want: Set},
		"restarted":                                         {source: fresh, target: at(5), known: at(5), want: Set},
		"set lower":                                         {source: at(2), target: at(5), known: at(5), want: Set},
		"not moved; something on the target draws from it":  {source: at(5), target: at(9), known: at(5), want: Ahead},
		"moved, but not as far as the target":               {source: at(8), target: at(9), known: at(5), want: Ahead},
		"moved beyond the target":                           {source: at(10), target: at(9), known: at(5), want: Set},
		"went back while the target was moved on":           {source: at(2), target: at(9), known: at(5), want: Set},
		"not moved; the target was set back":                {source: at(5), target: at(3), known: at(5), want: Set},
		"not moved; the target was made again":              {source: at(5), target: fresh, known: at(5), want: Set},
		"a crash before it was set":                         {source: at(7), target: at(5), known: at(5), setting: at(7), want: Set},
		"a crash after it was set, and then set lower":      {source: at(6), target: at(7), known: at(5), setting: at(7), want: Set},
		"a crash after it was set, as the source stands":    {source: at(7), target: at(7), known: at(5), setting: at(7), want: Equal},
		"a crash at the first setting, and then set lower":  {source: at(6), target: at(7), setting: at(7), want: Set},
		"a crash, and then the target was moved on":         {source: at(7), target: at(8), known: at(5), setting: at(7), want: Ahead},

		"downward, moved":                                  {source: at(-10), target: at(-5), known: at(-5), increment: -5, want: Set},
		"downward, not moved; the target draws":            {source: at(-5), target: at(-10), known: at(-5), increment: -5, want: Ahead},
		"downward, went back up while the target moved on": {source: at(0), target: at(-10), known: at(-5), increment: -5, want: Set},
		"downward, first met behind":                       {source: at(-10), target: at(-5), increment: -5, want: Set},

		"a cycle went round":                               {source: at(1), target: at(5), known: at(5), cycle: true, want: Set},
		"a cycle stands; the target has moved on":          {source: at(3), target: at(4), known: at(3), cycle: true, want: Ahead},
		"a cycle stands; the target went round":            {source: at(3), target: at(2), known: at(3), cycle: true, want: Ahead},
		"a cycle stands; the target's was made again":      {source: at(3), target: fresh, known: at(3), cycle: true, want: Set},
		"a cycle went round beside a target that moved on": {source: at(2), target: at(4), known: at(3), cycle: true, want: Set},
	} {
		if test.increment == 0 {
			test.increment = 1
		}
		p := &Pair{
			Source: &Sequence{Value: *test.source, Properties: Properties{Increment: test.increment, Cycle: test.cycle}},
			Target: &Sequence{Value: *test.target, Properties: Properties{Increment: test.increment, Start: 1}},
		}
		if got := p.Decide(Memory{Source: test.known, Setting: test.setting}); got != test.want {
			t.Errorf("%s: %s, expected %s", name, got, test.want)
		}
	}
}

func TestReached(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		then, target   *Value
		known, setting *Value
		want           bool
	}{
		"there":                                  {at(5), at(5), at(5), nil, true},
		"beyond":                                 {at(5), at(7), at(7), nil, true},
		"behind":                                 {at(5), at(4), at(5), nil, false},
		"behind, for the source went back since": {at(5), at(2), at(2), nil, true},
		"being set back":                         {at(5), at(2), at(5), at(2), true},
	} {
		p := &Pair{Source: &Sequence{Properties: Properties{Increment: 1}}, Target: &Sequence{Value: *test.target}}
		if got := p.Reached(*test.then, Memory{Source: test.known, Setting: test.setting}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
