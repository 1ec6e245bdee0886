package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/pgibex/pgibex/internal/pgserver"
)

func serversCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "servers",
		Short:   "Show which PostgreSQL servers are on this machine for demo and tests",
		Long:    "Looks at the environment, the usual places and the package cache. Nothing is downloaded or started.",
		Example: "  pgibex servers",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t := newTable(c.OutOrStdout())
			for _, wanted := range pgserver.Versions() {
				found, err := pgserver.FindLocal(c.Context(), wanted)
				switch {
				case err == nil:
					t.row(wanted, found.Version, found.Origin)
				case errors.Is(err, pgserver.ErrNotFound):
					t.row(wanted, "-", "downloaded when needed")
				default:
					return err
				}
			}
			return t.flush()
		},
	}
}
