package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/pgibex/pgibex/replicator"
)

func statusCommand(o *options) *cobra.Command {
	var asJSON, problems bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show position, lag, backlog and every table's state",
		Long: `Reads both databases; no daemon has to run.

The first line counts what is wrong: tables in quarantine, tables that the configuration includes and that are not carried, foreign keys
that failed. Ends with code 1 where there is any, and --problems shows these alone.`,
		Example: "  pgibex status\n  pgibex status --problems\n  pgibex status --json | jq .lag_seconds",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			status, err := r.Status(c.Context())
			if err != nil {
				return err
			}
			if err := showStatus(c.OutOrStdout(), status, asJSON, problems); err != nil {
				return err
			}
			if len(status.Problems) > 0 {
				return &silentError{errors.New("the stream has problems")}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&problems, "problems", false, "print only what is wrong")
	return c
}

func showStatus(out io.Writer, s *replicator.Status, asJSON, problems bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if problems {
			return encoder.Encode(s.Problems)
		}
		return encoder.Encode(s)
	}
	if !problems {
		if err := printStatus(out, s); err != nil {
			return err
		}
	}
	printProblems(out, s)
	return nil
}

// printProblems names what is wrong, a line each, with its remedy below.
func printProblems(out io.Writer, s *replicator.Status) {
	for _, p := range s.Problems {
		text := p.Table + " is " + string(p.Kind) + ": " + p.Reason
		switch p.Kind {
		case replicator.TableQuarantined:
			text = p.Table + " is in quarantine: " + p.Reason
		case replicator.TableNotCarried:
			text = p.Table + " " + p.Reason
		case replicator.SequenceNotSet:
			text = "sequence " + p.Table + " is not set on the target: it " + p.Reason
		case replicator.ForeignKeyFailed, replicator.CheckFailed:
			text = p.Reason
		}
		say(out, "")
		say(out, "%s", text)
		if p.Remedy != "" {
			say(out, "  %s", p.Remedy)
		}
	}
}

func printStatus(out io.Writer, s *replicator.Status) error {
	say(out, "%s", s.Summary())
	if s.Position != "" {
		say(out, "position %s, taken %s", s.Position, s.PositionTime.UTC().Format(time.RFC3339))
	}
	if len(s.Tables) > 0 && !s.Consistent {
		say(out, "the target does not show one state of the source yet")
	}
	for _, check := range s.Checks {
		say(out, "%s", check)
	}
	for _, warning := range s.Warnings {
		say(out, "warning: %s", warning)
	}
	if len(s.Tables) == 0 {
		return nil
	}
	say(out, "")
	listed := newTable(out)
	listed.row("TABLE", "STATE", "ROWS COPIED", "CHUNKS", "ETA", "CHANGES PENDING", "")
	for _, t := range s.Tables {
		eta := ""
		if t.ETASeconds != nil {
			eta = time.Duration(*t.ETASeconds * float64(time.Second)).Round(time.Second).String()
		}
		pending := humanize.Comma(t.PendingRows)
		if t.PendingRows > 0 {
			pending += " (" + humanize.IBytes(uint64(t.PendingBytes)) + ")"
		}
		listed.row(t.Table, string(t.State), humanize.Comma(t.RowsCopied)+" of "+humanize.Comma(t.RowsEstimated),
			fmt.Sprintf("%d/%d", t.ChunksDone, t.Chunks), eta, pending, "")
	}
	if err := listed.flush(); err != nil {
		return err
	}
	for _, t := range s.Tables {
		if t.Waiting != "" {
			say(out, "")
			say(out, "%s is locked on the target by %s", t.Table, t.Waiting)
		}
	}
	return nil
}
