package replicator

import (
	"context"
	"errors"
	"strings"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// drained is a table that comes back to the batches: its backlog was applied, or could not be, or it was merely locked for a while, or
// one of too many.
type drained struct {
	table   *table
	to      change.Position
	applied bool
	reason  error // to be quarantined for
}

// part gives the table a position of its own and takes it out of the batches, until it is sent to s.drained.
func (s *stream) part(ctx context.Context, t *table) error {
	own := t.at(s.position)
	if t.position.IsZero() {
		if err := s.r.store.SetPosition(ctx, s.dst, t.number, own); err != nil {
			return err
		}
	}
	t.position = own
	delete(s.tables, t.number)
	s.draining[t.number] = t
	return nil
}

// await takes a table that somebody has locked out of the batches until it can be read.
func (s *stream) await(ctx context.Context, t *table, why error) error {
	if err := s.part(ctx, t); err != nil {
		return err
	}
	s.drains.Go(func() error {
		src, err := s.r.source.Connect(ctx, "await")
		if err != nil {
			return err
		}
		defer src.CloseNow()
		by, err := s.r.capture.LockedBy(ctx, src, t.log)
		if err != nil {
			return err
		}
		s.r.log.Info("a table can not be read on the source; the others go on without it meanwhile", "table", t.name.String(), "reason", why, "by", strings.Join(by, "; "))
		err = s.r.capture.AwaitTable(ctx, src, t.log)
		if err != nil && (!pg.Rejected(err) && !errors.Is(err, change.ErrReplaced) || ctx.Err() != nil) {
			return err
		}
		s.drained <- drained{table: t, to: t.position, reason: err}
		return nil
	})
	return nil
}

// drain applies the backlog of a table that has parted from the stream, once it is not locked.
func (s *stream) drain(ctx context.Context, t *table, locked bool) error {
	// What is drained must become sealed, or the same backlog is long again: there may be many tables, each with a small segment.
	if size := t.log.ActiveSize(); size >= switchSize || size > 0 && !t.log.Unsealed() {
		if err := s.r.capture.Switch(ctx, s.src, t.log); err != nil {
			return err
		}
	}
	t.drains, t.backlog = true, t.log.Unread()
	s.drainingBytes += t.backlog
	if !locked {
		s.r.log.Info("long backlog; applying it in pieces", "table", t.name.String(), "bytes", t.log.Pending())
	}
	s.drains.Go(func() error {
		if locked {
			if err := s.r.locks.standBy(ctx, t, false); err != nil {
				return err
			}
		}
		held := &slot{slots: s.slots}
		if _, err := held.take(ctx, nil); err != nil {
			return err
		}
		d := &drain{r: s.r, table: t, slots: s.slots}
		err := d.run(ctx, held)
		if _, guilty := s.r.endings.blame(err); guilty && ctx.Err() == nil {
			err = &apply.TableError{Table: t.number, Err: endsSessions(t.name, err)}
		}
		var tableErr *apply.TableError
		if err != nil && (!errors.As(err, &tableErr) || ctx.Err() != nil) {
			return err
		}
		s.drained <- drained{table: t, to: d.to, applied: err == nil, reason: err}
		return nil
	})
	return nil
}

// drainsUnderWay says whether the target lacks rows of a table that it had before, or has those of different moments.
func (s *stream) drainsUnderWay() bool {
	for _, t := range s.draining {
		if t.drains {
			return true
		}
	}
	return false
}

// rejoin takes a drained table back.
func (s *stream) rejoin(ctx context.Context, d drained) error {
	delete(s.draining, d.table.number)
	s.drainingBytes -= d.table.backlog
	d.table.drains, d.table.backlog = false, 0
	if d.reason != nil {
		s.tables[d.table.number] = d.table
		if err := s.lookForDrift(ctx); err != nil || s.aside[d.table.number] { // which knows a better reason
			return err
		}
		if again, err := s.relax(ctx, d.table, d.reason); err != nil || !again {
			return err
		}
		d.to = d.table.position
	}
	if d.applied {
		s.join(d.table)
	}
	d.table.position = d.to // only here: the stream looks at it meanwhile
	s.upkeep.applied = true
	s.tables[d.table.number] = d.table
	s.last = change.Snapshot{}
	return nil
}
