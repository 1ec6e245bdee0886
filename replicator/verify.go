package replicator

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/verify"
)

// Verify compares the tables of the stream, or those named. A table that does not follow the source is not compared, and its
// result says why.
func (r *Replicator) Verify(ctx context.Context, only []string) ([]verify.Result, error) {
	src, err := r.source.Connect(ctx, "verify")
	if err != nil {
		return nil, err
	}
	defer src.CloseNow()
	dst, err := r.target.Connect(ctx, "verify")
	if err != nil {
		return nil, err
	}
	defer dst.CloseNow()
	s := &sides{src: src, dst: dst}
	if s.source, err = catalog.Load(ctx, src); err != nil {
		return nil, err
	}
	if s.target, err = catalog.Load(ctx, dst); err != nil {
		return nil, err
	}
	if s.captured, err = r.capture.Tables(ctx, src); err != nil {
		return nil, err
	}
	if _, err := r.store.Stream(ctx, dst); err != nil {
		return nil, err
	}
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return nil, err
	}
	for _, name := range only {
		if !slices.ContainsFunc(relations, func(known state.Relation) bool { return known.Name.String() == name }) {
			return nil, &RefusedError{Config: true, Problems: []string{fmt.Sprintf("%s is no table of stream %s; pgibex status lists them", name, r.config.Stream)}}
		}
	}
	var pairs []verify.Pair
	var skipped []verify.Result
	for _, relation := range relations {
		if len(only) > 0 && !slices.Contains(only, relation.Name.String()) {
			continue
		}
		pair, why := s.pair(relation)
		if why != "" {
			skipped = append(skipped, verify.Result{Table: relation.Name, Name: relation.Name.String(), Skipped: why})
			continue
		}
		pairs = append(pairs, pair)
	}
	results, err := verify.New(r.source, r.target, r.store, verify.Options{}).Tables(ctx, pairs)
	return append(results, skipped...), err
}

func (s *sides) pair(relation state.Relation) (pair verify.Pair, why string) {
	i := slices.IndexFunc(s.captured, func(c capture.Table) bool { return c.Number == relation.Number })
	source, target := s.source.Tables[relation.Name], s.target.Tables[relation.Name]
	switch {
	case relation.State == state.Quarantined:
		return pair, "in quarantine: " + relation.Reason
	case relation.State != state.Streaming && relation.State != state.Copied:
		return pair, "not copied yet"
	case source == nil:
		return pair, "missing on the source"
	case target == nil:
		return pair, "missing on the target"
	case i < 0:
		return pair, "not captured"
	}
	return verify.Pair{Number: relation.Number, Source: s.captured[i].Captured(source, generated(target)...), Target: target}, ""
}
