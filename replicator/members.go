package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// The commands here change which tables a stream carries, or have one copied once more, whether or not a daemon runs. What
// they do on the source they do themselves; on the target they take the stream for short transactions. The daemon notices
// within a second, and begins anew with the tables as they are then.

// intervene takes the stream for a change of its state. A daemon that begins anew may take it back before: then once more.
func (r *Replicator) intervene(ctx context.Context, dst *pg.Conn, change func() error) error {
	for {
		if err := r.store.Take(ctx, dst); err != nil {
			return err
		}
		if err := change(); !errors.Is(err, state.ErrFenced) {
			return err
		}
	}
}

// lookAtMembers is a look for a stream that exists, together with the tables it carries. anew: nothing that the stream remembers of the
// source counts.
func (r *Replicator) lookAtMembers(ctx context.Context, anew bool) (*sides, []state.Relation, error) {
	s := &sides{}
	relations, err := r.lookAtMembersOf(ctx, s, anew)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, relations, nil
}

func (r *Replicator) lookAtMembersOf(ctx context.Context, s *sides, anew bool) (relations []state.Relation, err error) {
	if err := r.connect(ctx, s); err != nil {
		return nil, err
	}
	stream, err := r.store.Stream(ctx, s.dst)
	if errors.Is(err, state.ErrMissing) {
		return nil, &RefusedError{Problems: []string{fmt.Sprintf("stream %s does not exist yet; pgibex run takes in all tables that the configuration includes", r.config.Stream)}}
	}
	if err != nil {
		return nil, err
	}
	s.position, s.begun = stream.Position, true
	problem, err := r.checkSource(ctx, s, stream)
	if err == nil && problem == "" && !anew {
		problem, err = r.checkHistory(ctx, s, stream.SourceGeneration)
	}
	if err != nil {
		return nil, err
	}
	if problem != "" {
		return nil, &RefusedError{Problems: []string{problem}}
	}
	if err := s.load(ctx, r.capture); err != nil {
		return nil, err
	}
	return r.store.Relations(ctx, s.dst)
}

// members finds the relations of these names.
func (r *Replicator) members(relations []state.Relation, names []string) (members []state.Relation, err error) {
	var problems []string
	for _, name := range names {
		i := slices.IndexFunc(relations, func(known state.Relation) bool { return known.Name.String() == name })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s is no table of stream %s; pgibex status lists them", name, r.config.Stream))
			continue
		}
		members = append(members, relations[i])
	}
	if len(problems) > 0 {
		return nil, &RefusedError{Config: true, Problems: problems}
	}
	return members, nil
}

// Add takes tables in that have come since the stream began, without waiting for its next start.
func (r *Replicator) Add(ctx context.Context, names []string) error {
	s, relations, err := r.lookAtMembers(ctx, false)
	if err != nil {
		return err
	}
	defer s.close()
	var add []*catalog.Table
	var problems []string
	for _, name := range names {
		t := s.source.Find(name)
		switch {
		case t == nil:
			problems = append(problems, fmt.Sprintf("%s: the source has no such table; write schema.table", name))
			continue
		case slices.ContainsFunc(relations, func(known state.Relation) bool { return known.Name == t.Name }):
			problems = append(problems, fmt.Sprintf("%s: the stream carries it already", name))
			continue
		case t.Kind != catalog.Ordinary:
			problems = append(problems, fmt.Sprintf("%s: is a %s and can not be replicated", name, t.Kind))
			continue
		case !r.config.Tables.Selects(t.Schema, t.Relation):
			problems = append(problems, fmt.Sprintf("%s: the configuration does not include it; write it into tables.include, or out of tables.exclude, first", name))
			continue
		}
		found, err := r.checkTable(ctx, s, t)
		if err == nil && len(found) == 0 {
			found, err = r.checkFresh(ctx, s, t)
		}
		if err != nil {
			return err
		}
		problems = append(problems, found...)
		add = append(add, t)
	}
	found, err := s.checkSequences(ctx, r.wantedBy(among(add)))
	if err != nil {
		return err
	}
	if problems = append(problems, found...); len(problems) > 0 {
		return &RefusedError{Problems: problems}
	}
	r.warn(s)
	for _, t := range add {
		number, err := r.captureAnew(ctx, s, t.Name)
		if err != nil {
			return err
		}
		err = r.intervene(ctx, s.dst, func() error {
			captured, err := r.capture.Tables(ctx, s.src)
			if _, there := capturedAs(captured, number); err == nil && !there { // another command has captured it anew since
				err = capture.ErrChanged
			}
			if err != nil {
				return fmt.Errorf("add %s: %w", t.Name, err)
			}
			return r.store.Add(ctx, s.dst, number, t.Name, t.Rows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// captureAnew makes sure that a table's changes are captured as it is now, and returns its number. The stream must not look at
// what is about to go: the table is set aside before. Another command, or the daemon, may do the same at the same time.
func (r *Replicator) captureAnew(ctx context.Context, s *sides, name catalog.Name) (number int, err error) {
	for {
		number, err = r.tryCaptureAnew(ctx, s, name)
		if !errors.Is(err, capture.ErrChanged) {
			return number, err
		}
		if _, err := r.capture.ID(ctx, s.src); err != nil { // uninstalled
			return 0, err
		}
		if err := s.load(ctx, r.capture); err != nil {
			return 0, err
		}
	}
}

func (r *Replicator) tryCaptureAnew(ctx context.Context, s *sides, name catalog.Name) (number int, err error) {
	t := s.source.Tables[name]
	if t == nil {
		return 0, &RefusedError{Problems: []string{fmt.Sprintf("%s: is gone on the source", name)}}
	}
	i := slices.IndexFunc(s.captured, func(c capture.Table) bool { return c.Name == name })
	if i < 0 {
		return r.capture.Install(ctx, s.src, t, r.locker())
	}
	captured := s.captured[i]
	drift := s.drift[captured.Number]
	if drift == nil {
		return captured.Number, nil
	}
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return 0, err
	}
	for _, m := range relations {
		if m.Name != name || m.State == state.Quarantined {
			continue
		}
		err := r.intervene(ctx, s.dst, func() error {
			return r.store.Quarantine(ctx, s.dst, m.Number, hint.With(fmt.Errorf("%w; %s", drift, beingCaptured), "pgibex resync %s, if that was broken off", name), false, s.position)
		})
		if err != nil {
			return 0, err
		}
	}
	if err := r.capture.Uninstall(ctx, s.src, captured, r.locker()); err != nil {
		return 0, err
	}
	return r.capture.Install(ctx, s.src, t, r.locker())
}

// capturedAs is the table that is captured under a number.
func capturedAs(captured []capture.Table, number int) (t capture.Table, there bool) {
	i := slices.IndexFunc(captured, func(c capture.Table) bool { return c.Number == number })
	if i < 0 {
		return t, false
	}
	return captured[i], true
}

// Remove takes tables out of the stream that the configuration does not include any more, and leaves nothing of ours on them. Their rows on
// the target stay.
func (r *Replicator) Remove(ctx context.Context, names []string) error {
	s, relations, err := r.lookAtMembers(ctx, false)
	if err != nil {
		return err
	}
	defer s.close()
	var problems []string
	for _, name := range names {
		known := slices.ContainsFunc(relations, func(known state.Relation) bool { return known.Name.String() == name }) ||
			slices.ContainsFunc(s.captured, func(c capture.Table) bool { return c.Name.String() == name })
		t := s.source.Find(name)
		switch {
		case !known:
			problems = append(problems, fmt.Sprintf("%s is no table of stream %s; pgibex status lists them", name, r.config.Stream))
		case t != nil && r.config.Tables.Selects(t.Schema, t.Relation):
			problems = append(problems, fmt.Sprintf("%s: the configuration includes it, and the stream would take it in again; write it into tables.exclude first", name))
		}
	}
	if len(problems) > 0 {
		return &RefusedError{Config: true, Problems: problems}
	}
	for _, name := range names {
		if err := r.remove(ctx, s, relations, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replicator) remove(ctx context.Context, s *sides, relations []state.Relation, name string) error {
	for _, m := range relations {
		if m.Name.String() != name {
			continue
		}
		err := r.intervene(ctx, s.dst, func() error {
			return r.store.Quarantine(ctx, s.dst, m.Number, hint.With(errors.New(beingRemoved), "pgibex remove %s, if that was broken off", m.Name), false, s.position)
		})
		if err == nil {
			err = r.buildAside(ctx, s.dst, m.Number) // which may take hours, while the others stream
		}
		if err == nil {
			err = r.buildChecks(ctx, s.dst, m.Number)
		}
		if err == nil {
			err = r.intervene(ctx, s.dst, func() error { return r.store.Remove(ctx, s.dst, m.Number) })
		}
		if err != nil {
			return err
		}
	}
	for _, c := range s.captured {
		if c.Name.String() == name {
			if err := r.capture.Uninstall(ctx, s.src, c, r.locker()); err != nil && !errors.Is(err, capture.ErrChanged) {
				return err
			}
		}
	}
	return nil
}
