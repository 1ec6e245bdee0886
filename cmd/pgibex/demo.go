package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/pgibex/pgibex/internal/demo"
)

func demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch a real 9.2 that is written to move to a real 14, on this machine",
		Long: `Starts a PostgreSQL 9.2 and a 14 (downloaded once if need be), fills the old one with a shop, keeps writing to it, copies and streams it to
the new one, kills its own daemon on the way, and in the end compares every row.`,
		Example: "  pgibex demo\n  pgibex demo --hold",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o.Out, o.Terminal = os.Stdout, onTerminal() // it redraws its figures; servers and names are its own
			if o.Binary, err = os.Executable(); err != nil {
				return err
			}
			if err := demo.Run(c.Context(), o); err != nil {
				return &ownError{err}
			}
			return nil
		},
	}
	c.Flags().IntVar(&o.Seconds, "seconds", 0, "how long to stream (default 20)")
	c.Flags().BoolVar(&o.Hold, "hold", false, "leave servers, application and daemon running until Ctrl-C")
	return c
}
