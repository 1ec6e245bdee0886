package replicator

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/snapshot"
)

// foreignKeys makes those that were dropped for the copy, when the target's tables show one state of the source. Each is
// added unchecked, between two batches, and then checked on the side.
func (s *stream) foreignKeys(ctx context.Context) error {
	definitions, err := s.r.loader.Definitions(ctx, s.dst, 0)
	if err == nil {
		definitions, err = s.r.addConstraints(ctx, s.dst, definitions)
	}
	if pg.State(err) == pg.LockNotAvailable {
		s.r.log.Warn("a foreign key waits for a lock on the target; will try again", "error", err)
		return nil
	}
	if err == nil && len(definitions) > 0 {
		s.validating.Store(true)
		s.drains.Go(func() error {
			defer s.validating.Store(false)
			return s.r.validate(ctx, definitions)
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
	added, err := s.r.addConstraints(ctx, s.dst, append(definitions, checks...))
	if err != nil {
		return err
	}
	return s.r.validate(ctx, added)
}

// addConstraints adds those that are not there, unchecked, and returns those to be checked.
func (r *Replicator) addConstraints(ctx context.Context, dst *pg.Conn, definitions []snapshot.Definition) (added []snapshot.Definition, err error) {
	for _, d := range definitions {
		err := r.loader.AddConstraint(ctx, dst, d)
		if pg.Rejected(err) { // the table it refers to may be in quarantine, without its primary key
			err = r.failConstraint(ctx, dst, d, err)
		} else if err == nil {
			added = append(added, d)
		}
		if err != nil {
			return nil, err
		}
	}
	return added, nil
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
	if d.Kind != "foreign key" {
		when = "by pgibex catchup"
	}
	r.log.Warn("a "+d.Kind+" of the target can not be built, or stays NOT VALID; it is tried again "+when, "error", cause)
	return r.loader.Fail(ctx, dst, d, cause)
}

// relax puts off the checks of a table that may have rejected rows which the source has, and says whether the rows are to be tried
// again. Otherwise why is the error, with what is known about its cause.
func (r *Replicator) relax(ctx context.Context, src, dst *pg.Conn, t *table, cause error) (again bool, why, err error) {
	if t.load.Target == nil || pg.State(cause) == "" {
		return false, cause, nil
	}
	names, err := r.loader.Relax(ctx, src, dst, t.load, cause)
	if pg.State(err) == pg.LockNotAvailable && ctx.Err() == nil {
		r.log.Warn("checks of a table of the target are to be put off, and wait for its lock; will try again", "table", t.name.String(), "error", err)
		return true, nil, nil
	}
	if err != nil && !pg.Rejected(err) {
		return false, nil, err
	}
	if len(names) > 0 {
		r.log.Warn("rows of the source break checks of the target, which are put off; pgibex catchup adds them", "table", t.name.String(), "checks", names, "error", cause)
		return true, nil, nil
	}
	why, err = r.blameDomain(ctx, dst, t, cause)
	return false, why, err
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
