package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/internal/config"
)

func runCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Carry the stream: install, copy, follow, until stopped (the daemon)",
		Long: `Installs the capture that is missing, copies the tables that are not copied yet (resuming where it was stopped), and
follows the source until SIGTERM or SIGINT. All state is in the two databases: it may be killed at any instant.
A second daemon of the same stream waits as a standby.`,
		Example: "  pgibex run -c pgibex.yaml\n  pgibex run --log-format json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, r, m, registry, err := o.load()
			if err != nil {
				return err
			}
			defer o.showProgress(r)()
			r.ReadTables(func() (config.Tables, error) {
				now, err := config.Load(o.config)
				if err != nil {
					return config.Tables{}, err
				}
				return now.Tables, nil
			})
			slog.Info("starting", "version", version, "stream", cfg.Stream)
			group, ctx := errgroup.WithContext(c.Context())
			if cfg.Metrics.Enabled() {
				wait, err := m.Serve(ctx, cfg.Metrics.Listen, registry)
				if err != nil {
					return err
				}
				slog.Info("metrics", "url", "http://"+cfg.Metrics.Listen+"/metrics")
				group.Go(wait)
			}
			group.Go(func() error {
				if err := r.Run(ctx); err != nil {
					return err
				}
				return errStopped // so that the metrics end too
			})
			if err := group.Wait(); !errors.Is(err, errStopped) && !errors.Is(err, context.Canceled) {
				return err
			}
			slog.Info("stopped; will go on from the target's position when started again")
			return nil
		},
	}
}

var errStopped = errors.New("stopped")
