package replicator

import (
	"errors"
	"sync"

	"github.com/pgibex/pgibex/apply"
)

// endings counts how often in a row the server has ended the session that wrote to a table, over all attempts. A server is shut down, and an
// operator ends sessions; where it happens at the same table each time, and nothing of it ever gets through, code of the table does it.
type endings struct {
	mu    sync.Mutex
	times map[int]int // by table; 0: when a batch was committed
}

// maxEndings is how often in a row that may happen.
const maxEndings = 4

// blame counts an *apply.EndedError, and says whether its table is to blame.
func (e *endings) blame(err error) (ended *apply.EndedError, guilty bool) {
	if !errors.As(err, &ended) {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.times == nil {
		e.times = map[int]int{}
	}
	e.times[ended.Table]++
	return ended, ended.Table != 0 && e.times[ended.Table] > maxEndings
}

// atCommit says whether batches end when they are committed, so that the next is to find out whose.
func (e *endings) atCommit() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.times[0] > 1
}

// through notes that something of a table got through, or (0) a batch.
func (e *endings) through(number int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.times, number)
}
