package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// application is several sessions that write to the source, and what the judge must know of them.
type application struct {
	m        *machine
	schema   *schema
	sessions []*session
	prepared prepared
	calm     atomic.Bool // nobody holds locks for long

	stop context.CancelFunc
	done sync.WaitGroup // the sessions
}

const sessions = 6

// newApplication: every session has a source of decisions of its own.
func newApplication(m *machine, s *schema) *application {
	a := &application{m: m, schema: s}
	a.prepared.app = a
	for i := range sessions {
		a.sessions = append(a.sessions, &session{app: a, id: i, random: m.random(actorSession + uint64(i)), replica: i == sessions-1})
	}
	return a
}

// start has everybody write until end.
func (a *application) start(ctx context.Context) {
	ctx, a.stop = context.WithCancel(ctx)
	for _, s := range a.sessions {
		a.done.Go(func() { s.run(ctx) })
	}
	a.done.Go(func() { a.prepared.run(ctx) })
}

// end returns when all sessions are at rest and nothing is prepared any more.
func (a *application) end(ctx context.Context) {
	a.stop()
	resting := make(chan struct{})
	go func() {
		defer close(resting)
		a.done.Wait()
	}()
	for { // a session may be waiting for what another has prepared
		a.prepared.resolveAll(ctx)
		select {
		case <-resting:
			for _, s := range a.sessions {
				s.close(ctx)
			}
			a.prepared.resolveAll(ctx)
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// plan is a transaction as it was decided, before any of it is run.
type plan struct {
	isolation string
	parts     []part
	outcome   outcome
	pause     time.Duration // before its end
}

// part is an operation, in a savepoint of its own or not.
type part struct {
	steps     []step
	savepoint savepoint
}

type savepoint int

const (
	noSavepoint savepoint = iota
	released
	rolledBack
)

type outcome int

const (
	commit outcome = iota
	rollback
	prepare
)

// decide makes up the next transaction. It asks nobody but the source of decisions.
func (s *session) decide() plan {
	r := s.random
	p := plan{isolation: "READ COMMITTED"}
	switch r.IntN(20) {
	case 0, 1:
		p.isolation = "REPEATABLE READ"
	case 2, 3:
		p.isolation = "SERIALIZABLE"
	}
	switch n := r.IntN(400); {
	case n < 30:
		p.outcome = rollback
	case n == 30:
		p.outcome = prepare
	}
	tables := s.app.schema.keyed
	if s.replica {
		p.parts = append(p.parts, part{steps: onKeyed(r, tables)}, part{steps: onKeyed(r, tables)})
		return p
	}
	switch r.IntN(600) {
	case 0:
		p.outcome = commit
		p.parts = []part{{steps: bulk(r)}}
		return p
	case 1, 2, 3:
		p.parts = []part{{steps: truncate(r, tables)}}
		return p
	case 4, 5:
		p.pause = time.Duration(1+r.IntN(9)) * time.Second
	}
	for range 1 + r.IntN(4) {
		next := part{}
		if r.IntN(10) < 7 {
			next.steps = onKeyed(r, tables)
		} else {
			next.steps = onFixed(r)
		}
		next.savepoint = []savepoint{noSavepoint, noSavepoint, noSavepoint, released, rolledBack}[r.IntN(5)]
		p.parts = append(p.parts, next)
	}
	return p
}

// short is the same without what holds locks for long. Until the capture is installed there must be moments in which nobody holds any.
func (p plan) short() plan {
	p.pause = 0
	if p.outcome == prepare {
		p.outcome = commit
	}
	return p
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// actors that decide have numbers, so that each has a sequence of its own from the one seed.
const (
	actorSchema uint64 = iota
	actorContent
	actorFaults
	actorPrepared
	actorJudge
	actorLife
	actorOptions
	actorSession = 100
	actorFault   = 1000
)

func (m *machine) random(actor uint64) *rand.Rand { return rand.New(rand.NewPCG(m.seed, actor)) }

func gid(session, seq int) string { return fmt.Sprintf("torture %d %d", session, seq) }
