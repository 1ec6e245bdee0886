package replicator

import (
	"context"
	"errors"
	"testing"
)

func TestSlot(t *testing.T) {
	slots := make(chan struct{}, 1)
	a, b := &slot{slots: slots}, &slot{slots: slots}
	if got, err := a.take(t.Context(), nil); !got || err != nil {
		t.Fatalf("a free slot: %v, %v", got, err)
	}
	done := make(chan struct{})
	close(done)
	if got, err := b.take(t.Context(), done); got || err != nil {
		t.Errorf("nothing left to do: %v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := b.take(ended, nil); got || !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v, %v", got, err)
	}
	b.give() // which it does not hold
	a.give()
	a.give()
	if got, err := b.take(t.Context(), nil); !got || err != nil {
		t.Errorf("given back: %v, %v", got, err)
	}
	b.give()
	if len(slots) != 0 {
		t.Errorf("%d slots are taken by nobody", len(slots))
	}
}
