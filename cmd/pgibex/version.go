package main

import (
	"runtime"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  pgibex version",
		Args:    noArgs,
		Run: func(c *cobra.Command, _ []string) {
			say(c.OutOrStdout(), "pgibex %s (%s, %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
