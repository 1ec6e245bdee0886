package replicator

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/snapshot"
)

const (
	// loopPatience is how long a lock on a table of the target is waited for where all tables wait meanwhile.
	loopPatience = 200 * time.Millisecond
	// lonePatience is how long, where nobody does.
	lonePatience = 5 * time.Second
)

// foreignKeys makes those that were dropped for the copy, when the target's tables show one state of the source. Each is
// added unchecked, between two batches, and then checked on the side.
func (s *stream) foreignKeys(ctx context.Context) error {
	definitions, err := s.r.loader.Definitions(ctx, s.dst, 0)
	if err != nil {
		return err
	}
	added, locked, err := s.r.addConstraints(ctx, s.dst, definitions, loopPatience)
	if locked != nil {
		s.r.log.Warn("a foreign key waits for a lock on the target; will try again", "error", locked)
	}
	if err == nil && len(added) > 0 {
		s.validating.Store(true)
		s.drains.Go(func() error {
			defer s.validating.Store(false)
			return s.r.validate(ctx, added)
		})
	}
	return err
}

// constraints makes, when nothing more is to be written, the foreign keys that are missing and the checks that were put off.
func (s *stream) constraints(ctx context.Context) error {
	definitions, err := s.r.loader.Definitions(ctx, s.dst, 0)
	if err != nil {
		return err
	}
	checks, err := s.r.loader.Checks(ctx, s.dst, 0)
	if err != nil {
		return err
	}
	added, locked, err := s.r.addConstraints(ctx, s.dst, append(definitions, checks...), lonePatience)
	if err == nil {
		err = locked
	}
	if err != nil {
		return err
	}
	return s.r.validate(ctx, added)
}

// addConstraints adds those that are not there, unchecked, and returns those to be checked, and why the last that met a lock was not added.
func (r *Replicator) addConstraints(ctx context.Context, dst *pg.Conn, definitions []snapshot.Definition, wait time.Duration) (added []snapshot.Definition, locked, err error) {
	for _, d := range definitions {
		err := r.loader.AddConstraint(ctx, dst, d, wait)
		switch {
		case err == nil:
			added = append(added, d)
		case pg.State(err) == pg.LockNotAvailable && pg.Conflict(err) && ctx.Err() == nil:
			if locked = err; wait == loopPatience {
				wait /= 10 // the others have waited for long enough
			}
		case pg.Rejected(err): // the table it refers to may be in quarantine, without its primary key
			if err := r.failConstraint(ctx, dst, d, err); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, err
		}
	}
	return added, locked, nil
}

// validate checks constraints. One that does not hold is said, and stays as it is: rows that the source has are not
// refused on the target.
func (r *Replicator) validate(ctx context.Context, definitions []snapshot.Definition) error {
	if len(definitions) == 0 {
		return nil
	}
	dst, err := r.target.Connect(ctx, "validate")
	if err != nil {
		return err
	}
	defer dst.CloseNow()
	for _, d := range definitions {
		err := r.loader.ValidateConstraint(ctx, dst, d)
		if pg.Rejected(err) && ctx.Err() == nil {
			err = r.failConstraint(ctx, dst, d, err)
		}
		if err != nil {
			return err
		}
	}
	r.log.Info("constraints built", "count", len(definitions))
	return nil
}

// failConstraint notes and says that a constraint can not be built.
func (r *Replicator) failConstraint(ctx context.Context, dst *pg.Conn, d snapshot.Definition, cause error) error {
	when := "at the next start"
	if d.Kind != snapshot.ForeignKey {
		when = "by pgibex catchup"
	}
	r.log.Warn("a "+d.Kind+" of the target can not be built, or stays NOT VALID; it is tried again "+when, "error", cause)
	return r.loader.Fail(ctx, dst, d, cause)
}

// relaxation is what became of the checks of a table that has rejected a row.
type relaxation int

const (
	kept    relaxation = iota // the row is at fault
	relaxed                   // some are put off, and the rows are to be tried again
	inUse                     // others are at work on the table, which has to be altered for it
)

// relax puts off the checks of a table that may have rejected rows which the source has. If it has kept them, why is the error with what is
// known about its cause.
func (r *Replicator) relax(ctx context.Context, src, dst *pg.Conn, t *table, cause error, wait time.Duration) (is relaxation, why, err error) {
	if t.load.Target == nil || pg.State(cause) == "" {
		return kept, cause, nil
	}
	names, err := r.loader.Relax(ctx, src, dst, t.load, cause, wait)
	if pg.State(err) == pg.LockNotAvailable && pg.Conflict(err) && ctx.Err() == nil {
		return inUse, err, nil
	}
	if err != nil && !pg.Rejected(err) {
		return kept, nil, err
	}
	if len(names) > 0 {
		r.log.Warn("rows of the source break checks of the target, which are put off; pgibex catchup adds them", "table", t.name.String(), "checks", names, "error", cause)
		return relaxed, nil, nil
	}
	why, err = r.blameDomain(ctx, dst, t, cause)
	return kept, why, err
}

// relax does so in the loop that all tables wait for, and sets the table aside if its checks are kept. One that others are at work on waits
// until they are done.
func (s *stream) relax(ctx context.Context, t *table, cause error) (again bool, err error) {
	is, why, err := s.r.relax(ctx, s.src, s.dst, t, cause, loopPatience)
	switch {
	case err != nil:
		return false, err
	case is == kept:
		return false, s.setAside(ctx, t, why, resumable(why))
	case is == inUse:
		if err := s.part(ctx, t); err != nil {
			return false, err
		}
		if err := s.r.store.SetWaiting(ctx, s.dst, t.number, "its checks are to be put off, for which nobody else may use it for a moment"); err != nil {
			return false, err
		}
		s.retry(ctx, t, why, true)
	}
	return is == relaxed, nil
}

// blameDomain adds the remedy to an error that comes of the CHECK of a domain, if one calls a function: it may be asked in another session
// and in another order than on the source, and cannot be put off for one table.
func (r *Replicator) blameDomain(ctx context.Context, dst *pg.Conn, t *table, cause error) (error, error) {
	pgErr, ok := errors.AsType[*pgconn.PgError](cause)
	if !ok || (pgErr.DataTypeName == "" || pgErr.Code != pg.CheckViolation) && !strings.Contains(pgErr.Where, "function") {
		return cause, nil
	}
	calls, err := r.loader.DomainChecks(ctx, dst, t.load)
	if err != nil || len(calls) == 0 {
		return cause, err
	}
	return hint.With(cause, "%s: if that goes by search_path, ALTER FUNCTION … SET search_path = … on the target; if it reads other tables, "+
		"CREATE OR REPLACE FUNCTION there with one that returns true, until the application is switched over; then: pgibex resync %s", strings.Join(calls, ", "), t.name), nil
}
