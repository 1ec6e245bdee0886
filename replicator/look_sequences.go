package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/sequence"
)

// checkSequences says which of the wanted sequences cannot be carried over. One that is locked just now, or differs in a way that matters
// only after the switch, is no reason to refuse anything.
func (s *sides) checkSequences(ctx context.Context, wanted func(*sequence.Sequence) bool) (problems []string, err error) {
	pairs, err := sequence.Look(ctx, s.src, s.dst, wanted)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if why := p.Problem(); why != nil && !errors.Is(why, sequence.ErrLocked) {
			problems = append(problems, unsetSequence{p.Name(), why}.String())
			continue
		}
		for _, note := range p.Notes() {
			s.warnings = append(s.warnings, fmt.Sprintf("%s: sequence %s", p.Name(), note))
		}
	}
	return problems, nil
}

// among says of a name whether it is that of one of the tables.
func among(tables []*catalog.Table) func(catalog.Name) bool {
	return func(name catalog.Name) bool {
		return slices.ContainsFunc(tables, func(t *catalog.Table) bool { return t.Name == name })
	}
}

// warnOfSequences names those that a stream which exists does not carry, and does not stop for.
func (r *Replicator) warnOfSequences(ctx context.Context, s *sides) error {
	if !s.begun {
		return nil // they were a reason to refuse it
	}
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return err
	}
	unset, err := r.unsetSequences(ctx, s.src, s.dst, relations)
	for _, sequence := range unset {
		r.log.Warn("not set on the target: " + sequence.String())
	}
	return err
}
