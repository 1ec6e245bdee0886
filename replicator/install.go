package replicator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/internal/visible"
)

// Install makes the capture of all tables that the configuration includes, or of those that lack it, and returns how many it
// made. Nothing is copied.
func (r *Replicator) Install(ctx context.Context) (made int, err error) {
	s, err := r.look(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := r.warnOfSequences(ctx, s); err != nil {
		return 0, err
	}
	before := len(s.captured)
	if _, err := r.installCapture(ctx, s); err != nil {
		return 0, err
	}
	return len(s.captured) - before, nil
}

// PlanInstall writes the SQL that Install would run.
func (r *Replicator) PlanInstall(ctx context.Context, w io.Writer) error {
	s, err := r.look(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := r.warnOfSequences(ctx, s); err != nil {
		return err
	}
	var b strings.Builder
	for _, warning := range s.warnings {
		b.WriteString("-- " + visible.Line(warning) + "\n")
	}
	switch _, err := r.capture.ID(ctx, s.src); {
	case errors.Is(err, capture.ErrMissing):
		b.WriteString("-- once\n" + r.capture.PlanStream())
	case err != nil:
		return err
	}
	number := 0
	for _, t := range s.captured {
		number = max(number, t.Number)
	}
	for _, t := range s.missing() {
		number++
		fmt.Fprintf(&b, "\n-- %s, in one transaction\n%s", visible.Line(t.Name.String()), r.capture.Plan(number, t))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// take makes this process the only one that may write, on either side, and looks at the stream's state once more: a commit of
// whoever carried the stream before may have been in flight when it was read first.
func (r *Replicator) take(ctx context.Context, s *sides) error {
	if err := r.store.Take(ctx, s.dst); err != nil {
		return err
	}
	if problems, err := r.checkState(ctx, s); err != nil || len(problems) > 0 {
		return refuse(problems, err)
	}
	if err := r.store.NoteTargets(ctx, s.dst); err != nil {
		return err
	}
	if s.promoted {
		if err := r.store.Distrust(ctx, s.dst); err != nil {
			return err
		}
	}
	if err := r.capture.Take(ctx, s.src); err != nil {
		return err
	}
	now, err := r.capture.Now(ctx, s.src)
	if err != nil {
		return err
	}
	return r.store.SetSourceGeneration(ctx, s.dst, r.capture.Generation(), now.WAL)
}

// install makes the capture of the selected tables that lack it, takes the stream, and lets the target know of every table
// that is captured.
//
// A stream that exists does not wait for the lock on a table that has come since, unless it is to: those are returned, to be
// captured beside it.
func (r *Replicator) install(ctx context.Context, s *sides, wait bool) (late []*catalog.Table, err error) {
	if s.begun && !wait {
		late = s.missing()
		s.selected = slices.DeleteFunc(s.selected, func(t *catalog.Table) bool { return slices.Contains(late, t) })
	}
	return late, r.installNow(ctx, s)
}

func (r *Replicator) installNow(ctx context.Context, s *sides) error {
	id, err := r.installCapture(ctx, s)
	if err != nil {
		return err
	}
	if !s.begun {
		if err := r.store.Install(ctx, s.dst, id); err != nil {
			return err
		}
		s.begun = true
	}
	if err := r.take(ctx, s); err != nil {
		return err
	}
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return err
	}
	for _, t := range s.captured {
		// One by that name, but another number, was captured anew and is to be copied once more: whoever did so says it in a moment.
		if slices.ContainsFunc(relations, func(known state.Relation) bool { return known.Number == t.Number || known.Name == t.Name }) {
			continue
		}
		// Captured once, but not configured any more, or left out because it does not fit: it is not ours to copy.
		i := slices.IndexFunc(s.selected, func(selected *catalog.Table) bool { return selected.Name == t.Name })
		if i < 0 {
			continue
		}
		if err := r.store.Add(ctx, s.dst, t.Number, t.Name, s.selected[i].Rows); err != nil {
			return err
		}
	}
	return nil
}

// installLate captures tables that have come since the stream began, while it goes on, and then has it begin anew with them.
func (r *Replicator) installLate(ctx context.Context, late []*catalog.Table) error {
	if len(late) == 0 {
		return nil
	}
	src, err := r.source.Connect(ctx, "install")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	for _, t := range late {
		if _, err := r.capture.Install(ctx, src, t, r.locker()); err != nil {
			return err
		}
		r.log.Info("capture installed", "table", t.Name.String())
	}
	return fmt.Errorf("%w: %d have come", errAnew, len(late))
}

// missing are the selected tables whose changes are not captured.
func (s *sides) missing() []*catalog.Table {
	return slices.DeleteFunc(slices.Clone(s.selected), func(t *catalog.Table) bool {
		return slices.ContainsFunc(s.captured, func(c capture.Table) bool { return c.Name == t.Name })
	})
}

func (r *Replicator) installCapture(ctx context.Context, s *sides) (id string, err error) {
	id, err = r.capture.ID(ctx, s.src)
	if errors.Is(err, capture.ErrMissing) {
		id, err = r.capture.InstallStream(ctx, s.src)
	}
	if err != nil {
		return "", err
	}
	for _, t := range s.missing() {
		if _, err := r.capture.Install(ctx, s.src, t, r.locker()); err != nil {
			return "", err
		}
		r.log.Info("capture installed", "table", t.Name.String())
	}
	s.captured, err = r.capture.Tables(ctx, s.src)
	return id, err
}

// locker waits for locks on the users' tables as the configuration allows, and names who stands in the way.
func (r *Replicator) locker() capture.Locker {
	return capture.Locker{Wait: r.config.Capture.LockWait, Blocked: func(table catalog.Name, by []string) {
		r.log.Warn("waiting for a lock on a table of the source; will try again", "table", table.String(), "held_by", strings.Join(by, "; "))
	}}
}
