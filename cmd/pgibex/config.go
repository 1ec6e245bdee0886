package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pgibex/pgibex/internal/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Help with the configuration file"}
	c.AddCommand(&cobra.Command{
		Use:     "example",
		Short:   "Print a configuration file with every key, its default and what it means",
		Example: "  pgibex config example > pgibex.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), config.Example)
			return err
		},
	})
	return onlyCommands(c)
}
