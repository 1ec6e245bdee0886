package sequence

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
)

// Pair is a sequence of the source and the one of the target that belongs to it, nil where there is none.
type Pair struct {
	Source, Target *Sequence

	noSchema bool         // the target lacks the schema of the one that is missing
	taken    catalog.Kind // of what has its name there; "" for nothing
}

// Name is the source's.
func (p *Pair) Name() catalog.Name { return p.Source.Name }

// column is one that owns sequences.
type column struct {
	table catalog.Name
	name  string
}

// match finds the target's sequence of each of the source's: of one that a column owns the one that the same column owns, whatever its name,
// for it is what feeds the column there (an identity column's, say); otherwise the one of the same name.
func match(source, target []*Sequence) []*Pair {
	byName := make(map[catalog.Name]*Sequence, len(target))
	owned := func(list []*Sequence) map[column][]*Sequence {
		m := map[column][]*Sequence{}
		for _, s := range list {
			if !s.Free() {
				c := column{s.Owner, s.Column}
				m[c] = append(m[c], s)
			}
		}
		return m
	}
	for _, s := range target {
		byName[s.Name] = s
	}
	sources, targets := owned(source), owned(target)
	pairs := make([]*Pair, len(source))
	for i, s := range source {
		pairs[i] = &Pair{Source: s, Target: byName[s.Name]}
		c := column{s.Owner, s.Column}
		if !s.Free() && len(sources[c]) == 1 && len(targets[c]) == 1 {
			pairs[i].Target = targets[c][0]
		}
	}
	return pairs
}

// ErrLocked is in the problem of a sequence that is locked, which passes by itself.
var ErrLocked = errors.New("is locked")

// Problem says why the sequence cannot be carried over as both sides are, with its remedy; nil if it can.
func (p *Pair) Problem() error {
	if err := p.Source.unreadable(pg.Source); err != nil {
		return err
	}
	if p.Target == nil {
		return p.missing()
	}
	if err := p.Target.unreadable(pg.Target); err != nil {
		return err
	}
	if !p.Target.settable {
		return hint.With(fmt.Errorf("may not be set on the target by role %s", p.Target.role), "on the target: GRANT UPDATE ON SEQUENCE %s TO %s", p.Target.SQL(), pg.Ident(p.Target.role))
	}
	return p.beyond()
}

// unreadable says why a server does not tell where the sequence stands.
func (s *Sequence) unreadable(side pg.Side) error {
	switch {
	case !s.visible:
		return hint.With(fmt.Errorf("is in a schema of the %s that role %s may not use", side, s.role), "on the %s: GRANT USAGE ON SCHEMA %s TO %s", side, pg.Ident(s.Schema), pg.Ident(s.role))
	case !s.readable:
		return hint.With(fmt.Errorf("may not be read on the %s by role %s", side, s.role), "on the %s: GRANT SELECT ON SEQUENCE %s TO %s", side, s.SQL(), pg.Ident(s.role))
	case s.lockedBy != "":
		return hint.With(fmt.Errorf("%w on the %s by %s", ErrLocked, side, s.lockedBy), "end that transaction on the %s; the sequence is set once the lock is gone", side)
	case pg.State(s.failure) == pg.QueryCanceled:
		return hint.With(fmt.Errorf("%w on the %s", ErrLocked, side), "the sequence is set once the lock is gone")
	case s.failure != nil:
		return hint.With(fmt.Errorf("cannot be read on the %s: %w", side, s.failure), "mend the cause on the %s; it is tried again every few seconds", side)
	}
	return nil
}

func (p *Pair) missing() error {
	create := p.Source.create()
	switch {
	case p.noSchema:
		return hint.With(errors.New("is missing on the target, and so is its schema"), "on the target: CREATE SCHEMA %s; %s", pg.Ident(p.Source.Schema), create)
	case p.taken != "":
		return hint.With(fmt.Errorf("is missing on the target, where a %s has its name", kindName(p.taken)), "rename or drop that on the target, then: %s", create)
	}
	return hint.With(errors.New("is missing on the target"), "create it on the target as pg_dump --schema-only of the source has it, or: %s", create)
}

func kindName(kind catalog.Kind) string {
	switch kind {
	case "i", "I":
		return "index"
	case "c":
		return "type"
	case "S":
		return "temporary sequence"
	}
	return kind.String()
}

// beyond says whether the target's sequence cannot take the source's value.
func (p *Pair) beyond() error {
	last := p.Source.Value.Last
	switch {
	case last > p.Target.Max:
		return hint.With(fmt.Errorf("stands at %d on the source, beyond its MAXVALUE %d on the target", last, p.Target.Max), "on the target: %s", p.widen())
	case last < p.Target.Min:
		return hint.With(fmt.Errorf("stands at %d on the source, below its MINVALUE %d on the target", last, p.Target.Min), "on the target: %s", p.widen())
	}
	return nil
}

// widen is the statement that lets the target's sequence take what the source's can.
func (p *Pair) widen() string {
	var clauses []string
	if least, greatest := bounds(p.Target.Type); p.Source.Max > greatest || p.Source.Min < least {
		clauses = append(clauses, "AS "+p.Source.Type)
	}
	if p.Source.Min < p.Target.Min {
		clauses = append(clauses, fmt.Sprintf("MINVALUE %d", p.Source.Min))
	}
	if p.Source.Max > p.Target.Max {
		clauses = append(clauses, fmt.Sprintf("MAXVALUE %d", p.Source.Max))
	}
	return fmt.Sprintf("ALTER SEQUENCE %s %s", p.Target.SQL(), strings.Join(clauses, " "))
}

// Notes say how the target's sequence differs so that an application will notice it after the switch.
func (p *Pair) Notes() (notes []string) {
	source, target := p.Source, p.Target
	if target == nil || source.failure != nil || source.Increment == 0 || target.Increment == 0 {
		return nil
	}
	if source.Name != target.Name {
		notes = append(notes, fmt.Sprintf("is %s on the target, of the same column", target.Name))
	}
	least, greatest := bounds(target.ColumnType)
	if source.Increment > 0 && target.Max < source.Max && target.Max < greatest || source.Increment < 0 && target.Min > source.Min && target.Min > least {
		notes = append(notes, fmt.Sprintf("ends sooner on the target (%s from %d to %d) than on the source (%s from %d to %d); on the target: %s",
			target.Type, target.Min, target.Max, source.Type, source.Min, source.Max, p.widen()))
	}
	if source.Increment != target.Increment {
		notes = append(notes, fmt.Sprintf("counts by %d on the source and by %d on the target; on the target: ALTER SEQUENCE %s INCREMENT %d",
			source.Increment, target.Increment, target.SQL(), source.Increment))
	}
	if source.Cycle != target.Cycle {
		is := map[bool]string{true: "CYCLE", false: "NO CYCLE"}
		notes = append(notes, fmt.Sprintf("is %s on the source and %s on the target; on the target: ALTER SEQUENCE %s %[1]s", is[source.Cycle], is[target.Cycle], target.SQL()))
	}
	return notes
}
