package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/metrics"
	"github.com/pgibex/pgibex/replicator"
)

// options are the flags of every command.
type options struct {
	config    string
	logFormat string
	verbose   bool
	log       logWriter
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:   "pgibex",
		Short: "Move a live PostgreSQL (9.2 and later) to a newer version while it is written to",
		Long: `pgibex copies the tables of a PostgreSQL database to a newer server and follows every change, until the
application can be switched over in seconds. The source may be as old as 9.2: changes are captured by triggers.

The usual way:
  1. create the schema on the target      pg_dump --schema-only … | psql …
  2. write pgibex.yaml                     pgibex config example > pgibex.yaml
  3. let it copy and stream                pgibex run
  4. watch it                              pgibex status
  5. compare both sides                    pgibex verify
  6. switch over, then clean up            pgibex uninstall`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return o.setLogger()
		},
	}
	root.SetVersionTemplate("pgibex {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&o.config, "config", "c", configDefault(), "configuration file (also PGIBEX_CONFIG)")
	flags.StringVar(&o.logFormat, "log-format", "text", "format of the log on stderr: text or json")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "log every chunk and every server notice too")
	root.AddCommand(runCommand(o), installCommand(o), catchupCommand(o), statusCommand(o), verifyCommand(o),
		addCommand(o), removeCommand(o), resyncCommand(o), uninstallCommand(o),
		configCommand(), demoCommand(), serversCommand(), versionCommand())
	return onlyCommands(root)
}

// onlyCommands makes a command that has others below it, and does nothing itself, refuse what is none of them.
func onlyCommands(c *cobra.Command) *cobra.Command {
	c.SuggestionsMinimumDistance = 2
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		err := fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
		}
		return &usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

func configDefault() string {
	if path := os.Getenv("PGIBEX_CONFIG"); path != "" {
		return path
	}
	return "pgibex.yaml"
}

func (o *options) setLogger() error {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	handlerOptions := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "text":
		slog.SetDefault(slog.New(slog.NewTextHandler(output{&o.log}, handlerOptions)))
	case "json":
		slog.SetDefault(slog.New(slog.NewJSONHandler(output{&o.log}, handlerOptions)))
	default:
		return &usageError{fmt.Errorf("--log-format %q: give text or json", o.logFormat)}
	}
	return nil
}

// load reads the configuration and returns what carries its stream, with the registry of its metrics.
func (o *options) load() (*config.Config, *replicator.Replicator, *metrics.Metrics, *prometheus.Registry, error) {
	c, err := config.Load(o.config)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	for _, warning := range c.Warnings {
		slog.Warn(warning)
	}
	registry := prometheus.NewRegistry()
	m := metrics.New(registry, c.Stream)
	return c, replicator.New(c, slog.Default(), m), m, registry, nil
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%s takes no argument, got %q", c.CommandPath(), args[0])}
	}
	return nil
}

func onTerminal() bool { return term.IsTerminal(int(os.Stdout.Fd())) }
