package replicator

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/state"
)

// moved says why a table of the target does not have the stream's rows: it is missing, or another has taken its name.
func moved(relation state.Relation) error {
	switch {
	case relation.State == state.Captured: // it has none yet
		return nil
	case relation.TargetNow == 0:
		return goneThere(relation.Name)
	case relation.TargetOID != 0 && relation.TargetOID != relation.TargetNow:
		return replacedThere(relation.Name)
	}
	return nil
}

func goneThere(name catalog.Name) error {
	return hint.With(errors.New("the table is missing on the target: it was dropped or renamed there"),
		"create it on the target, or give it its name back, then: pgibex resync %s", name)
}

func replacedThere(name catalog.Name) error {
	return hint.With(errors.New("the table on the target is not the one that it was: that was dropped or renamed, and its name given to this one"),
		"pgibex resync %s", name)
}

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
			why = replacedThere(t.name)
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
