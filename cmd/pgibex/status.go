package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/replicator"
)

func statusCommand(o *options) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show position, lag, backlog and every table's state",
		Long:    "Reads both databases; no daemon has to run.",
		Example: "  pgibex status\n  pgibex status --json | jq .lag_seconds",
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
			if asJSON {
				encoder := json.NewEncoder(c.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(status)
			}
			return printStatus(c.OutOrStdout(), status)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printStatus(out io.Writer, s *replicator.Status) error {
	fmt.Fprintln(out, s.Summary())
	if s.Position != "" {
		fmt.Fprintf(out, "position %s, taken %s\n", s.Position, s.PositionTime.UTC().Format(time.RFC3339))
	}
	if len(s.Tables) > 0 && !s.Consistent {
		fmt.Fprintln(out, "the target does not show one state of the source yet")
	}
	for _, problem := range append(s.ForeignKeys, s.Checks...) {
		fmt.Fprintln(out, problem)
	}
	if len(s.Tables) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tSTATE\tROWS COPIED\tCHUNKS\tETA\tCHANGES PENDING\t")
	for _, t := range s.Tables {
		eta := ""
		if t.ETASeconds != nil {
			eta = time.Duration(*t.ETASeconds * float64(time.Second)).Round(time.Second).String()
		}
		pending := humanize.Comma(t.PendingRows)
		if t.PendingRows > 0 {
			pending += " (" + humanize.IBytes(uint64(t.PendingBytes)) + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s of %s\t%d/%d\t%s\t%s\t\n", t.Table, t.State,
			humanize.Comma(t.RowsCopied), humanize.Comma(t.RowsEstimated), t.ChunksDone, t.Chunks, eta, pending)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range s.Tables {
		if t.Waiting != "" {
			fmt.Fprintf(out, "\n%s is locked on the target by %s\n", t.Table, t.Waiting)
		}
		if t.State == state.Quarantined {
			fmt.Fprintf(out, "\n%s is in quarantine: %s\n  once the cause is mended: pgibex resync %s\n", t.Table, t.Reason, t.Table)
		}
	}
	return nil
}
