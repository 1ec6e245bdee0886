package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func resyncCommand(o *options) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "resync TABLE… | --all",
		Short: "Copy tables once more while all others stream, out of quarantine too",
		Long: `Has tables, given as schema.table, copied once more: because they are in quarantine, or because something else has written to the
target. A table with a key is compared and repaired chunk by chunk, so that its readers never see it empty; one without a key, or
whose first copy was not finished, is copied afresh. Where its triggers do not fit the source's table any more they are made anew.
One that is in quarantine only because the target did not take its rows goes on from where it stood.

With --all nothing that the stream remembers of the source counts: for a source that was restored or promoted and may have lost
what the target has.

A daemon that runs does it within a second or so; otherwise the next "pgibex run" or "pgibex catchup" does. "pgibex status" shows how far it is.`,
		Example: "  pgibex resync public.orders\n  pgibex resync --all",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return &usageError{errors.New("name tables as schema.table, or give --all; see pgibex resync --help")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			done, err := r.Resync(c.Context(), args, all)
			for _, name := range done {
				say(c.OutOrStdout(), "%s will be brought back", name)
			}
			return err
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all tables of the stream")
	return c
}
