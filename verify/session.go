package verify

import (
	"context"

	"github.com/pgibex/pgibex/internal/pg"
)

// sessions are what one worker works with.
type sessions struct{ source, target *pg.Conn }

func (s *sessions) close() {
	s.source.CloseNow()
	s.target.CloseNow()
}

// pool is all of a verifier's sessions.
type pool struct {
	workers  []*sessions
	follower *pg.Conn // reads the stream's position; nil without a stream
}

func (p *pool) close() {
	for _, w := range p.workers {
		w.close()
	}
	p.follower.CloseNow()
}

func (v *Verifier) connect(ctx context.Context) (_ *pool, err error) {
	p := &pool{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for range v.options.Workers {
		w := &sessions{}
		p.workers = append(p.workers, w)
		if w.source, err = v.source.Connect(ctx, "verify"); err != nil {
			return nil, err
		}
		if w.target, err = v.target.Connect(ctx, "verify"); err != nil {
			return nil, err
		}
	}
	if v.store != nil {
		p.follower, err = v.target.Connect(ctx, "verify")
	}
	return p, err
}

// pinned are statements that look keys up: by the index, whatever the planner knows or does not know of the sizes.
const pinned = `
	SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
	SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`
