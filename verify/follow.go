package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// pollInterval is how often the position is read while somebody waits for it.
const pollInterval = 100 * time.Millisecond

// follower knows how far the stream has come.
type follower struct {
	store *state.Store
	conn  *pg.Conn
	grace time.Duration

	mu        sync.Mutex
	stream    change.Position
	relations map[int]state.Relation
	mark      string    // changes whenever the stream moves
	movedAt   time.Time // when it was last seen to have moved
	readAt    time.Time
}

// newFollower takes a first look, from which on the stream has time to move.
func newFollower(ctx context.Context, store *state.Store, conn *pg.Conn, grace time.Duration) (*follower, error) {
	f := &follower{store: store, conn: conn, grace: grace}
	if store == nil {
		return f, nil
	}
	if _, err := f.read(ctx); err != nil && !errors.Is(err, state.ErrMissing) {
		return nil, fmt.Errorf("read the stream's position: %w", err)
	}
	return f, nil
}

// wait returns once the target has all of the table that the snapshot of the source sees. Where that is not to be expected it
// returns at once with the reason, and the target is to be taken as it is. A table that does not follow its source
// is a *skipError.
func (f *follower) wait(ctx context.Context, number int, until change.Snapshot) (asItIs string, err error) {
	if f.store == nil {
		return "", nil
	}
	for {
		standing, err := f.read(ctx)
		if errors.Is(err, state.ErrMissing) {
			return "the target was taken as it is: it holds no state of the stream", nil
		}
		if err != nil {
			return "", fmt.Errorf("read the stream's position: %w", err)
		}
		reached, asItIs, err := f.reached(number, until)
		if err != nil || reached || asItIs != "" {
			return asItIs, err
		}
		if standing >= f.grace {
			return fmt.Sprintf("the stream did not move for %s; the target was taken as it is", f.grace), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

func (f *follower) reached(number int, until change.Snapshot) (reached bool, asItIs string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	relation, ok := f.relations[number]
	if !ok {
		return false, "the target was taken as it is: the table is not part of the stream", nil
	}
	switch relation.State {
	case state.Quarantined:
		return false, "", &skipError{"quarantined: " + relation.Reason}
	case state.Captured, state.Copying:
		return false, "", &skipError{"not copied yet"}
	}
	position := relation.Position
	if position.IsZero() {
		position = f.stream
	}
	return position.Snapshot.Covers(until), "", nil
}

// read looks at the stream, unless somebody has just done so, and returns for how long it has not moved.
func (f *follower) read(ctx context.Context) (standing time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.readAt) < pollInterval/2 {
		return time.Since(f.movedAt), nil
	}
	stream, err := f.store.Stream(ctx, f.conn)
	if err != nil {
		return 0, err
	}
	relations, err := f.store.Relations(ctx, f.conn)
	if err != nil {
		return 0, err
	}
	// A long backlog of one table moves nothing else until all of it is drained.
	var drained int64
	err = f.conn.QueryRow(ctx, f.store.SQL("SELECT coalesce(sum(next_block), 0)::bigint FROM {{schema}}.drain")).Scan(&drained)
	if err != nil {
		return 0, err
	}
	var seen strings.Builder
	fmt.Fprint(&seen, stream.Position.Snapshot, stream.UpdatedAt, drained)
	f.relations = make(map[int]state.Relation, len(relations))
	for _, r := range relations {
		f.relations[r.Number] = r
		fmt.Fprint(&seen, r.Position.Snapshot, r.ChangedAt)
	}
	f.readAt = time.Now()
	if mark := seen.String(); mark != f.mark {
		f.mark, f.movedAt = mark, f.readAt
	}
	f.stream = stream.Position
	return f.readAt.Sub(f.movedAt), nil
}
