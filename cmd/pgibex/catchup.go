package main

import (
	"time"

	"github.com/spf13/cobra"
)

func catchupCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "catchup",
		Short: "Bring the target to everything the source has committed by now, and end",
		Long: `Installs and copies what is missing, then applies every change that was committed on the source before the call, sets the sequences, and
ends with code 0. Where a daemon carries the stream, waits until the daemon has done so. While so much is written that the tables never
show one moment of the source together, it ends when each has what it is to have and none is half applied.

Ends with code 1 where the target can not have everything: a table is in quarantine, was altered so that changes may be missing, or is
included by the configuration and not replicated, a sequence cannot be set, or a constraint or index of the target could not be
built or does not hold. Once something on the target has drawn from a sequence it is not set back.`,
		Example: "  pgibex catchup && pgibex verify",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			defer o.showProgress(r)()
			done, err := r.CatchUp(c.Context())
			what := "everything"
			if err != nil {
				what = "everything else"
			}
			if done != nil {
				say(c.OutOrStdout(), "the target has %s up to %s (position %s); done by %s in %s",
					what, done.Position.Clock.UTC().Format(time.RFC3339Nano), done.Position.Snapshot, done.By, done.Took.Round(time.Millisecond))
				if done.ForeignKeys > 0 {
					say(c.OutOrStdout(), "foreign keys of the target still to be built: %d; the tables do not show one moment of the source while so much is written", done.ForeignKeys)
				}
				for _, check := range done.Checks {
					say(c.OutOrStdout(), "%s", check)
				}
			}
			return err
		},
	}
}
