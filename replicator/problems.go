package replicator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// Problem is why the target does not, or will not, have all that the source has: one table or other object, and what mends it.
type Problem struct {
	Kind   ProblemKind `json:"kind"`
	Table  string      `json:"table"` // or what else is concerned
	Reason string      `json:"reason"`
	Remedy string      `json:"remedy,omitempty"`
}

// ProblemKind is what the problems are counted by.
type ProblemKind string

// The kinds of problems, in the order in which they are counted.
const (
	TableQuarantined ProblemKind = "quarantined"
	TableChanged     ProblemKind = "changed" // on either side, and not yet in quarantine
	TableNotCarried  ProblemKind = "not carried"
	SequenceNotSet   ProblemKind = "not set"
	CheckFailed      ProblemKind = "check failed"
	ForeignKeyFailed ProblemKind = "foreign key failed"
	IndexFailed      ProblemKind = "index failed"
)

// counted says how many there are of each kind.
func counted(problems []Problem, tables int) string {
	var counts []string
	for _, kind := range []struct {
		kind ProblemKind
		text func(n int) string
	}{
		{TableQuarantined, func(n int) string { return fmt.Sprintf("%d of %d tables quarantined", n, tables) }},
		{TableChanged, func(n int) string { return fmt.Sprintf("%d changed", n) }},
		{TableNotCarried, func(n int) string { return fmt.Sprintf("%d not carried", n) }},
		{SequenceNotSet, func(n int) string { return english.Plural(n, "sequence", "") + " not set" }},
		{CheckFailed, func(n int) string { return english.Plural(n, "check", "") + " failed" }},
		{ForeignKeyFailed, func(n int) string {
			if n == 1 {
				return "1 foreign key failed"
			}
			return fmt.Sprintf("%d foreign keys failed", n)
		}},
		{IndexFailed, func(n int) string { return english.Plural(n, "index", "indexes") + " failed" }},
	} {
		n := 0
		for _, p := range problems {
			if p.Kind == kind.kind {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, kind.text(n))
		}
	}
	return strings.Join(counts, ", ")
}

// problems fills in what is wrong with the stream's tables, and what it does not carry.
func (r *Replicator) problems(ctx context.Context, src, dst *pg.Conn, relations []state.Relation, status *Status) error {
	now := &sides{src: src, dst: dst}
	if err := now.read(ctx, r.capture); err != nil {
		return err
	}
	for _, relation := range relations {
		why := now.judge(relation)
		if why == nil {
			continue
		}
		kind := TableChanged
		if relation.State == state.Quarantined {
			kind = TableQuarantined
		}
		if i := slices.IndexFunc(status.Tables, func(t TableStatus) bool { return t.Number == relation.Number }); i >= 0 {
			status.Tables[i].Reason, status.Tables[i].Remedy = why.Error(), hint.Of(why)
		}
		status.Problems = append(status.Problems, Problem{kind, relation.Name.String(), why.Error(), hint.Of(why)})
	}
	warnings, err := firing(ctx, dst, now.target, carriedBy(relations))
	if err != nil {
		return err
	}
	status.Warnings = append(status.Warnings, warnings...)
	omitted, err := r.omitted(ctx, src, now.source, carriedBy(relations))
	if err != nil {
		return err
	}
	for _, o := range omitted {
		if o.rows {
			status.Problems = append(status.Problems, Problem{TableNotCarried, o.name, o.reason, o.remedy})
		} else {
			status.Warnings = append(status.Warnings, o.String())
		}
	}
	for _, s := range status.Sequences {
		status.Problems = append(status.Problems, Problem{SequenceNotSet, s.Sequence, s.Reason, s.Remedy})
	}
	unbuilt, err := r.unbuilt(ctx, dst)
	for _, p := range unbuilt {
		if p.Kind == ForeignKeyFailed {
			status.ForeignKeys = append(status.ForeignKeys, p.Reason)
		}
	}
	status.Problems = append(status.Problems, unbuilt...)
	return err
}

// losses says what would be lost if the stream were removed now: tables that the target does not have whole, and changes that only the
// source has. A stream whose capture is gone has nothing to lose any more.
func losses(status *Status) []string {
	var lost []string
	for _, t := range status.Tables {
		pending := fmt.Sprintf("%d changes pending", t.PendingRows)
		switch {
		case t.State == state.Captured || t.State == state.Copying:
			lost = append(lost, fmt.Sprintf("%s: not copied (%d of %d rows), %s", t.Table, t.RowsCopied, t.RowsEstimated, pending))
		case t.State == state.Quarantined:
			lost = append(lost, fmt.Sprintf("%s: in quarantine, %s", t.Table, pending))
		case t.PendingRows > 0:
			lost = append(lost, t.Table+": "+pending)
		}
	}
	slices.Sort(lost)
	return lost
}
