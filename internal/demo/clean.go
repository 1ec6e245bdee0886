package demo

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// cleanTimeout is enough to drop two databases, whoever looks at them.
const cleanTimeout = 20 * time.Second

// cleanUp ends all that was started, in the order in which nothing complains, also when ctx is over.
func (d *demo) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	if d.shop != nil {
		d.shop.stop()
	}
	d.daemon.kill()
	var group errgroup.Group
	var source, target, files error
	group.Go(func() error { source = d.source.close(ctx); return nil })
	group.Go(func() error { target = d.target.close(ctx); return nil })
	if d.dir != "" {
		files = os.RemoveAll(d.dir)
	}
	_ = group.Wait() // no function returns an error
	return errors.Join(source, target, files)
}
