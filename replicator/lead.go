package replicator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

// lockHolder is the session that has the stream's advisory lock.
type lockHolder struct {
	pid  int
	role string
	ours bool // of our role, or of a superuser: any other may take the number as well
}

// holder says who has the stream's lock, without asking for it; nil if nobody.
func (r *Replicator) holder(ctx context.Context, conn *pg.Conn) (*lockHolder, error) {
	var h lockHolder
	err := conn.QueryRow(ctx, `SELECT l.pid, coalesce(a.usename::text, ''), coalesce(u.rolname = current_user OR u.rolsuper, false)
		FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_catalog.pg_roles u ON u.oid = a.usesysid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
		AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		AND l.classid::bigint = $1 AND l.objid::bigint = pg_catalog.hashtext($2::text)::bigint & 4294967295
		ORDER BY 3 DESC LIMIT 1`, lockClass, r.config.Stream).Scan(&h.pid, &h.role, &h.ours)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &h, err
}

// carried says whether some process of pgibex holds the stream's lock, without asking for it.
func (r *Replicator) carried(ctx context.Context, conn *pg.Conn) (bool, error) {
	h, err := r.holder(ctx, conn)
	return err == nil && h != nil && h.ours, err
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
		if !got {
			// A role that has nothing to do with us must not park the stream: the generation in its state keeps two from writing.
			h, err := r.holder(ctx, conn)
			if err != nil {
				conn.CloseNow()
				return nil, fmt.Errorf("look who has the stream's lock: %w", err)
			}
			if got = h != nil && !h.ours; got {
				r.log.Warn("a stranger has the stream's advisory lock on the target; going on without it, and a second pgibex would not wait as its standby",
					"pid", h.pid, "role", h.role, "remedy", fmt.Sprintf("SELECT pg_terminate_backend(%d)", h.pid))
			}
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
