// Package verify compares source and target row for row while the application writes and the stream flows. Each
// side computes hashes of its own rows; values and orders of one server are never compared with those of the other, whose
// collations and float formats differ. A row that differs is looked at again once the stream has passed it,
// so that what is merely on its way is not taken for lost. It mends nothing, writes nothing on the source, and on the
// target temporary tables only.
package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// Pair is one table on both sides. Without a Source.Key the table is compared as a multiset of rows.
type Pair struct {
	Number         int // in the stream
	Source, Target *catalog.Table
}

// Options of a comparison; the zero value is right for most.
type Options struct {
	Workers   int           // sessions on each side; 2, or half of the processors if those are more
	ChunkRows int64         // rows that one statement on the source may read at most; 100,000
	Settle    time.Duration // how long keys that keep changing are looked at again; 60 s

	// Progress is told how many more rows of a table were compared. Calls do not overlap.
	Progress func(table catalog.Name, rows int64)
	// Waiting is told which relation of a side is locked, and by whom, once each.
	Waiting func(side pg.Side, relation, by string)
}

// Verifier compares tables. It may be used once at a time.
type Verifier struct {
	source, target pg.Server
	store          *state.Store
	options        Options
	grace          time.Duration // how long a stream may stand still before the target is taken as it is

	progress sync.Mutex
}

// standstill is more than the 10 s within which a daemon moves the position of an idle stream.
const standstill = 15 * time.Second

// New returns a verifier of the stream in store. Without a store the two sides are compared as they are.
func New(source, target pg.Server, store *state.Store, options Options) *Verifier {
	if options.Workers < 1 {
		options.Workers = max(2, runtime.NumCPU()/2)
	}
	if options.ChunkRows < 1 {
		options.ChunkRows = 100_000
	}
	if options.Settle <= 0 {
		options.Settle = time.Minute
	}
	return &Verifier{source: source, target: target, store: store, options: options, grace: standstill}
}

// Tables compares the tables, several at once and large ones in parts, and returns a result for each, in their order. A table
// that a server refuses to read is skipped, with its reason; any other failure ends the comparison.
func (v *Verifier) Tables(ctx context.Context, pairs []Pair) (results []Result, err error) {
	pool, err := v.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer pool.close()
	if v.options.Waiting != nil {
		watching, stop := context.WithCancel(ctx)
		var watch errgroup.Group
		watch.Go(func() error { return v.tellWaits(watching, pool.workers) })
		defer func() {
			stop()
			err = errors.Join(err, watch.Wait())
		}()
	}
	tables := newTables(pool.workers[0], pairs)
	jobs, err := v.plan(ctx, pool.workers[0], tables)
	if err != nil {
		return nil, err
	}
	queue := make(chan *job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	follow, err := newFollower(ctx, v.store, pool.follower, v.grace)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range pool.workers {
		group.Go(func() error {
			for j := range queue {
				if err := v.run(ctx, j, w, follow); err != nil {
					return fmt.Errorf("compare %s: %w", j.table.source.Name, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	results = make([]Result, len(tables))
	for i, t := range tables {
		results[i] = t.result.get()
	}
	return results, nil
}

// plan cuts the tables into jobs, the largest first.
func (v *Verifier) plan(ctx context.Context, s *sessions, tables []*table) ([]*job, error) {
	var jobs []*job
	bySize := slices.Clone(tables)
	slices.SortStableFunc(bySize, func(a, b *table) int { return int(b.source.Rows - a.source.Rows) })
	for _, t := range bySize {
		stripes := []keyRange{everything}
		if t.ranged() {
			var err error
			if stripes, err = t.stripes(ctx, s.source); err != nil && !t.skip(err) {
				return nil, fmt.Errorf("plan the comparison of %s: %w", t.source.Name, err)
			}
		}
		if t.source.Key != nil {
			jobs = append(jobs, &job{table: t, index: true})
		}
		for _, r := range stripes {
			jobs = append(jobs, &job{table: t, keys: r})
		}
	}
	return jobs, nil
}

// job is a part of a table that one worker compares.
type job struct {
	*sessions
	table   *table
	index   bool     // the source's index is compared with its heap, nothing else
	keys    keyRange // of a table compared by ranges
	options Options
	follow  *follower
	pending []candidate
	advance func(rows int64)
}

func (v *Verifier) run(ctx context.Context, j *job, s *sessions, follow *follower) error {
	j.sessions, j.options, j.follow = s, v.options, follow
	j.advance = func(rows int64) { v.advance(j.table, rows) }
	j.table.result.begin()
	defer j.table.result.end()
	compare := j.compareStaged
	switch {
	case j.table.result.closed():
		return nil
	case j.index:
		compare = j.compareIndex
	case j.table.ranged():
		compare = j.compareRanges
	case j.table.source.Key == nil:
		compare = j.compareImages
	}
	err := compare(ctx)
	if err == nil {
		err = j.settleAll(ctx)
	}
	if errors.Is(err, errEnough) || (err != nil && j.table.skip(err)) {
		return nil
	}
	return err
}

func (v *Verifier) advance(t *table, rows int64) {
	t.result.compared(rows)
	if v.options.Progress != nil {
		v.progress.Lock()
		defer v.progress.Unlock()
		v.options.Progress(t.source.Name, rows)
	}
}
