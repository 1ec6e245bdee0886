package main

import (
	"github.com/spf13/cobra"
)

func installCommand(o *options) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "install",
		Short: "Create the capture on the source, for all tables configured or those that lack it",
		Long: `Creates triggers and delta tables on the source, one table a transaction. Each needs a short lock on its table, which is waited
for no longer than capture.lock_wait at a time, so that the application never queues up behind. Nothing is copied.
"pgibex run" does the same when it starts.`,
		Example: "  pgibex install --dry-run > install.sql\n  pgibex install",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			if dryRun {
				return r.PlanInstall(c.Context(), script(c.OutOrStdout()))
			}
			made, err := r.Install(c.Context())
			if err == nil {
				say(c.OutOrStdout(), "capture installed on %d tables", made)
			}
			return err
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print the SQL and change nothing")
	return c
}
