package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func uninstallCommand(o *options) *cobra.Command {
	var yes, force bool
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove every object of the stream from both sides",
		Long: `Removes triggers, functions and delta tables from the source, and the stream's state from the target, waiting for locks as install
does. Indexes of the target that were dropped for a copy are built first. The tables' rows stay. A daemon that runs must be stopped before.

There is no way back but a new copy into empty tables: on a terminal it asks for the stream's name, elsewhere it needs --yes. While the
target does not have everything (a table that is not copied or in quarantine, changes pending) it names what would be lost and ends with
code 1, unless --force is given.`,
		Example: "  pgibex uninstall -c pgibex.yaml\n  pgibex uninstall --yes",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, r, _, _, err := o.load()
			if err != nil {
				return err
			}
			if !yes {
				if !term.IsTerminal(int(os.Stdin.Fd())) {
					return &usageError{fmt.Errorf("uninstall removes stream %s from both sides; give --yes where nobody can be asked", cfg.Stream)}
				}
				if err := confirm(c.InOrStdin(), c.ErrOrStderr(), cfg.Stream); err != nil {
					return err
				}
			}
			if err := r.Uninstall(c.Context(), force); err != nil {
				return err
			}
			say(c.OutOrStdout(), "stream %s is removed from both sides", cfg.Stream)
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&force, "force", false, "also while tables are not copied or changes are pending, which are lost")
	return c
}

// confirm asks for the stream's name.
func confirm(in io.Reader, out io.Writer, stream string) error {
	_, _ = io.WriteString(out, "This removes stream "+stream+" from both sides. Type its name to go on: ") // a terminal
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != stream {
		return errors.New("nothing was removed")
	}
	return nil
}
