package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/sequence"
)

// Sequences compares the wanted sequences of both sides. The stream sets them every few seconds, so those that stand elsewhere on the
// target are looked at again once it has carried over what the source showed; carried says whether a process does so. One that is ahead
// of the source, because something on the target draws from it, does not differ: a note says so.
func (v *Verifier) Sequences(ctx context.Context, src, dst *pg.Conn, wanted func(*sequence.Sequence) bool, carried bool) ([]Result, error) {
	pairs, memories, err := v.lookAtSequences(ctx, src, dst, wanted)
	if err != nil {
		return nil, err
	}
	then := make(map[catalog.Name]sequence.Value, len(pairs)) // where the source stood at first
	behind := func(p *sequence.Pair) bool {
		value, known := then[p.Name()]
		reached := known && p.Reached(value, memories[p.Name()])
		return p.Problem() == nil && !reached && p.Decide(memories[p.Name()]) == sequence.Set || errors.Is(p.Problem(), sequence.ErrLocked)
	}
	asItIs := "no process carries the stream; the target was taken as it is"
	// The source may set one back while both sides are read: then once more.
	for round := 0; carried && round < 3 && slices.ContainsFunc(pairs, behind); round++ {
		for _, p := range pairs {
			if p.Problem() == nil {
				then[p.Name()] = p.Source.Value
			}
		}
		if asItIs, err = v.waitForSequences(ctx, src, dst); err != nil {
			return nil, err
		}
		if pairs, memories, err = v.lookAtSequences(ctx, src, dst, wanted); err != nil {
			return nil, err
		}
		if asItIs != "" {
			clear(then) // the stream had no time to set what it should
			break
		}
	}
	results := make([]Result, len(pairs))
	for i, p := range pairs {
		results[i] = sequenceResult(p, memories[p.Name()])
		if results[i].Skipped == "" && behind(p) {
			results[i].Total = 1
			results[i].Differences = []Difference{{Key: fmt.Sprintf("%s on the source, %s on the target", p.Source.Value, p.Target.Value), Kind: Different, Rows: 1}}
			if asItIs != "" {
				results[i].Notes = append(results[i].Notes, asItIs)
			}
			if reason := memories[p.Name()].Reason; reason != "" {
				results[i].Notes = append(results[i].Notes, "the stream has not set it: "+reason)
			}
		}
	}
	return results, nil
}

// lookAtSequences reads both sides, and then what the stream remembers: what it has set is noted after it was set.
func (v *Verifier) lookAtSequences(ctx context.Context, src, dst *pg.Conn, wanted func(*sequence.Sequence) bool) ([]*sequence.Pair, map[catalog.Name]sequence.Memory, error) {
	pairs, err := sequence.Look(ctx, src, dst, wanted)
	if err != nil {
		return nil, nil, err
	}
	memories, err := v.store.Sequences(ctx, dst)
	return pairs, memories, err
}

// waitForSequences waits until the stream has carried over what the source shows now, unless it does not come to that: asItIs says so.
func (v *Verifier) waitForSequences(ctx context.Context, src, dst *pg.Conn) (asItIs string, err error) {
	var now time.Time
	if err := src.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()").Scan(&now); err != nil {
		return "", err
	}
	for deadline := time.Now().Add(v.grace); ; {
		stream, err := v.store.Stream(ctx, dst)
		switch {
		case err != nil:
			return "", fmt.Errorf("read when sequences were last set: %w", err)
		case !stream.SequencesAt.Before(now):
			return "", nil
		case time.Now().After(deadline):
			return fmt.Sprintf("the stream did not look at sequences for %s; the target was taken as it is", v.grace), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// sequenceResult is what is to be said of a sequence that does not differ, or was not compared.
func sequenceResult(p *sequence.Pair, m sequence.Memory) Result {
	r := Result{Table: p.Name(), Name: p.Name().String(), Sequence: true, Notes: p.Notes()}
	if why := p.Problem(); why != nil {
		r.Skipped, r.Remedy = why.Error(), hint.Of(why)
	} else if p.Decide(m) == sequence.Ahead {
		r.Notes = append(r.Notes, fmt.Sprintf("something else has moved it on the target: %s on the source, %s on the target", p.Source.Value, p.Target.Value))
	}
	return r
}
