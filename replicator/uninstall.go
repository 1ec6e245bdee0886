package replicator

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

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
	if err := r.migrate(ctx, lead.conn); err != nil {
		return err
	}
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
		if err := r.capture.Uninstall(ctx, src, t, r.locker()); err != nil && !errors.Is(err, capture.ErrChanged) {
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
	if err := r.buildAll(ctx, lead.conn, relations); err != nil {
		return err
	}
	return r.store.Uninstall(ctx, lead.conn)
}

// buildAll builds what was dropped for the copies of these tables and is still missing.
func (r *Replicator) buildAll(ctx context.Context, dst *pg.Conn, relations []state.Relation) error {
	numbers := map[int]bool{}
	for _, relation := range relations {
		numbers[relation.Number] = true
		definitions, err := r.loader.Definitions(ctx, dst, relation.Number)
		if err != nil {
			return err
		}
		for _, d := range definitions {
			if err := r.loader.Build(ctx, dst, d); err != nil {
				return fmt.Errorf("%w; its definition is kept in the stream's state on the target: mend the rows and try again", err)
			}
		}
	}
	if err := r.loader.ForgetFailures(ctx, dst); err != nil {
		return err
	}
	foreignKeys, err := r.loader.Definitions(ctx, dst, 0)
	if err != nil {
		return err
	}
	for _, d := range foreignKeys {
		if !numbers[d.Number] {
			continue
		}
		if err := r.loader.AddForeignKey(ctx, dst, d); err != nil {
			return err
		}
		if err := r.loader.ValidateForeignKey(ctx, dst, d); err != nil {
			r.log.Warn("a foreign key of the target stays NOT VALID", "error", err)
		}
	}
	return nil
}
