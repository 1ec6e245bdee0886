package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

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
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, wanted := range pgserver.Versions() {
				found, err := pgserver.FindLocal(c.Context(), wanted)
				switch {
				case err == nil:
					fmt.Fprintf(w, "%s\t%s\t%s\n", wanted, found.Version, found.Origin)
				case errors.Is(err, pgserver.ErrNotFound):
					fmt.Fprintf(w, "%s\t-\tdownloaded when needed\n", wanted)
				default:
					return err
				}
			}
			return w.Flush()
		},
	}
}
