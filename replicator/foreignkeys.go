package replicator

import (
	"context"

	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/snapshot"
)

// foreignKeys makes those that were dropped for the copy, when the target's tables show one state of the source. Each is
// added unchecked, between two batches, and then checked on the side.
func (s *stream) foreignKeys(ctx context.Context) error {
	definitions, err := s.addForeignKeys(ctx)
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

// addForeignKeys adds those that are not there, unchecked, and returns those to be checked.
func (s *stream) addForeignKeys(ctx context.Context) (added []snapshot.Definition, err error) {
	definitions, err := s.r.loader.Definitions(ctx, s.dst, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range definitions {
		err := s.r.loader.AddForeignKey(ctx, s.dst, d)
		if pg.Rejected(err) { // the table it refers to may be in quarantine, without its primary key
			err = s.r.failForeignKey(ctx, s.dst, d, err)
		} else if err == nil {
			added = append(added, d)
		}
		if err != nil {
			return nil, err
		}
	}
	return added, nil
}

// validate checks foreign keys. One that does not hold is said, and stays as it is: rows that the source has are not
// refused on the target.
func (r *Replicator) validate(ctx context.Context, definitions []snapshot.Definition) error {
	dst, err := r.target.Connect(ctx, "validate")
	if err != nil {
		return err
	}
	defer dst.CloseNow()
	for _, d := range definitions {
		err := r.loader.ValidateForeignKey(ctx, dst, d)
		if pg.Rejected(err) && ctx.Err() == nil {
			err = r.failForeignKey(ctx, dst, d, err)
		}
		if err != nil {
			return err
		}
	}
	if len(definitions) > 0 {
		r.log.Info("foreign keys built", "count", len(definitions))
	}
	return nil
}

// failForeignKey notes and says that a foreign key can not be built.
func (r *Replicator) failForeignKey(ctx context.Context, dst *pg.Conn, d snapshot.Definition, cause error) error {
	r.log.Warn("a foreign key of the target can not be built, or stays NOT VALID; it is tried again at the next start", "error", cause)
	return r.loader.Fail(ctx, dst, d, cause)
}
