package replicator

import (
	"testing"
	"time"
)

func TestSequencePause(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]time.Duration{0: 5 * time.Second, 500: 5 * time.Second, 2000: 15 * time.Second, 50000: time.Minute} {
		if got := sequencePause(count); got != want {
			t.Errorf("%d sequences: %s, want %s", count, got, want)
		}
	}
}
