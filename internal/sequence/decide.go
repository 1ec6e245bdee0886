package sequence

// Memory is what the stream remembers of a sequence. Values are nil where it does not.
type Memory struct {
	Source  *Value // where the source stood when the target was last set to it, or left as it stood
	Setting *Value // what the target was about to be set to: whether it was is not known after a crash
	Reason  string // why it is not set
	Remedy  string
}

// Verdict is what is to become of the target's sequence.
type Verdict string

// The verdicts.
const (
	Equal Verdict = "equal" // it stands where the source's does
	Set   Verdict = "set"   // it is to be set to where the source's stands
	Ahead Verdict = "ahead" // something else has moved it beyond the source's: it is left as it stands
)

// Decide says what is to become of the target's sequence. Where it stands as the stream, or the restored schema, has left it, it follows
// the source wherever that goes. Otherwise something else draws from it, an application after the switch: then it is set back only if
// the source itself went back since it was last read, for every value that it has returned may be in a row.
func (p *Pair) Decide(m Memory) Verdict {
	source, target := p.Source.Value, p.Target.Value
	switch {
	case target == source:
		return Equal
	case ours(target, m), target == Value{Last: p.Target.Start}:
		return Set
	case m.Source != nil && source.behind(*m.Source, p.Source.Increment):
		return Set
	case p.Source.Cycle && m.Source != nil && source == *m.Source: // which of the two is ahead cannot be told
		return Ahead
	case target.behind(source, p.Source.Increment):
		return Set
	}
	return Ahead
}

func ours(target Value, m Memory) bool {
	return m.Source != nil && target == *m.Source || m.Setting != nil && target == *m.Setting
}

// Reached says whether the target stands where it should, given where the source stood a while ago: there or beyond, or where the stream
// has set it since.
func (p *Pair) Reached(then Value, m Memory) bool {
	return ours(p.Target.Value, m) || !p.Target.Value.behind(then, p.Source.Increment)
}
