package verify

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// candidate is a key whose rows differed when they were compared: it may merely be on its way.
type candidate struct {
	key     []string // the text of each column; the hash of an image
	since   time.Time
	strikes int // how often in a row it was seen to differ with the source standing still
}

// settleAt is how many candidates are gathered before they are looked at again.
const settleAt = 10_000

// decisive is the number of strikes that make a difference: with one, a row that was changed and changed back
// between the two looks at the source would count.
const decisive = 2

// pause lies between looks at keys that keep changing.
const pause = 250 * time.Millisecond

// suspect adds candidates, and settles them when there are many.
func (j *job) suspect(ctx context.Context, keys ...[]string) error {
	for _, key := range keys {
		j.pending = append(j.pending, candidate{key: key})
	}
	for len(j.pending) >= settleAt {
		if err := j.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settleAll looks at the candidates until each is known to be equal, to differ, or to change too fast.
func (j *job) settleAll(ctx context.Context) error {
	for len(j.pending) > 0 {
		if err := j.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle looks once at every candidate: at the source, at the target when it has all that was seen on the source, and at the
// source again. What the target shows was on the source at some time between the two looks, or it is wrong.
func (j *job) settle(ctx context.Context) error {
	before, at, err := lookup(ctx, j.source, j.table.source, j.pending)
	if err != nil {
		return err
	}
	asItIs, err := j.follow.wait(ctx, j.table.Pair.Number, at)
	if err != nil {
		return err
	}
	if asItIs != "" {
		j.table.result.note(asItIs)
	}
	there, _, err := lookup(ctx, j.target, j.table.target, j.pending)
	if err != nil {
		return err
	}
	after, _, err := lookup(ctx, j.source, j.table.source, j.pending)
	if err != nil {
		return err
	}
	looked := j.pending
	j.pending = nil
	var unsettled int64
	var differ []verdict
	moving := false
	for i, c := range looked {
		switch c.look(before[i], there[i], after[i], j.options.Settle) {
		case equal:
		case differs:
			differ = append(differ, verdict{c, after[i], there[i]})
		case restless:
			unsettled++
		case again:
			j.pending = append(j.pending, c)
			moving = moving || c.strikes == 0
		}
	}
	j.table.result.unsettled(unsettled)
	if err := j.judge(ctx, differ); err != nil || !moving {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// outcome is what a look at a candidate has shown.
type outcome int

const (
	equal    outcome = iota
	differs          // often enough
	restless         // still changing when time was up
	again            // to be looked at once more
)

// look judges by the states of the row on the source, on the target after that, and on the source after that.
func (c *candidate) look(before, there, after string, settle time.Duration) outcome {
	if c.since.IsZero() {
		c.since = time.Now()
	}
	switch {
	case there == before || there == after:
		return equal
	case before != after:
		c.strikes = 0
		if time.Since(c.since) > settle {
			return restless
		}
		return again
	}
	c.strikes++
	if c.strikes >= decisive {
		return differs
	}
	return again
}

// verdict is a candidate that was found to differ.
type verdict struct {
	candidate
	source, target string // its state there
}

func (v verdict) kind() Kind {
	switch {
	case v.target == absent:
		return Missing
	case v.source == absent:
		return Unexpected
	}
	return Different
}

// judge counts the differences and names the first of them.
func (j *job) judge(ctx context.Context, verdicts []verdict) error {
	var toName []verdict
	var enough error
	for _, v := range verdicts {
		name, err := j.table.result.differs(j.rows(v))
		if name {
			toName = append(toName, v)
		}
		if err != nil {
			enough = err
			break
		}
	}
	differences, err := j.name(ctx, toName)
	if err != nil {
		return err
	}
	j.table.result.named(differences)
	return enough
}

// rows is how many rows a verdict is about: the state of an image is the number of rows that have it.
func (j *job) rows(v verdict) int64 {
	if len(j.table.source.key) > 0 {
		return 1
	}
	return max(surplus(v), -surplus(v))
}

// surplus is how many more rows of an image the source has.
func surplus(v verdict) int64 {
	source, _ := strconv.ParseInt(v.source, 10, 64) // 0 of absent
	target, _ := strconv.ParseInt(v.target, 10, 64)
	return source - target
}

// describe puts a key as the server's own messages do.
func (s *side) describe(key []string) string {
	names := make([]string, len(s.key))
	for i, c := range s.key {
		names[i] = c.Name
	}
	return fmt.Sprintf("(%s)=(%s)", strings.Join(names, ", "), strings.Join(key, ", "))
}
