package replicator

import (
	"testing"
	"time"
)

func TestSequencePause(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		0:                      5 * time.Second,
		50 * time.Millisecond:  5 * time.Second,
		300 * time.Millisecond: 15 * time.Second,
		10 * time.Second:       time.Minute,
	} {
		if got := sequencePause(took); got != want {
			t.Errorf("after a look of %s: %s, want %s", took, got, want)
		}
	}
}
