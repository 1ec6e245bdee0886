package replicator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// lockClass is the first half of the advisory lock of every stream: "pgib".
const lockClass = 0x70676962

// tryLock asks for the stream's advisory lock on the target. It is the session's until it ends.
func (r *Replicator) tryLock(ctx context.Context, conn *pg.Conn) (got bool, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1::int, pg_catalog.hashtext($2::text))", lockClass, r.config.Stream).Scan(&got)
	return got, err
}

// carried says whether some process holds the stream's lock, without asking for it.
func (r *Replicator) carried(ctx context.Context, conn *pg.Conn) (held bool, err error) {
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
		AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		AND classid::bigint = $1 AND objid::bigint = pg_catalog.hashtext($2::text)::bigint & 4294967295)`, lockClass, r.config.Stream).Scan(&held)
	return held, err
}

// leadership is the session that holds the stream.
type leadership struct {
	r    *Replicator
	conn *pg.Conn
}

// standbyPoll is how often a daemon that waits for another looks whether it has gone.
const standbyPoll = time.Second

// errCarried means that another process carries the stream.
var errCarried = errors.New("another pgibex carries this stream")

// lead takes the stream, if need be by waiting until no other process carries it. errCarried if it shall not wait.
func (r *Replicator) lead(ctx context.Context, wait bool) (*leadership, error) {
	conn, err := r.target.Connect(ctx, "leader")
	if err != nil {
		return nil, err
	}
	told := false
	defer r.standby.Store(false)
	ticker := time.NewTicker(standbyPoll)
	defer ticker.Stop()
	for {
		got, err := r.tryLock(ctx, conn)
		if err != nil {
			conn.CloseNow()
			return nil, fmt.Errorf("ask for the stream's lock: %w", err)
		}
		if got {
			if told {
				r.log.Info("the other pgibex has gone; taking over the stream", "stream", r.config.Stream)
			}
			r.metrics.SetLeading(true)
			return &leadership{r, conn}, nil
		}
		if !wait {
			conn.CloseNow()
			return nil, errCarried
		}
		r.standby.Store(true)
		if !told {
			r.log.Info("another pgibex carries this stream; waiting as its standby", "stream", r.config.Stream)
			told = true
		}
		select {
		case <-ctx.Done():
			conn.CloseNow()
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// errLockLost means that the session which holds the stream has ended.
var errLockLost = errors.New("the session that holds the stream's lock was lost")

// keepTimeout bounds how long the target may take to answer that the stream is still ours.
const keepTimeout = 5 * time.Second

// keep watches the session that holds the lock, and whether somebody else has taken the stream: a command that changes what it
// carries does so for a moment. Writing is refused then in any case. It has the server do the same: a process that is stopped
// loses the stream.
func (l *leadership) keep(ctx context.Context) error {
	if err := l.conn.EndWhenSilent(ctx); err != nil {
		return errors.Join(errLockLost, err)
	}
	ticker := time.NewTicker(standbyPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			held, err := l.held(ctx)
			if err != nil {
				return errors.Join(errLockLost, err)
			}
			if !held {
				return state.ErrFenced
			}
		}
	}
}

func (l *leadership) held(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	return l.r.store.Held(ctx, l.conn)
}

func (l *leadership) release() {
	l.conn.CloseNow()
	l.r.store.Leave()
	l.r.metrics.SetLeading(false)
}
