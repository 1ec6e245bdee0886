package replicator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/state"
)

// What is told of a table while a command works on it.
const (
	beingCaptured = "it is being captured anew"
	beingRemoved  = "it is being removed from the stream"
)

// judge says what is wrong with a table of the stream as both sides are now, with what mends it; nil if it follows the source. The daemon, a
// start, catchup, status and verify all ask here, so that it does not matter who looks first. What is to be seen now goes before the reason of
// a quarantine, and the source before the target: what happened there may be why the target does not fit.
func (s *sides) judge(relation state.Relation) error {
	captured, there := capturedAs(s.captured, relation.Number)
	known, drift := recorded(relation), s.drift[relation.Number]
	switch {
	case strings.HasSuffix(relation.Reason, beingCaptured) || strings.HasSuffix(relation.Reason, beingRemoved):
		return known
	case !there && s.source.Tables[relation.Name] == nil:
		return hint.With(errors.New("the table is gone on the source"), "%s", capture.Gone(relation.Name))
	case !there:
		return cmp.Or(known, notCaptured(relation.Name))
	case captured.Name != relation.Name:
		return hint.With(fmt.Errorf("the source captures %s under its number", captured.Name), "pgibex resync %s", relation.Name)
	case drift != nil:
		return drift
	}
	target := s.target.Tables[relation.Name]
	source := captured.Captured(s.source.Tables[relation.Name], generated(target)...)
	return cmp.Or(judgeTarget(relation, source, target), known)
}

// recorded is why a table is in quarantine, nil if it is not.
func recorded(relation state.Relation) error {
	if relation.State != state.Quarantined {
		return nil
	}
	return hint.With(errors.New(relation.Reason), "%s", cmp.Or(relation.Remedy, "mend the cause, then: pgibex resync "+relation.Name.String()))
}

func notCaptured(name catalog.Name) error {
	return hint.With(errors.New("the source no longer captures it"), "pgibex resync %s", name)
}

func goneThere(name catalog.Name) error {
	return hint.With(errors.New("the table is missing on the target: it was dropped or renamed there"),
		"create it on the target, or give it its name back, then: pgibex resync %s", name)
}

// judgeTarget says why a captured table cannot be written to the target as the target is now. A rewrite of the table (VACUUM FULL, CLUSTER,
// TRUNCATE, ALTER TYPE) keeps its OID. One that is not copied yet has no rows to lose.
func judgeTarget(relation state.Relation, source, target *catalog.Table) error {
	if target == nil {
		return goneThere(relation.Name)
	}
	misfit := misfit(relation, source, target)
	if relation.State == state.Captured || relation.TargetOID == 0 || relation.TargetOID == target.OID {
		if misfit == "" {
			return nil
		}
		return hint.With(errors.New(misfit), "when that is mended: pgibex resync %s", relation.Name)
	}
	remedy := "pgibex resync " + relation.Name.String()
	if misfit != "" {
		remedy = misfit + "; then: " + remedy
	}
	return hint.With(errors.New("the table on the target is not the one that it was: that was dropped or renamed, and its name given to this one"), "%s", remedy)
}

// misfit says why the target's table does not take the source's rows; "" if it does.
func misfit(relation state.Relation, source, target *catalog.Table) string {
	if problems, _ := catalog.Fit(source, target); len(problems) > 0 {
		return problems[0]
	}
	switch relation.State {
	case state.Copied, state.Streaming:
		return catalog.Keyless(source, target)
	case state.Captured, state.Copying:
		if relation.Method == state.Repair { // else its indexes may be dropped for the copy
			return catalog.Keyless(source, target)
		}
	case state.Quarantined: // the same
	}
	return ""
}

// reshaped says whether the columns of the target's table are others than those that the statements were made for.
func reshaped(was, is *catalog.Table) bool {
	return !slices.EqualFunc(was.Columns, is.Columns, func(a, b catalog.Column) bool {
		return a.Name == b.Name && a.Type == b.Type && a.Identity == b.Identity && a.Generated == b.Generated
	})
}
