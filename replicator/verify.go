package replicator

import (
	"context"
	"slices"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/verify"
)

// Verify compares the tables of the stream and its sequences, or the tables named and theirs. A table that does not follow the source is not compared, nor is one that
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
		pair, why, remedy := s.pair(relation)
		if why != "" {
			skipped = append(skipped, verify.Result{Table: relation.Name, Name: relation.Name.String(), Skipped: why, Remedy: remedy})
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
				skipped = append(skipped, verify.Result{Name: o.name, Skipped: o.reason, Remedy: o.remedy})
			} else {
				r.log.Warn(o.String())
			}
		}
	}
	verifier := verify.New(r.source, r.target, r.store, verify.Options{Waiting: func(side pg.Side, relation, by string) {
		r.log.Warn("waiting for a table that is locked on the "+string(side), "table", relation, "by", by)
	}})
	results, err := verifier.Tables(ctx, pairs)
	if err != nil {
		return nil, err
	}
	results = append(results, skipped...)
	if err := r.notePutOff(ctx, s.dst, pairs, results); err != nil {
		return nil, err
	}
	sequences, err := r.verifySequences(ctx, s, verifier, relations, only)
	return append(results, sequences...), err
}

// notePutOff notes, with each table, the checks of the target that are put off.
func (r *Replicator) notePutOff(ctx context.Context, dst *pg.Conn, pairs []verify.Pair, results []verify.Result) error {
	numbers := map[catalog.Name]int{}
	for _, pair := range pairs {
		numbers[pair.Source.Name] = pair.Number
	}
	checks, err := r.loader.Checks(ctx, dst, 0)
	for _, d := range checks {
		for i, result := range results {
			if !result.Sequence && numbers[result.Table] == d.Number {
				results[i].Notes = append(result.Notes, d.PutOff())
			}
		}
	}
	return err
}

// verifySequences compares the sequences of the stream, or those of the tables named.
func (r *Replicator) verifySequences(ctx context.Context, s *sides, v *verify.Verifier, relations []state.Relation, only []string) ([]verify.Result, error) {
	carried, err := r.carried(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	wanted := r.wanted(carriedBy(relations))
	if len(only) > 0 {
		wanted = r.wantedBy(func(name catalog.Name) bool { return slices.Contains(only, name.String()) })
	}
	return v.Sequences(ctx, s.src, s.dst, wanted, carried)
}

func (s *sides) pair(relation state.Relation) (pair verify.Pair, why, remedy string) {
	trouble := s.judge(relation)
	switch {
	case trouble != nil && relation.State == state.Quarantined:
		return pair, "in quarantine: " + trouble.Error(), hint.Of(trouble)
	case trouble != nil:
		return pair, trouble.Error(), hint.Of(trouble)
	case relation.State != state.Streaming && relation.State != state.Copied:
		return pair, "not copied yet", ""
	}
	captured, _ := capturedAs(s.captured, relation.Number)
	source, target := s.source.Tables[relation.Name], s.target.Tables[relation.Name]
	return verify.Pair{Number: relation.Number, Source: captured.Captured(source), Target: target}, "", ""
}
