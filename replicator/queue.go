package replicator

import (
	"slices"
	"sync"
)

// queue holds the jobs of a load. It is closed when everything is planned and nothing is left or under way.
type queue struct {
	mu       sync.Mutex
	changed  *sync.Cond
	jobs     []job
	underway int
	complete bool // planned
	closed   bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *queue) locked(change func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change()
	q.changed.Broadcast()
}

// push queues a job; what finishes a table goes before further chunks.
func (q *queue) push(j job) {
	q.locked(func() {
		if j.chunk == nil {
			q.jobs = slices.Insert(q.jobs, 0, j)
		} else {
			q.jobs = append(q.jobs, j)
		}
	})
}

// putOff queues a job behind all others.
func (q *queue) putOff(j job) { q.locked(func() { q.jobs = append(q.jobs, j) }) }

// pop waits for a job; false means that there will be none any more.
func (q *queue) pop() (job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.closed:
			return job{}, false
		case len(q.jobs) > 0:
			j := q.jobs[0]
			q.jobs = q.jobs[1:]
			q.underway++
			return j, true
		case q.complete && q.underway == 0:
			return job{}, false
		}
		q.changed.Wait()
	}
}

func (q *queue) done()    { q.locked(func() { q.underway-- }) }
func (q *queue) planned() { q.locked(func() { q.complete = true }) }
func (q *queue) close()   { q.locked(func() { q.closed = true }) }

func (q *queue) addStep(t *loading, n int) { q.locked(func() { t.left += n }) }

// stepDone counts one job of the table's present step as done, and says whether it was the last.
func (q *queue) stepDone(t *loading) (last bool) {
	q.locked(func() { t.left--; last = t.left == 0 })
	return last
}

func (q *queue) isGone(t *loading) (gone bool) {
	q.locked(func() { gone = t.gone })
	return gone
}

func (q *queue) setGone(t *loading) (first bool) {
	q.locked(func() { first = !t.gone; t.gone = true })
	return first
}
