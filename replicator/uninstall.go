package replicator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/snapshot"
)

// leaving is how long a daemon that was killed may seem to be there still: its session ends when the server notices.
const leaving = 3 * time.Second

// Uninstall removes everything of the stream from both sides. Unless it is forced to, it does not remove a stream that still has to bring
// something to the target.
func (r *Replicator) Uninstall(ctx context.Context, force bool) error {
	lead, err := r.lead(ctx, false)
	for deadline := time.Now().Add(leaving); errors.Is(err, errCarried) && time.Now().Before(deadline); lead, err = r.lead(ctx, false) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leaving / 10):
		}
	}
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
	if !force {
		if err := r.nothingToLose(ctx); err != nil {
			return err
		}
	}
	src, err := r.source.Connect(ctx, "source")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	for {
		err := r.uninstallSource(ctx, src)
		if err == nil {
			break
		}
		if !errors.Is(err, capture.ErrChanged) && (pg.State(err) != pg.QueryCanceled || ctx.Err() != nil) {
			return err
		}
		r.log.Info("removing the stream's objects from the source once more: a table was added, or a session reads them", "reason", err)
	}
	return r.uninstallTarget(ctx, lead)
}

// nothingToLose makes sure that the target has all that the stream was to bring it. Without the capture on the source nothing more would
// come, and nothing more can be lost.
func (r *Replicator) nothingToLose(ctx context.Context) error {
	src, err := r.source.Connect(ctx, "source")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	switch _, err := r.capture.ID(ctx, src); {
	case errors.Is(err, capture.ErrMissing):
		return nil
	case err != nil:
		return err
	}
	status, err := r.Status(ctx)
	if err != nil {
		return err
	}
	if lost := losses(status); len(lost) > 0 {
		return hint.With(&listError{"the target does not have everything, and this would be lost", lost}, "pgibex catchup brings it over; pgibex uninstall --force throws it away")
	}
	return nil
}

func (r *Replicator) uninstallSource(ctx context.Context, src *pg.Conn) error {
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
	return r.capture.UninstallStream(ctx, src)
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
		if err := r.buildAside(ctx, lead.conn, relation.Number); err != nil {
			return err
		}
	}
	if err := r.buildForeignKeys(ctx, lead.conn); err != nil {
		return err
	}
	if err := r.buildChecks(ctx, lead.conn, 0); err != nil {
		return err
	}
	return r.store.Uninstall(ctx, lead.conn)
}

const definitionKept = "its definition is kept in the stream's state on the target (table definition): mend the cause and try again"

// buildAside builds what was dropped for the copy of a table, which is not written to any more, and is still missing.
func (r *Replicator) buildAside(ctx context.Context, dst *pg.Conn, number int) error {
	definitions, err := r.loader.Definitions(ctx, dst, number)
	if err != nil {
		return err
	}
	for _, d := range definitions {
		if err := r.built(ctx, dst, d, r.loader.BuildAside(ctx, dst, d)); err != nil {
			return err
		}
	}
	return nil
}

// built looks at what came of building. What belongs to a table that has gone from the target is forgotten.
func (r *Replicator) built(ctx context.Context, dst *pg.Conn, d snapshot.Definition, err error) error {
	switch {
	case err == nil:
		return nil
	case pg.State(err) == pg.UndefinedTable || pg.State(err) == pg.UndefinedSchema: // or what a constraint refers to
		there, lookErr := r.loader.HasTable(ctx, dst, d)
		if lookErr != nil {
			return lookErr
		}
		if !there || d.Kind == "foreign key" { // it may be the table referred to
			r.log.Warn("not built: a table of the target has gone", "error", err)
			return r.loader.Forget(ctx, dst, d)
		}
	case d.Failure != "" && d.Dispensable(err): // as has been said since
		r.log.Warn("an index of the target cannot be built; build it if it is needed", "error", err, "statements", strings.Join(d.Statements, "; "))
		return r.loader.Forget(ctx, dst, d)
	}
	return fmt.Errorf("%w; %s", err, definitionKept)
}

// buildForeignKeys builds those that are still missing.
func (r *Replicator) buildForeignKeys(ctx context.Context, dst *pg.Conn) error {
	if err := r.loader.ForgetFailures(ctx, dst); err != nil {
		return err
	}
	definitions, err := r.loader.Definitions(ctx, dst, 0)
	if err != nil {
		return err
	}
	return r.buildConstraints(ctx, dst, definitions)
}

// buildChecks builds those that were put off, of one table or (number 0) of all.
func (r *Replicator) buildChecks(ctx context.Context, dst *pg.Conn, number int) error {
	checks, err := r.loader.Checks(ctx, dst, number)
	if err != nil {
		return err
	}
	return r.buildConstraints(ctx, dst, checks)
}

func (r *Replicator) buildConstraints(ctx context.Context, dst *pg.Conn, definitions []snapshot.Definition) error {
	for _, d := range definitions {
		err := r.loader.AddConstraint(ctx, dst, d, lonePatience)
		if err := r.built(ctx, dst, d, err); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		err = r.loader.ValidateConstraint(ctx, dst, d)
		switch {
		case pg.Rejected(err):
			r.log.Warn("a "+d.Kind+" of the target does not hold and stays NOT VALID", "error", err)
			err = r.loader.Fail(ctx, dst, d, err)
		case err != nil:
			err = fmt.Errorf("%w; %s", err, definitionKept)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
