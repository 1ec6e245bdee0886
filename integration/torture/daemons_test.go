package torture

import (
	"context"
	"fmt"
	"sync"
	"syscall"
)

// daemons are those that are running at present: mostly one, at times a second and a third.
type daemons struct {
	m *machine

	mu   sync.Mutex
	list []*daemon
	made int
}

// add starts one more. It lives on until it is ended, whatever fault has started it.
func (d *daemons) add(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made++
	one, err := d.m.newDaemon(context.WithoutCancel(ctx), fmt.Sprintf("daemon-%d", d.made))
	if err != nil {
		return err
	}
	d.list = append(d.list, one)
	return nil
}

// remove ends the last but for one.
func (d *daemons) remove(signal syscall.Signal, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := len(d.list) - 1
	if first {
		i = 0
	}
	d.list[i].end(signal)
	d.list = append(d.list[:i], d.list[i+1:]...)
}

// end ends all.
func (d *daemons) end(signal syscall.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.list {
		one.end(signal)
	}
	d.list = nil
}

// each does something to all that are there.
func (d *daemons) each(do func(*daemon)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.list {
		do(one)
	}
}

func (d *daemons) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.list)
}
