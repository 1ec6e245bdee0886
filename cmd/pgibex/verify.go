package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pgibex/pgibex/verify"
)

func verifyCommand(o *options) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify [TABLE…]",
		Short: "Compare source and target row for row, while the application writes",
		Long: `Compares every row of all tables, or of those given as schema.table. Rows that differ are compared again once the target's position has
passed them; what still differs is named by table and key, and the exit code is 1. Tables that could not be compared (in
quarantine, not yet copied, or included by the configuration and not replicated) are named and counted, and the exit code is 1 too. So it
is for sequences that would return values once more which the source has returned, or cannot be compared.`,
		Example: "  pgibex verify\n  pgibex verify public.orders --json",
		RunE: func(c *cobra.Command, args []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			results, err := r.Verify(c.Context(), args)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(c.OutOrStdout())
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(results); err != nil {
					return err
				}
			} else {
				printResults(c.OutOrStdout(), results)
			}
			for _, result := range results {
				if result.Total > 0 || result.Skipped != "" {
					return &silentError{errors.New("source and target differ")}
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printResults(out io.Writer, results []verify.Result) {
	var rows, differ, unsettled int64
	var tables, skipped, sequences, apart int
	for _, result := range results {
		switch {
		case !result.Sequence:
			if result.Skipped == "" {
				tables++
			}
			rows, differ, unsettled = rows+result.Rows, differ+result.Total, unsettled+result.Unsettled
		case result.Skipped == "":
			sequences++
			apart += int(result.Total)
		}
		for _, note := range result.Notes {
			say(out, "%s: %s", result.Name, note)
		}
		switch {
		case result.Skipped != "":
			skipped++
			say(out, "%s: not compared: %s", result.Name, result.Skipped)
			if result.Remedy != "" {
				say(out, "  %s", result.Remedy)
			}
		case result.Sequence && result.Total > 0:
			say(out, "%s: the sequence differs: %s", result.Name, result.Differences[0].Key)
		case result.Total > 0:
			say(out, "%s: %d rows differ", result.Name, result.Total)
			for _, d := range result.Differences {
				columns := ""
				if len(d.Columns) > 0 {
					columns = fmt.Sprintf(": %v", d.Columns)
				}
				say(out, "  %s %s%s", d.Key, d.Kind, columns)
			}
		}
		if result.Unsettled > 0 {
			say(out, "%s: %d keys changed faster than they could be compared; verify again when less is written", result.Name, result.Unsettled)
		}
	}
	total := fmt.Sprintf("%d tables, %d rows compared, %d differ", tables, rows, differ)
	if skipped > 0 {
		total += fmt.Sprintf(", %d not compared", skipped)
	}
	if unsettled > 0 {
		total += fmt.Sprintf(", %d not settled", unsettled)
	}
	say(out, "%s", total)
	if sequences > 0 {
		say(out, "sequences: %d compared, %d differ", sequences, apart)
	}
}
