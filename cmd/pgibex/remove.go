package main

import (
	"github.com/spf13/cobra"
)

func removeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove TABLE…",
		Short: "Take tables out of the stream and leave nothing on them",
		Long: `Removes tables, given as schema.table, from a stream that runs: their triggers and delta tables on the source, and their state on the
target. Their rows stay. The configuration must exclude them first, or the stream would take them in again.`,
		Example: "  pgibex remove public.sessions",
		Args:    tableArgs,
		RunE: func(c *cobra.Command, args []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			if err := r.Remove(c.Context(), args); err != nil {
				return err
			}
			for _, name := range args {
				say(c.OutOrStdout(), "%s is out of the stream", name)
			}
			return nil
		},
	}
}
