package pg

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// ErrGiveUp marks an error that Retry must not retry although it looks transient.
var ErrGiveUp = errors.New("not retried")

// Retry repeats try while its error is transient, for as long as ctx lasts: an old server may be down for
// an hour of maintenance, and then its daemon must go on by itself. Each failure is told to notify, with
// the wait before the next try.
func Retry(ctx context.Context, notify func(error, time.Duration), try func(context.Context) error) error {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMaxInterval(15*time.Second),
		backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotify(func() error {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrGiveUp) || !Transient(err) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(wait, ctx), notify)
}
