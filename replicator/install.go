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
)

// Install makes the capture of all tables that the configuration includes, or of those that lack it, and returns how many it
// made. Nothing is copied.
func (r *Replicator) Install(ctx context.Context) (made int, err error) {
	s, err := r.look(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
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
	var b strings.Builder
	if _, err := r.capture.ID(ctx, s.src); errors.Is(err, capture.ErrMissing) {
		b.WriteString("-- once\n" + r.capture.PlanStream())
	}
	number := 0
	for _, t := range s.captured {
		number = max(number, t.Number)
	}
	for _, t := range s.missing() {
		number++
		fmt.Fprintf(&b, "\n-- %s, in one transaction\n%s", t.Name, r.capture.Plan(number, t))
	}
	_, err = io.WriteString(w, b.String())
	return err
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

// Uninstall removes everything of the stream from both sides.
func (r *Replicator) Uninstall(ctx context.Context) error {
	lead, err := r.lead(ctx, false)
	if errors.Is(err, errCarried) {
		return fmt.Errorf("a daemon carries stream %s; stop it first, then uninstall", r.config.Stream)
	}
	if err != nil {
		return err
	}
	defer lead.release()
	src, err := r.source.Connect(ctx, "source")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	tables, err := r.capture.Tables(ctx, src)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := r.capture.Uninstall(ctx, src, t, r.locker()); err != nil {
			return err
		}
		r.log.Info("capture removed", "table", t.Name.String())
	}
	if err := r.capture.UninstallStream(ctx, src); err != nil {
		return err
	}
	return r.uninstallTarget(ctx, lead)
}

// uninstallTarget builds what is still missing of the target's indexes before their definitions go.
func (r *Replicator) uninstallTarget(ctx context.Context, lead *leadership) error {
	there, err := r.store.Installed(ctx, lead.conn)
	if err != nil || !there {
		return err
	}
	if err := r.store.Take(ctx, lead.conn); err != nil {
		return err
	}
	relations, err := r.store.Relations(ctx, lead.conn)
	if err != nil {
		return err
	}
	for _, relation := range relations {
		definitions, err := r.loader.Definitions(ctx, lead.conn, relation.Number)
		if err != nil {
			return err
		}
		for _, d := range definitions {
			if err := r.loader.Build(ctx, lead.conn, d); err != nil {
				return fmt.Errorf("%w; its definition is kept in the stream's state on the target: mend the rows and run pgibex uninstall again", err)
			}
		}
	}
	if err := r.loader.ForgetFailures(ctx, lead.conn); err != nil {
		return err
	}
	foreignKeys, err := r.loader.Definitions(ctx, lead.conn, 0)
	if err != nil {
		return err
	}
	for _, d := range foreignKeys {
		if err := r.loader.AddForeignKey(ctx, lead.conn, d); err != nil {
			return err
		}
		if err := r.loader.ValidateForeignKey(ctx, lead.conn, d); err != nil {
			r.log.Warn("a foreign key of the target stays NOT VALID", "error", err)
		}
	}
	return r.store.Uninstall(ctx, lead.conn)
}
