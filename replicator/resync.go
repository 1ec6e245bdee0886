package replicator

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/state"
)

// Resync has tables copied once more while all others stream, out of quarantine or because something else has written to the
// target: by comparing and repairing where they have a key and were complete once, so that readers never see them empty; by a
// fresh copy otherwise. One that is in quarantine only because the target did not take its rows goes on from where it stood, unless
// all are asked for: then nothing that the stream remembers of the source counts. It returns those that will be; the daemon does
// it, or the next run or catch-up.
func (r *Replicator) Resync(ctx context.Context, names []string, all bool) (done []catalog.Name, err error) {
	for {
		done, err = r.tryResync(ctx, names, all)
		if !errors.Is(err, state.ErrMore) && !errors.Is(err, capture.ErrChanged) {
			return done, err
		}
	}
}

func (r *Replicator) tryResync(ctx context.Context, names []string, all bool) (done []catalog.Name, err error) {
	s, relations, err := r.lookAtMembers(ctx, all)
	if err != nil {
		return nil, err
	}
	defer s.close()
	members := relations
	if !all {
		if members, err = r.members(relations, names); err != nil {
			return nil, err
		}
	}
	members, err = r.resyncable(ctx, s, members, all)
	if err != nil {
		return nil, err
	}
	if all {
		if err := r.keepRefused(ctx, s); err != nil {
			return nil, err
		}
	}
	changes := make([]memberChange, len(members))
	for i, m := range members {
		if changes[i], err = r.resync(ctx, s, m, all); err != nil {
			return nil, err
		}
		done = append(done, m.Name)
	}
	return done, r.intervene(ctx, s.dst, func() error { return r.write(ctx, s, changes, all, len(relations)-len(members)) })
}

// resyncable are those of the members that can be copied once more, all of them or none; only where all are asked for those that are gone
// on the source are left.
func (r *Replicator) resyncable(ctx context.Context, s *sides, members []state.Relation, all bool) (able []state.Relation, err error) {
	var problems []string
	for _, m := range members {
		source := s.source.Tables[m.Name]
		switch {
		case source == nil && all:
			r.log.Warn("a table of the stream is gone on the source, and stays in quarantine", "table", m.Name.String(), "remedy", capture.Gone(m.Name))
			continue
		case source == nil:
			problems = append(problems, fmt.Sprintf("%s: is gone on the source; %s", m.Name, capture.Gone(m.Name)))
			continue
		}
		found, err := r.checkTable(ctx, s, source)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
		able = append(able, m)
	}
	if len(problems) > 0 {
		return nil, &RefusedError{Problems: problems}
	}
	r.warn(s)
	return able, nil
}

// keepRefused sees to it that a source which is refused stays so until all tables are made anew: to capture one anew counts there as
// taking the stream does, and after enough of that it would look like the source that the target follows.
func (r *Replicator) keepRefused(ctx context.Context, s *sides) error {
	stream, err := r.store.Stream(ctx, s.dst)
	if err != nil {
		return err
	}
	problem, err := r.checkHistory(ctx, s, stream.SourceGeneration)
	if err != nil || problem == "" {
		return err
	}
	return r.intervene(ctx, s.dst, func() error { return r.store.SetSourceGeneration(ctx, s.dst, math.MaxInt64, s.position.WAL) })
}

// memberChange writes to the stream's state what is to become of one of its tables, given what is captured by then.
type memberChange func(ctx context.Context, captured []capture.Table) error

// write makes the changes at once. all: of every table but those left, whose number is given.
func (r *Replicator) write(ctx context.Context, s *sides, changes []memberChange, all bool, left int) error {
	return r.store.Within(ctx, s.dst, func(ctx context.Context) error {
		if all {
			if err := r.store.Restart(ctx, s.dst); err != nil {
				return err
			}
		}
		captured, err := r.capture.Tables(ctx, s.src)
		if err != nil {
			return err
		}
		for _, change := range changes {
			if err := change(ctx, captured); err != nil {
				return err
			}
		}
		if all {
			return r.store.Restarted(ctx, s.dst, left)
		}
		return nil
	})
}

// resync makes sure that a table's changes are captured, and returns what is then to be written to the stream's state. afresh: whether or
// not it could go on from where it stands.
func (r *Replicator) resync(ctx context.Context, s *sides, m state.Relation, afresh bool) (memberChange, error) {
	if !afresh {
		if s.resumable(m) {
			return func(ctx context.Context, _ []capture.Table) error { return r.store.Resume(ctx, s.dst, m.Number) }, nil
		}
	}
	number, err := r.captureAnew(ctx, s, m.Name)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, captured []capture.Table) error {
		t, there := capturedAs(captured, number)
		if !there { // another command has captured it anew since
			return capture.ErrChanged
		}
		method, err := r.method(ctx, s, t) // which the daemon may change until the stream is taken
		if err != nil {
			return err
		}
		return r.store.CopyAnew(ctx, s.dst, m.Name, number, method)
	}, nil
}

// resumable says whether a table may go on from its position: nothing is missing in its deltas, and the target's is the one that has the rest.
func (s *sides) resumable(m state.Relation) bool {
	_, there := capturedAs(s.captured, m.Number)
	target := s.target.Tables[m.Name]
	return m.State == state.Quarantined && m.Resumable && there && s.drift[m.Number] == nil && target != nil && target.OID == m.TargetOID
}

// method is how a table of the stream can be copied once more, with the key that is captured.
func (r *Replicator) method(ctx context.Context, s *sides, t capture.Table) (state.Method, error) {
	unbuilt, err := r.loader.Unbuilt(ctx, s.dst, t.Name)
	if err != nil {
		return "", err
	}
	if len(t.Key) == 0 || s.target.Tables[t.Name].UniqueOn(t.Key) == nil || unbuilt {
		return state.Replace, nil
	}
	return state.Repair, nil
}
