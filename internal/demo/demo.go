// Package demo is the body of pgibex demo: two real servers, a shop that is written to all the time, and the
// pgibex binary itself that moves it from one to the other, ends with -9 once on the way, and is checked at the end.
//
// It looks at pgibex from outside only, as an operator would: by its commands, its metrics and the two databases. It
// must not import the packages that do the work, and it compares the two sides with queries of its own.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/internal/pgserver"
)

// Options are what the command line gives.
type Options struct {
	Seconds  int       // how long to stream, in seconds; 0 means 20
	Hold     bool      // leave all running until ctx ends, instead of draining and comparing
	Binary   string    // path of the pgibex executable that does the work
	Out      io.Writer // what the demonstration says
	Terminal bool      // Out is a terminal: the figures are redrawn in place
}

const (
	defaultSeconds = 20
	loadLimit      = 3 * time.Minute  // from the daemon's start until it streams
	resumeLimit    = time.Minute      // until a daemon that was killed applies again
	stopLimit      = 10 * time.Second // what run promises after SIGTERM
)

// demo is what runs while the demonstration does.
type demo struct {
	Options
	screen  *screen
	dir     string // configuration and the daemon's log
	source  *database
	target  *database
	shop    *application
	daemon  *daemon
	watcher *watcher
}

// Run is the whole demonstration. It returns nil when every row is equal at the end, else an error that names what is
// not. When ctx ends (the caller binds it to SIGINT and SIGTERM) it returns early; with Hold that is no error.
// Whatever was started is gone when it returns.
func Run(ctx context.Context, o Options) (err error) {
	if o.Seconds <= 0 {
		o.Seconds = defaultSeconds
	}
	d := &demo{Options: o, screen: &screen{out: o.Out, terminal: o.Terminal}}
	defer func() { err = errors.Join(err, d.cleanUp(ctx)) }()

	err = d.procedure(ctx)
	if ctx.Err() != nil {
		d.screen.say("Stopping servers, application and daemon.")
		if d.Hold {
			return nil
		}
		return fmt.Errorf("the demonstration did not run to its end: %w", context.Cause(ctx))
	}
	return err
}

func (d *demo) procedure(ctx context.Context) error {
	if err := d.startServers(ctx); err != nil {
		return err
	}
	if err := d.createShop(ctx); err != nil {
		return err
	}
	if err := d.startApplication(ctx); err != nil {
		return err
	}
	if err := d.startDaemon(ctx); err != nil {
		return err
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	if err := d.stream(ctx); err != nil {
		return err
	}
	if d.Hold {
		return d.hold(ctx)
	}
	if err := d.drain(ctx); err != nil {
		return err
	}
	return d.compare(ctx)
}

// startServers gives both servers and an empty database on each.
func (d *demo) startServers(ctx context.Context) (err error) {
	var installed [2]pgserver.Installation
	for i, version := range []string{pgserver.SourceVersion, pgserver.TargetVersion} {
		if _, err := pgserver.FindLocal(ctx, version); errors.Is(err, pgserver.ErrNotFound) {
			d.screen.say("PostgreSQL %s is not on this machine: getting it, this once …", version)
		}
		if installed[i], err = pgserver.Find(ctx, version); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("pgibex_demo_%d", os.Getpid())
	var group errgroup.Group
	group.Go(func() (err error) { d.source, err = startDatabase(ctx, installed[0], name+"_source"); return err })
	group.Go(func() (err error) { d.target, err = startDatabase(ctx, installed[1], name+"_target"); return err })
	if err := group.Wait(); err != nil {
		return err
	}
	d.screen.say("Source  %s", d.source.server.Installation())
	d.screen.say("Target  %s", d.target.server.Installation())
	return nil
}

// createShop makes the same tables on both sides, and rows on the source.
func (d *demo) createShop(ctx context.Context) error {
	started := time.Now()
	var group errgroup.Group
	var rows int64
	group.Go(func() (err error) { rows, err = createSource(ctx, d.source.dsn); return err })
	group.Go(func() error { return createTarget(ctx, d.target.dsn) })
	if err := group.Wait(); err != nil {
		return err
	}
	d.screen.say("Shop    %s rows on the source, the same tables without rows on the target (%s)", count(rows), since(started))
	return nil
}

func (d *demo) startApplication(ctx context.Context) (err error) {
	if d.shop, err = startApplication(ctx, d.source.dsn); err != nil {
		return err
	}
	d.screen.say("Application writes to the source: %d sessions, about %d transactions a second", sessions, wantedRate)
	return nil
}

func (d *demo) startDaemon(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "pgibex-demo-"); err != nil {
		return err
	}
	listen, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	config := filepath.Join(d.dir, "pgibex.yaml")
	if err := os.WriteFile(config, []byte(configuration(d.source.dsn, d.target.dsn, listen)), 0o600); err != nil {
		return err
	}
	d.daemon = &daemon{binary: d.Binary, config: config, logFile: filepath.Join(d.dir, "pgibex.log")}
	if err := d.daemon.start(); err != nil {
		return err
	}
	d.watcher = newWatcher(d.daemon, d.shop, d.screen, "http://"+listen+"/metrics")
	d.screen.say("Daemon  pgibex run, process %d", d.daemon.pid())
	return nil
}

// load follows the daemon until all that there was is on the target and changes follow at once.
func (d *demo) load(ctx context.Context) error {
	started := time.Now()
	if err := d.watcher.until(ctx, "the first load", loadLimit, func(r reading) bool { return r.streaming() }); err != nil {
		return err
	}
	d.screen.say("Loaded  %s rows in %s while the application wrote; streaming from now on", count(d.watcher.last.copied), since(started))
	return nil
}

// stream follows the daemon for the time wanted, and kills it once after a third of it.
func (d *demo) stream(ctx context.Context) error {
	d.watcher.measureLag = true
	whole := time.Duration(d.Seconds) * time.Second
	if err := d.watcher.during(ctx, whole/3); err != nil {
		return err
	}
	if err := d.killOnce(ctx); err != nil {
		return err
	}
	return d.watcher.during(ctx, whole-whole/3)
}

func (d *demo) killOnce(ctx context.Context) error {
	pid := d.daemon.pid()
	d.daemon.kill()
	status, err := d.daemon.status(ctx)
	if err != nil {
		return err
	}
	d.screen.say("Killed  the daemon (kill -9 %d); the target's position is %s", pid, status.Position)
	d.watcher.newLife()
	killed := time.Now()
	if err := d.daemon.start(); err != nil {
		return err
	}
	resumed := func(r reading) bool { return r.streaming() && r.applied > d.watcher.appliedBefore }
	if err := d.watcher.until(ctx, "going on after the kill", resumeLimit, resumed); err != nil {
		return err
	}
	d.screen.say("Resumed as process %d from that position in %s; the application went on meanwhile", d.daemon.pid(), since(killed))
	return nil
}

func (d *demo) hold(ctx context.Context) error {
	d.screen.say("\nAll of it runs until Ctrl-C. To play with:")
	d.screen.say("  source  psql %q", d.source.dsn)
	d.screen.say("  target  psql %q", d.target.dsn)
	d.screen.say("  %s status -c %s", d.Binary, d.daemon.config)
	d.screen.say("  %s verify -c %s", d.Binary, d.daemon.config)
	d.screen.say("  tail -f %s\n", d.daemon.logFile)
	d.screen.quiet, d.watcher.measureLag = !d.Terminal, false
	return d.watcher.forEver(ctx)
}

// drain stops the writes, then brings the target to everything that was committed.
func (d *demo) drain(ctx context.Context) error {
	d.shop.stop()
	d.screen.say("Stopped the application after %s transactions, %d errors", count(d.shop.transactions.Load()), d.shop.failures.Load())
	started := time.Now()
	if err := d.daemon.stop(stopLimit); err != nil {
		return err
	}
	d.screen.say("Stopped the daemon with SIGTERM in %s", since(started))
	started = time.Now()
	if _, err := d.daemon.command(ctx, "catchup"); err != nil {
		return err
	}
	d.screen.say("Drained by pgibex catchup in %s", since(started))
	return nil
}

// compare lets pgibex verify, and then looks itself.
func (d *demo) compare(ctx context.Context) error {
	started := time.Now()
	if _, err := d.daemon.command(ctx, "verify", "--json"); err != nil {
		return err
	}
	d.screen.say("Verified by pgibex verify in %s", since(started))
	source, target, err := readBoth(ctx, d.source.dsn, d.target.dsn)
	if err != nil {
		return err
	}
	different := differences(source, target)
	d.summary(source, different)
	if len(different) > 0 {
		return fmt.Errorf("source and target differ: %w", errors.Join(different...))
	}
	return d.shop.err()
}
