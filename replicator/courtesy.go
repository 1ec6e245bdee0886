package replicator

import (
	"context"
	"errors"
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

// giveWay looks while something is being read that has been for a while.
func (r *Replicator) giveWay(ctx context.Context) error {
	var conn *pg.Conn
	defer func() { conn.CloseNow() }()
	ticker := time.NewTicker(courtesyEvery)
	defer ticker.Stop()
	before, asked := false, false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now := r.courtesy.reads.Load() > 0
		if !now || !before {
			before, asked = now, false
			continue
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = r.source.Connect(ctx, "courtesy"); err != nil {
				return err
			}
		}
		n, err := r.capture.GiveWay(ctx, conn)
		switch {
		case err != nil:
			return err
		case n == 0:
			asked = false
		case asked: // a backend that can not send what it reads does not hear: cut its connection
			return errGaveWay
		default:
			asked = true
			r.log.Info("gave way to somebody who waits for a table of the source; it will be read again", "reads", n)
		}
	}
}
