package replicator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pgibex/pgibex/capture"
)

const (
	guardEvery = 10 * time.Second
	alertEvery = 10 * time.Minute
	// guardTimeout is for a source out of reach; to stop recording hundreds of tables over a slow network takes a while.
	guardTimeout = 2 * time.Minute
)

// guard watches what the changes that wait take of the source's disk, until running ends, also while the target can not be reached,
// which is when they gather. What it has begun it ends unless ctx does: a daemon that is started again and again, and does not find
// its target, guards the source too.
func (r *Replicator) guard(ctx, running context.Context) error {
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	var alerted time.Time
	for {
		if !r.standby.Load() {
			if err := r.guardOnce(ctx, &alerted); err != nil && ctx.Err() == nil {
				r.log.Warn("can not look at the disk that changes take on the source", "error", err)
			}
		}
		select {
		case <-running.Done():
			return running.Err()
		case <-ticker.C:
		}
	}
}

func (r *Replicator) guardOnce(ctx context.Context, alerted *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	src, err := r.source.Connect(ctx, "guard")
	if err != nil {
		return err
	}
	defer src.CloseNow()
	if _, err := r.capture.ID(ctx, src); errors.Is(err, capture.ErrMissing) {
		return nil
	} else if err != nil {
		return err
	}
	size, err := r.capture.Size(ctx, src)
	if err != nil {
		return err
	}
	r.metrics.SourceBytes.Set(float64(size))
	alert, stop := int64(r.config.Capture.BacklogAlert), int64(r.config.Capture.BacklogStop)
	if stop > 0 && size > stop {
		why := fmt.Sprintf("changes were recorded no more since %s, when those waiting took %s of the source's disk (capture.backlog_stop is %s)",
			time.Now().UTC().Format(time.RFC3339), humanize.IBytes(uint64(size)), r.config.Capture.BacklogStop)
		stopped, err := r.capture.Stop(ctx, src, why)
		if err != nil {
			return err
		}
		if stopped {
			r.log.Error("the changes waiting take too much of the source's disk: they are recorded no more, and every table must be copied again",
				"bytes", humanize.IBytes(uint64(size)), "backlog_stop", r.config.Capture.BacklogStop.String(), "remedy", "pgibex resync --all, once the target can take them")
			select {
			case r.anew <- struct{}{}:
			default:
			}
			return nil // given back next time, when nobody reads them any more
		}
	}
	if alert > 0 && size > alert && time.Since(*alerted) > alertEvery {
		*alerted = time.Now()
		r.log.Warn("the changes waiting take much of the source's disk", "bytes", humanize.IBytes(uint64(size)), "backlog_alert", r.config.Capture.BacklogAlert.String())
	}
	return r.capture.Discard(ctx, src)
}
