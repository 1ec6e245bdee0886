package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

// courtesy sees to it that nobody waits long for a table of the source because we are reading from it: a COPY lasts as long as
// the target takes to write, and whoever wants the table for himself (TRUNCATE, ALTER TABLE) has everybody else queue up behind
// him. What is read is given up, and read again when the table is free.
type courtesy struct{ reads atomic.Int64 }

// courtesyEvery is how often it is looked whether somebody waits: half of the second that nobody shall wait.
const courtesyEvery = 400 * time.Millisecond

// reading notes that a table is being read until the func returned is called.
func (c *courtesy) reading() (done func()) {
	c.reads.Add(1)
	return func() { c.reads.Add(-1) }
}

// errGaveWay means that everything was let go for somebody who waits for a table of the source.
var errGaveWay = errors.New("somebody waits for a table of the source that is being read")

// errSilent means that the source does not answer.
var errSilent = errors.New("the source does not answer")

// answerTimeout is how long the source may take to say whether anything has happened, before it counts as out of reach: another
// daemon may reach it, and shall have the stream within 10 s.
const answerTimeout = 6 * time.Second

// answered asks the source something that takes it no time.
func answered(ctx context.Context, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err := ask(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("%w: %w", errSilent, err)
	}
	return err
}

// attend looks whether somebody waits for what has been read for a while, and whether the source still answers: whoever waits for rows
// of a source that he does not reach any more may wait for ever.
func (r *Replicator) attend(ctx context.Context) error {
	var conn *pg.Conn
	err := answered(ctx, func(ctx context.Context) (err error) {
		conn, err = r.source.Connect(ctx, "courtesy")
		return err
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	ticker := time.NewTicker(courtesyEvery)
	defer ticker.Stop()
	before := false
	var asked []string // what was given up last
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now := r.courtesy.reads.Load() > 0
		long := now && before
		before = now
		var reads []string
		err := answered(ctx, func(ctx context.Context) (err error) {
			if long {
				reads, err = r.capture.GiveWay(ctx, conn)
				return err
			}
			return conn.Ping(ctx)
		})
		switch {
		case err != nil:
			return err
		case slices.ContainsFunc(reads, func(read string) bool { return slices.Contains(asked, read) }):
			return errGaveWay // it does not hear: cut its connection
		case len(reads) > 0:
			r.log.Info("gave way to somebody who waits for a table of the source; it will be read again", "reads", len(reads))
		}
		asked = reads
	}
}
