package replicator

import (
	"context"
	"slices"

	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/verify"
)

// Verify compares the tables of the stream, or those named. A table that does not follow the source is not compared, nor is one that
// the configuration includes and the stream does not carry; its result says why.
func (r *Replicator) Verify(ctx context.Context, only []string) ([]verify.Result, error) {
	s := &sides{}
	defer s.close()
	if err := r.connect(ctx, s); err != nil {
		return nil, err
	}
	if err := s.load(ctx, r.capture); err != nil {
		return nil, err
	}
	if _, err := r.store.Stream(ctx, s.dst); err != nil {
		return nil, err
	}
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	if _, err := r.members(relations, only); err != nil {
		return nil, err
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
	if len(only) == 0 {
		omitted, err := r.omitted(ctx, s.src, s.source, carriedBy(relations))
		if err != nil {
			return nil, err
		}
		for _, o := range omitted {
			if o.rows {
				skipped = append(skipped, verify.Result{Name: o.name, Skipped: o.reason + "; " + o.remedy})
			} else {
				r.log.Warn(o.String())
			}
		}
	}
	results, err := verify.New(r.source, r.target, r.store, verify.Options{}).Tables(ctx, pairs)
	if err != nil {
		return nil, err
	}
	results = append(results, skipped...)
	checks, err := r.loader.Checks(ctx, s.dst, 0)
	for _, d := range checks {
		for i, result := range results {
			if result.Table.SQL() == d.TableSQL {
				results[i].Notes = append(result.Notes, d.PutOff())
			}
		}
	}
	return results, err
}

func (s *sides) pair(relation state.Relation) (pair verify.Pair, why string) {
	captured, there := capturedAs(s.captured, relation.Number)
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
	case !there:
		return pair, "not captured"
	}
	return verify.Pair{Number: relation.Number, Source: captured.Captured(source, generated(target)...), Target: target}, ""
}
