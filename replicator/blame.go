package replicator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
)

// blame finds out what to do about a batch that failed. When one table's data or definition is the cause it is tried in
// a more patient way, and in the end set aside.
func (s *stream) blame(ctx context.Context, err error) error {
	tableErr, rejected := errors.AsType[*apply.TableError](err)
	busy, locked := errors.AsType[*capture.BusyError](err)
	busyThere, lockedThere := errors.AsType[*apply.BusyError](err)
	_, deferred := errors.AsType[*apply.DeferredError](err)
	ended, guilty := s.r.endings.blame(err)
	if guilty {
		tableErr, rejected = &apply.TableError{Table: ended.Table, Err: err}, true
	}
	if ctx.Err() != nil || !rejected && !locked && !lockedThere && !deferred {
		return err
	}
	if s.src.IsClosed() { // lost with the COPY that failed
		src, err := s.r.source.Connect(ctx, "source")
		if err != nil {
			return err
		}
		s.src = src
	}
	switch {
	case locked:
		return s.await(ctx, s.tables[busy.Table], busy)
	case lockedThere:
		return s.standAside(ctx, busyThere)
	case deferred: // the next batch finds out whose it is
		return nil
	}
	if err := s.lookForDrift(ctx); err != nil { // which knows a better reason, if it is one
		return err
	}
	t, there := s.tables[tableErr.Table]
	switch {
	case !there:
		return nil
	case guilty:
		return s.setAside(ctx, t, endsSessions(t.name, err), true)
	case s.writer.Soften(t.number, err):
		s.r.log.Debug("batch failed; trying once more", "table", t.name.String(), "error", err)
		return nil
	}
	_, err = s.relax(ctx, t, err)
	return err
}

// endsSessions is what is told of a table whose code ends our sessions.
func endsSessions(name catalog.Name, err error) error {
	return hint.With(fmt.Errorf("the session that writes to it is ended each time: %w", err), "find out what does this on the target; then: pgibex resync %s", name)
}

// resumable says whether an error leaves a table's deltas worth as much as before.
func resumable(err error) bool {
	_, diverged := errors.AsType[*apply.DivergedError](err)
	switch pg.State(err) {
	case pg.UniqueViolation, pg.ExclusionViolation: // a row that is not the source's may be in the way
		return false
	case pg.InsufficientPrivilege:
	default:
		if class := pg.State(err); strings.HasPrefix(class, "42") || strings.HasPrefix(class, "3F") { // the table, or a column, may be made again without its rows
			return false
		}
	}
	return !diverged && !errors.Is(err, change.ErrReplaced)
}

// setAside quarantines a table that is followed here.
func (s *stream) setAside(ctx context.Context, t *table, why error, resumable bool) error {
	delete(s.tables, t.number)
	delete(s.draining, t.number)
	s.aside[t.number] = true
	return s.r.quarantine(ctx, s.dst, t, t.at(s.position), why, resumable)
}
