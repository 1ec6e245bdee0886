package replicator

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
)

// lookForDriftThere sets tables aside that are no more on the target, or that another has taken the name of. Of the table that could not be
// written to (0: none) it also looks whether rows still fit. source is the source's catalog as it is.
func (s *stream) lookForDriftThere(ctx context.Context, source *catalog.Catalog, failed int) error {
	target, err := catalog.Load(ctx, s.dst)
	if err != nil {
		return err
	}
	now := &sides{source: source, target: target}
	for _, t := range s.tables {
		var why error
		switch there := target.Tables[t.name]; {
		case there == nil:
			why = goneThere(t.name)
		case t.load.Target != nil && there.OID != t.load.Target.OID:
			why = hint.With(errors.New("the table on the target is not the one that it was: that was dropped or renamed, and its name given to this one"),
				"pgibex resync %s", t.name)
		case t.number == failed:
			why = now.misfit(t.captured, t.state, t.method)
		}
		if why == nil {
			continue
		}
		if err := s.setAside(ctx, t, why, false); err != nil {
			return fmt.Errorf("set %s aside: %w", t.name, err)
		}
	}
	return nil
}
