package replicator

import "context"

// slot is the right to apply pieces, of which there are apply.workers over all tables. It belongs to one goroutine. Whoever waits for
// something other than the servers gives it back first: those who hold one must never wait for those who wait for one.
type slot struct {
	slots chan struct{}
	held  bool
}

// take waits for a slot, or until ctx or other ends; got is false if it did not get one.
func (s *slot) take(ctx context.Context, other <-chan struct{}) (got bool, err error) {
	select {
	case s.slots <- struct{}{}:
		s.held = true
		return true, nil
	case <-other:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// give gives it back, if it is held.
func (s *slot) give() {
	if s.held {
		s.held = false
		<-s.slots
	}
}
