package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func uninstallCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "Remove every object of the stream from both sides",
		Long: `Removes triggers, functions and delta tables from the source, and the stream's state from the target, waiting for locks as install
does. Indexes of the target that were dropped for a copy are built first. The tables' rows stay. A daemon that runs must be stopped before.`,
		Example: "  pgibex uninstall -c pgibex.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			if err := r.Uninstall(c.Context()); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "stream %s is removed from both sides\n", cfg.Stream)
			return nil
		},
	}
}
