package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// processFaults are those of the daemons themselves.
var processFaults = []*fault{
	{name: "kill -9 of the daemon", weight: 12, uses: []string{daemonProcess}, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		times := 1 + r.IntN(3)
		for range times {
			m.daemons.each(func(d *daemon) { d.signal(syscall.SIGKILL) })
			pause(ctx, between(r, 0, 800*time.Millisecond))
		}
		return times, nil
	}},
	{name: "daemon stopped (SIGSTOP), then goes on", weight: 4, uses: []string{daemonProcess}, stalls: true, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		m.daemons.each(func(d *daemon) { d.signal(syscall.SIGSTOP) })
		pause(ctx, between(r, 200*time.Millisecond, 4*time.Second))
		m.daemons.each(func(d *daemon) { d.signal(syscall.SIGCONT) })
		return 1, nil
	}},
	{name: "daemon stopped for longer than its lock lives, another takes over", weight: 4, uses: []string{daemonProcess}, stalls: true, run: outlived},
	{name: "two and three daemons, the first killed or ended", weight: 5, uses: []string{daemonProcess}, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		more := 1 + r.IntN(2)
		for range more {
			if err := m.daemons.add(ctx); err != nil {
				return 0, err
			}
			pause(ctx, between(r, 0, time.Second))
		}
		signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}
		for range more {
			m.daemons.remove(signals[r.IntN(2)], r.IntN(3) > 0)
			pause(ctx, between(r, 0, time.Second))
		}
		return more, nil
	}},
	{name: "daemon ended (SIGTERM), started again", weight: 3, uses: []string{daemonProcess}, run: func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		m.daemons.remove(syscall.SIGTERM, true)
		pause(ctx, between(r, 0, 2*time.Second))
		return 1, m.daemons.add(ctx)
	}},
	{name: "fault points: the process ends between two statements", weight: 12, uses: []string{daemonProcess}, run: faultPoints("exit", 10, 1500)},
	{name: "fault points: a connection is cut between two statements", weight: 10, uses: []string{daemonProcess}, run: faultPoints("cut", 10, 400)},
}

// outlived stops the daemon, ends its sessions, has another take over, and lets the first go on.
func outlived(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
	m.daemons.each(func(d *daemon) { d.signal(syscall.SIGSTOP) })
	pause(ctx, between(r, 0, 300*time.Millisecond))
	// Some of its sessions live on: those that it will go on to write over.
	roles := []string{"leader", "leader", "%"}[r.IntN(3)]
	const terminate = "SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE application_name LIKE 'pgibex/" + stream + "/' || $1"
	n, err := ask[int](ctx, m.target, terminate, roles)
	if err == nil && r.IntN(2) == 0 {
		_, err = ask[int](ctx, m.source, terminate, roles)
	}
	if addErr := m.daemons.add(ctx); addErr != nil {
		return 0, addErr
	}
	pause(ctx, between(r, 500*time.Millisecond, 4*time.Second))
	m.daemons.each(func(d *daemon) { d.signal(syscall.SIGCONT) })
	pause(ctx, between(r, 0, time.Second))
	m.daemons.remove(syscall.SIGTERM, r.IntN(2) == 0)
	return n, err
}

// faultPoints has the daemon fail at every so many writes, with ever other seeds, for a while.
func faultPoints(kind string, low, high int) func(context.Context, *machine, *rand.Rand) (int, error) {
	return func(ctx context.Context, m *machine, r *rand.Rand) (int, error) {
		every, until := low+r.IntN(high-low), between(r, 1500*time.Millisecond, 5*time.Second)
		before := m.starts()
		m.daemons.each(func(d *daemon) {
			own := rand.New(rand.NewPCG(r.Uint64(), 0))
			d.setFault(func() string { return fmt.Sprintf("%s:%d:%d", kind, own.Uint32(), every) })
			d.signal(syscall.SIGKILL)
		})
		pause(ctx, until)
		m.daemons.each(func(d *daemon) {
			d.setFault(nil)
			d.signal(syscall.SIGKILL)
		})
		return m.starts() - before, nil
	}
}

// starts is how often a process was started.
func (m *machine) starts() (n int) {
	m.daemons.each(func(d *daemon) {
		d.mu.Lock()
		defer d.mu.Unlock()
		n += d.starts
	})
	return n
}
