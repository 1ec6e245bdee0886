package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func addCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "add TABLE…",
		Short: "Take in tables that have come since the stream began",
		Long: `Takes tables, given as schema.table, into a stream that runs: the configuration must include them, and they must exist on the target,
empty. The daemon copies them while the others stream. Without this command it takes them in when it next begins anew, or by itself where tables.new is add.`,
		Example: "  pgibex add public.invoices",
		Args:    tableArgs,
		RunE: func(c *cobra.Command, args []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			if err := r.Add(c.Context(), args); err != nil {
				return err
			}
			for _, name := range args {
				say(c.OutOrStdout(), "%s is captured and will be copied", name)
			}
			return nil
		},
	}
}

// tableArgs wants at least one table.
func tableArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{fmt.Errorf("name tables as schema.table; see %s --help", c.CommandPath())}
	}
	return nil
}
