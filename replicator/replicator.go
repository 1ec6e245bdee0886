// Package replicator is the procedure: it wires capture, snapshot and apply, which know nothing of one another, into a
// stream that carries a source's tables to a target.
//
// Read attempt and carry for the whole of it. All state is in the two databases, so every error that may pass is dealt with in one
// way: everything is let go and the procedure begins anew.
package replicator

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/metrics"
	"github.com/pgibex/pgibex/snapshot"
)

// Replicator carries one stream.
type Replicator struct {
	config  *config.Config
	log     *slog.Logger
	metrics *metrics.Metrics

	onProgress func(Progress)
	readTables func() (config.Tables, error) // the configuration as it is now

	courtesy courtesy
	locks    *targetLocks // of the present attempt
	endings  endings
	standby  atomic.Bool   // another process carries the stream
	anew     chan struct{} // ends the present attempt

	reported map[catalog.Name]bool // tables that have come, said once
	warned   map[string]bool       // what was warned of

	source, target pg.Server
	capture        *capture.Capture
	store          *state.Store
	loader         *snapshot.Loader
}

// New returns the replicator of the stream that the configuration describes. It does not connect.
func New(c *config.Config, log *slog.Logger, m *metrics.Metrics) *Replicator {
	store := state.NewStore(c.Stream)
	return &Replicator{
		config: c, log: log, metrics: m,
		source:  pg.Server{Side: pg.Source, DSN: c.Source.DSN, Encoding: c.Source.Encoding, Stream: c.Stream},
		target:  pg.Server{Side: pg.Target, DSN: c.Target.DSN, Encoding: c.Source.Encoding, Stream: c.Stream},
		capture: capture.New(c.Stream),
		store:   store,
		anew:    make(chan struct{}, 1), reported: map[catalog.Name]bool{}, warned: map[string]bool{},
		loader: &snapshot.Loader{Store: store, ChunkSize: int64(c.Copy.ChunkSize), ChunkTime: c.Copy.ChunkTime},
	}
}

// ReadTables has f asked, at every beginning, which tables the configuration selects now: it may have been edited.
func (r *Replicator) ReadTables(f func() (config.Tables, error)) { r.readTables = f }

func (r *Replicator) reload() {
	if r.readTables == nil {
		return
	}
	tables, err := r.readTables()
	if err != nil {
		r.log.Error("the configuration can not be read again; going on with the tables it had", "error", err)
		return
	}
	r.config.Tables = tables
}

// migrate brings the layouts that an older pgibex has made to this one's, and refuses those of a newer one.
func (r *Replicator) migrate(ctx context.Context, dst *pg.Conn) error {
	if dst.Version < oldestTarget { // look refuses it
		return nil
	}
	_, err := r.store.Stream(ctx, dst)
	switch other, ok := errors.AsType[*state.VersionError](err); {
	case pg.State(err) != "":
		return err // what the state itself lacks is told by what needs it: uninstall does not
	case ok && other.Version > state.Version:
		return err
	case ok:
		if err := r.store.Migrate(ctx, dst); err != nil {
			return err
		}
		r.log.Info("migrated the stream's state on the target", "from", other.Version, "to", state.Version)
	}
	src, err := r.source.Connect(ctx, "source")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	return r.capture.Migrate(ctx, src)
}

// Run carries the stream until ctx ends: the daemon.
func (r *Replicator) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return r.persist(running, goal{}) })
	group.Go(func() error { return r.guard(ctx, running) })
	err := group.Wait()
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err())) {
		return nil // asked to stop
	}
	return err
}

// attempt is the procedure, from beginning to end.
func (r *Replicator) attempt(ctx context.Context, g goal) (err error) {
	// Who does not reach the source must not keep the stream from one who does.
	if err := reach(ctx, r.source); err != nil {
		return err
	}
	lead, err := r.lead(ctx, g.mark == nil)
	if err != nil {
		return err
	}
	defer lead.release()
	if err := boundLocks(ctx, lead.conn); err != nil {
		return err
	}
	r.reload()
	if err := r.migrate(ctx, lead.conn); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return lead.keep(ctx) })
	group.Go(func() error { return r.attend(ctx) })
	group.Go(func() error { return r.carry(ctx, g) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.anew:
			return errAnew
		}
	})
	if err := group.Wait(); !errors.Is(err, errGoalReached) {
		return err
	}
	return nil
}

// carry is what the leader does, until its goal is reached: errGoalReached.
func (r *Replicator) carry(ctx context.Context, g goal) error {
	sides, err := r.look(ctx)
	if err != nil {
		return err
	}
	defer sides.close()
	if err := boundLocks(ctx, sides.dst); err != nil {
		return err
	}
	late, err := r.install(ctx, sides, g.mark != nil)
	if err != nil {
		return err
	}
	tables, err := r.known(ctx, sides)
	if err != nil {
		return err
	}

	r.locks = r.newTargetLocks(tables)
	defer r.locks.close()
	copied := make(chan *table, len(tables)) // from load to stream
	stream, todo := r.newStream(sides, tables, copied, g), uncopied(tables)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.installLate(ctx, late) })
	group.Go(func() error { return r.load(ctx, todo, copied) })
	group.Go(func() error { return stream.run(ctx) })
	return group.Wait()
}

// persist attempts until the goal is reached, the context ends, or an error comes that does not pass by itself. The first
// attempt must reach both servers: a wrong address is to be told at once.
func (r *Replicator) persist(ctx context.Context, g goal) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(250*time.Millisecond), backoff.WithMaxInterval(15*time.Second), backoff.WithMaxElapsedTime(0))
	if err := reach(ctx, r.source, r.target); err != nil {
		return err
	}
	return backoff.RetryNotify(func() error {
		start := time.Now()
		err := r.attempt(ctx, g)
		r.metrics.SetLeading(false)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return backoff.Permanent(ctx.Err())
		case !passes(err):
			return backoff.Permanent(err)
		}
		if time.Since(start) > time.Minute || errors.Is(err, state.ErrFenced) {
			wait.Reset()
		}
		return err
	}, backoff.WithContext(wait, ctx), func(err error, wait time.Duration) {
		r.metrics.Restarts.Inc()
		if errors.Is(err, state.ErrFenced) || errors.Is(err, errAnew) {
			r.log.Info("beginning anew from the target's position", "because", err)
			return
		}
		attributes := []any{"error", err, "retry_in", wait.Round(time.Millisecond).String()}
		if by := r.stateLockedBy(ctx, err); by != "" {
			attributes = append(attributes, "state_locked_by", by)
		}
		r.log.Warn("interrupted; will go on from the target's position", attributes...)
	})
}

// passes says whether beginning anew may mend an error.
func passes(err error) bool {
	return pg.Transient(err) || errors.Is(err, state.ErrFenced) || errors.Is(err, capture.ErrFenced) || errors.Is(err, capture.ErrChanged) ||
		errors.Is(err, snapshot.ErrRewritten) || errors.Is(err, errLockLost) || errors.Is(err, errAnew) || errors.Is(err, errSilent) || errors.Is(err, errGaveWay) || errors.Is(err, capture.ErrStopped)
}

// errAnew asks for a new beginning: what is to be carried has changed.
var errAnew = errors.New("the stream's tables have changed")

// reach connects once.
func reach(ctx context.Context, servers ...pg.Server) error {
	for _, server := range servers {
		conn, err := server.Connect(ctx, "check")
		if _, refused := errors.AsType[*pg.ConnectError](err); err != nil && (refused || !pg.Transient(err)) {
			return err
		}
		conn.CloseNow()
	}
	return nil
}
