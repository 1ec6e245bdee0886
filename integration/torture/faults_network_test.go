package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// networkFaults are those between the daemons and either side.
var networkFaults = []*fault{
	networkFault("cut", 3, sourceNet, false, cut), networkFault("cut", 3, targetNet, false, cut),
	networkFault("half open: nothing passes, nobody is told", 3, sourceNet, true, halfOpen), networkFault("half open: nothing passes, nobody is told", 3, targetNet, true, halfOpen),
	networkFault("slow", 2, sourceNet, true, slow), networkFault("slow", 2, targetNet, true, slow),
	networkFault("one byte at a time", 2, sourceNet, true, oneByOne), networkFault("one byte at a time", 2, targetNet, true, oneByOne),
}

func networkFault(what string, weight int, side string, stalls bool, do func(context.Context, *network, *rand.Rand) error) *fault {
	return &fault{name: side + " " + what, weight: weight, uses: []string{side}, stalls: stalls, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		n := m.sourceNet
		if side == targetNet {
			n = m.targetNet
		}
		return 1, do(ctx, n, r)
	}}
}

func cut(ctx context.Context, n *network, r *rand.Rand) error {
	n.cut()
	pause(ctx, between(r, 0, 3*time.Second))
	return n.join()
}

// halfOpen lets connections live on through which nothing comes, until they are found to be dead.
func halfOpen(ctx context.Context, n *network, r *rand.Rand) error {
	d := between(r, time.Second, 4*time.Second)
	err := n.poison("timeout", map[string]any{"timeout": d.Milliseconds()})
	pause(ctx, d+100*time.Millisecond)
	return errors.Join(err, n.heal())
}

func slow(ctx context.Context, n *network, r *rand.Rand) error {
	err := errors.Join(n.poison("latency", map[string]any{"latency": 20 + r.IntN(300), "jitter": 20}), n.poison("bandwidth", map[string]any{"rate": 20 + r.IntN(500)}))
	pause(ctx, between(r, time.Second, 5*time.Second))
	return errors.Join(err, n.heal())
}

func oneByOne(ctx context.Context, n *network, r *rand.Rand) error {
	err := n.poison("slicer", map[string]any{"average_size": 1, "size_variation": 0, "delay": r.IntN(50)})
	pause(ctx, between(r, time.Second, 4*time.Second))
	return errors.Join(err, n.heal())
}
