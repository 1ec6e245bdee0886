package replicator

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pgibex/pgibex/apply"
)

func TestEndings(t *testing.T) {
	t.Parallel()
	var e endings
	lost := func(table int) error {
		return fmt.Errorf("batch: %w", &apply.EndedError{Table: table, Err: errors.New("terminating connection")})
	}
	for i := 1; i <= maxEndings+1; i++ {
		if ended, guilty := e.blame(lost(7)); ended == nil || guilty != (i > maxEndings) {
			t.Errorf("table 7, time %d: %v, guilty %v", i, ended, guilty)
		}
		if i%3 == 0 {
			e.through(8)
		}
		if _, guilty := e.blame(lost(8)); guilty {
			t.Errorf("table 8, time %d: guilty, although it got through in between", i)
		}
		if _, guilty := e.blame(lost(0)); guilty || e.atCommit() != (i > 1) {
			t.Errorf("a commit, time %d: guilty %v, to be looked at %v", i, guilty, e.atCommit())
		}
	}
	if ended, guilty := e.blame(errors.New("something else")); ended != nil || guilty {
		t.Error("another error counts")
	}
	e.through(0)
	e.through(7)
	if _, guilty := e.blame(lost(7)); guilty || e.atCommit() {
		t.Error("what got through still counts")
	}
}
