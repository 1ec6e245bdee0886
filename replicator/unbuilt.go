package replicator

import (
	"context"
	"strings"

	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/snapshot"
)

// unbuilt are the constraints and indexes that the target should have, and that could not be built or do not hold, with what mends each.
// status and catchup both take them from here.
func (r *Replicator) unbuilt(ctx context.Context, dst *pg.Conn) (problems []Problem, err error) {
	failed, err := r.loader.Failed(ctx, dst)
	if err != nil {
		return nil, err
	}
	for _, d := range failed {
		remedy, err := r.remedyFor(ctx, dst, d)
		if err != nil {
			return nil, err
		}
		problems = append(problems, Problem{failedKind(d), d.TableSQL, d.Failure, remedy})
	}
	return problems, nil
}

func failedKind(d snapshot.Definition) ProblemKind {
	switch d.Kind {
	case snapshot.Check:
		return CheckFailed
	case snapshot.ForeignKey:
		return ForeignKeyFailed
	}
	return IndexFailed
}

func (r *Replicator) remedyFor(ctx context.Context, dst *pg.Conn, d snapshot.Definition) (string, error) {
	again := "pgibex catchup, when no daemon runs"
	if d.Kind == snapshot.Index {
		again = strings.Join(d.Statements, "; ")
	}
	grant, err := r.loader.OwnerToGrant(ctx, dst, d)
	if err != nil {
		return "", err
	}
	if grant != "" {
		return "on the target: " + grant + ", then: " + again, nil
	}
	return "mend the cause, then: " + again, nil
}
