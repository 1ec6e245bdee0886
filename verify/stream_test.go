package verify

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// fakeStream does by hand what a daemon does: it copies tables, and moves the position in the same transaction.
type fakeStream struct {
	*testSides
	store *state.Store
}

// newStream has the pairs' tables stream, from the present position on.
func newStream(t *testing.T, sides *testSides) *fakeStream {
	t.Helper()
	f := &fakeStream{testSides: sides, store: state.NewStore(stream)}
	require.NoError(t, f.store.Install(t.Context(), sides.d, "the source"))
	require.NoError(t, f.store.Take(t.Context(), sides.d))
	var numbers []int
	for _, p := range sides.pairs(t) {
		require.NoError(t, f.store.Add(t.Context(), sides.d, p.Number, catalog.Name{Schema: "public", Relation: p.Source.Relation}, 0))
		numbers = append(numbers, p.Number)
	}
	require.NoError(t, f.store.Advance(t.Context(), sides.d, f.now(t), numbers))
	return f
}

func (f *fakeStream) now(t *testing.T) change.Position {
	t.Helper()
	at, err := snapshot(t.Context(), f.s)
	require.NoError(t, err)
	return change.Position{Snapshot: at, Clock: time.Now()}
}

// batch replaces the tables by what one snapshot of the source shows, and then plants what is to be found.
func (f *fakeStream) batch(ctx context.Context, source, target *pg.Conn, plant string, tables ...string) error {
	return source.InTx(ctx, pg.BeginSnapshot, func(ctx context.Context) error {
		at, err := snapshot(ctx, source)
		if err != nil {
			return err
		}
		return target.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			for _, table := range tables {
				if err := target.Run(ctx, "DELETE FROM "+table); err != nil {
					return err
				}
				if err := pg.Pipe(ctx, copyOut(source, table), copyIn(target, table)); err != nil {
					return err
				}
			}
			if err := target.Run(ctx, plant); err != nil {
				return err
			}
			return f.store.Advance(ctx, target, change.Position{Snapshot: at, Clock: time.Now()}, nil)
		})
	})
}

// during runs fn over and over until the test calls stop, which returns its error.
func during(t *testing.T, fn func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := fn(context.WithoutCancel(ctx)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func TestWhileTheApplicationWrites(t *testing.T) {
	sides := newSides(t)
	sides.both(t, `CREATE TABLE t (id integer PRIMARY KEY, v integer); CREATE TABLE u (id text PRIMARY KEY, v integer); CREATE TABLE w (id integer, v integer)`)
	sides.onSource(t, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 3000) i; INSERT INTO u SELECT 'k' || i, 0 FROM generate_series(1, 3000) i;
		INSERT INTO w SELECT i % 100, 0 FROM generate_series(1, 1000) i`)
	f := newStream(t, sides)
	const plant = `UPDATE public.t SET v = -1 WHERE id = 5; DELETE FROM public.t WHERE id = 2950; INSERT INTO public.u VALUES ('only', 0);
		DELETE FROM public.u WHERE id = 'k7'; INSERT INTO public.w VALUES (1000, 1000)`
	batchSource, batchTarget, app := connect(t, sides.source), connect(t, sides.target), connect(t, sides.source)
	tables := []string{"public.t", "public.u", "public.w"}
	require.NoError(t, f.batch(t.Context(), batchSource, batchTarget, plant, tables...))
	stopStream := during(t, func(ctx context.Context) error { return f.batch(ctx, batchSource, batchTarget, plant, tables...) })
	turn := 0
	stopApp := during(t, func(ctx context.Context) error {
		turn++
		return app.Run(ctx, fmt.Sprintf(`SET search_path = public;
			UPDATE t SET v = v + 1 WHERE id %% 50 = %[1]d %% 50 AND id > 10 AND id < 2900; DELETE FROM t WHERE id = 3000 + %[1]d - 20; INSERT INTO t VALUES (3000 + %[1]d, 0);
			UPDATE u SET v = v + 1 WHERE id LIKE 'k1%%' AND v %% 7 = %[1]d %% 7; UPDATE u SET id = id || 'x' WHERE id LIKE 'k2%[1]d%%';
			INSERT INTO w VALUES (%[1]d, %[1]d); DELETE FROM w WHERE id = %[1]d - 10 AND v > 0`, turn))
	})
	v := New(sides.source, sides.target, f.store, Options{Settle: 20 * time.Second})
	results, err := v.Tables(t.Context(), f.pairs(t))
	stopApp()
	stopStream()
	require.NoError(t, err)
	require.Greater(t, turn, 10)
	require.Equal(t, []Difference{
		{Key: "(id)=(2950)", Kind: Missing, Rows: 1},
		{Key: "(id)=(5)", Kind: Different, Rows: 1, Columns: []string{"v"}},
	}, differences(results[0]))
	require.Equal(t, []Difference{{Key: "(id)=(k7)", Kind: Missing, Rows: 1}, {Key: "(id)=(only)", Kind: Unexpected, Rows: 1}}, differences(results[1]))
	require.Equal(t, []Difference{{Key: "(1000,1000)", Kind: Unexpected, Rows: 1}}, differences(results[2]))
	for _, r := range results {
		require.Empty(t, r.Notes)
		t.Logf("%+v", r)
	}
}

// A change that the daemon has not yet applied is no difference, however long it takes.
func TestWaitsForThePosition(t *testing.T) {
	for _, table := range []string{"id integer PRIMARY KEY, v integer", "id text PRIMARY KEY, v integer", "id integer, v integer"} {
		t.Run(table, func(t *testing.T) {
			sides := newSides(t)
			sides.both(t, "CREATE TABLE t ("+table+"); INSERT INTO t VALUES (1, 1), (2, 2)")
			f := newStream(t, sides)
			sides.onSource(t, "UPDATE t SET v = 3 WHERE v = 1; INSERT INTO t VALUES (3, 3); DELETE FROM t WHERE v = 2")
			batchSource, batchTarget := connect(t, sides.source), connect(t, sides.target)
			var once bool
			stop := during(t, func(ctx context.Context) error {
				if once || !f.isWaiting(ctx) {
					return nil
				}
				once = true
				return f.batch(ctx, batchSource, batchTarget, "", "public.t")
			})
			results, err := New(sides.source, sides.target, f.store, Options{}).Tables(t.Context(), f.pairs(t))
			stop()
			require.NoError(t, err)
			require.True(t, results[0].Equal(), "%+v", results[0])
			require.Empty(t, results[0].Notes)
			require.True(t, once)
		})
	}
}

// isWaiting says whether the verifier has looked at the position several times: the last of its looks is long after its session began.
func (f *fakeStream) isWaiting(ctx context.Context) bool {
	var waiting bool
	err := f.d.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE '%/verify' AND query LIKE '%drain%' AND query_start > backend_start + interval '500 ms')`).Scan(&waiting)
	return err == nil && waiting
}

func TestTakesAStreamThatStandsStillAsItIs(t *testing.T) {
	sides := newSides(t)
	sides.both(t, "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (LIKE t); CREATE TABLE v (LIKE t)")
	f := newStream(t, sides)
	require.NoError(t, f.store.Quarantine(t.Context(), sides.d, 2, errors.New("somebody dropped its trigger"), false, f.now(t)))
	_, err := sides.d.Exec(t.Context(), f.store.SQL("DELETE FROM {{schema}}.relation WHERE number = 3"))
	require.NoError(t, err)
	sides.onSource(t, "INSERT INTO t VALUES (2); INSERT INTO u VALUES (1); INSERT INTO v VALUES (1)")
	v := New(sides.source, sides.target, f.store, Options{})
	v.grace = 300 * time.Millisecond
	results, err := v.Tables(t.Context(), f.pairs(t))
	require.NoError(t, err)
	require.Equal(t, []Difference{{Key: "(id)=(2)", Kind: Missing, Rows: 1}}, results[0].Differences)
	require.Equal(t, []string{"the stream did not move for 300ms; the target was taken as it is"}, results[0].Notes)
	require.Equal(t, "quarantined: somebody dropped its trigger", results[1].Skipped)
	require.Equal(t, int64(1), results[2].Total)
	require.Equal(t, []string{"the target was taken as it is: the table is not part of the stream"}, results[2].Notes)

	require.NoError(t, f.store.Uninstall(t.Context(), sides.d))
	results, err = New(sides.source, sides.target, f.store, Options{}).Tables(t.Context(), f.pairs(t))
	require.NoError(t, err)
	require.Equal(t, []string{"the target was taken as it is: it holds no state of the stream"}, results[0].Notes)
}

// A row that never stands still is neither equal nor different.
func TestGivesUpOnRowsThatNeverStandStill(t *testing.T) {
	sides := newSides(t)
	sides.both(t, "CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t VALUES (1, 0), (2, 0)")
	sides.onTarget(t, "UPDATE t SET v = -1 WHERE id = 1")
	var stops []func()
	for range 3 { // one alone may not be scheduled for longer than two looks take
		app := connect(t, sides.source)
		stops = append(stops, during(t, func(ctx context.Context) error { return app.Run(ctx, "UPDATE public.t SET v = v + 1 WHERE id = 1") }))
	}
	stop := func() {
		for _, stop := range stops {
			stop()
		}
	}
	var results []Result
	for range 5 { // on a busy machine the row may stand still for longer than two looks take
		var err error
		results, err = New(sides.source, sides.target, nil, Options{Settle: time.Second}).Tables(t.Context(), sides.pairs(t))
		require.NoError(t, err)
		if results[0].Unsettled == 1 {
			break
		}
	}
	stop()
	require.Equal(t, int64(1), results[0].Unsettled)
	require.Empty(t, results[0].Differences)
	require.False(t, results[0].Equal())
}
