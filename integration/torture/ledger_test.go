package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// entry is what is known of a transaction.
type entry byte

const (
	absent    entry = iota // not committed
	committed              // acknowledged
	unknown                // asked for, not answered
	pending                // prepared
)

// book is what a session knows of its transactions, by number.
type book struct {
	mu      sync.Mutex
	entries []entry
}

func (b *book) next() (seq int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, absent)
	return len(b.entries) - 1
}

func (b *book) set(seq int, to entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[seq] = to
}

func (b *book) get(seq int) entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq >= len(b.entries) {
		return absent
	}
	return b.entries[seq]
}

// all is a copy.
func (b *book) all() []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]entry{}, b.entries...)
}

// prepared are the transactions that were prepared and wait for their end, which comes from another session, later.
type prepared struct {
	app    *application
	mu     sync.Mutex
	list   []preparedOne
	random *rand.Rand
}

type preparedOne struct {
	session *session
	seq     int
	due     time.Time
	commit  bool
}

func (p *prepared) begin(s *session, seq int) { s.book.set(seq, pending) }

// made notes that a transaction was prepared, or perhaps was.
func (p *prepared) made(s *session, seq int, err error) {
	if outcomeOf(err, pending) == absent {
		s.book.set(seq, absent)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.random == nil {
		p.random = p.app.m.random(actorPrepared)
	}
	wait := time.Duration(p.random.IntN(8000)) * time.Millisecond
	if p.random.IntN(5) == 0 {
		wait *= 6
	}
	p.list = append(p.list, preparedOne{s, seq, time.Now().Add(wait), p.random.IntN(3) > 0})
}

// run ends those that are due, until ctx ends.
func (p *prepared) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, 200*time.Millisecond)
		p.resolve(context.WithoutCancel(ctx), func(one preparedOne) bool { return time.Now().After(one.due) })
	}
}

// resolveAll ends all of them; the source must be up.
func (p *prepared) resolveAll(ctx context.Context) {
	for range 50 {
		p.resolve(ctx, func(preparedOne) bool { return true })
		p.mu.Lock()
		left := len(p.list)
		p.mu.Unlock()
		if left == 0 {
			return
		}
		pause(ctx, 200*time.Millisecond)
	}
	p.app.m.hurt("prepared transactions can not be ended")
}

func (p *prepared) resolve(ctx context.Context, due func(preparedOne) bool) {
	p.mu.Lock()
	var now, later []preparedOne
	for _, one := range p.list {
		if due(one) {
			now = append(now, one)
		} else {
			later = append(later, one)
		}
	}
	p.list = later
	p.mu.Unlock()
	if len(now) == 0 {
		return
	}
	conn, err := p.app.m.source.connect(ctx, "app/prepared")
	if err != nil {
		p.app.m.errors.judge("app/prepared", "connect", err)
		p.again(now)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	for i, one := range now {
		name := gid(one.session.id, one.seq)
		var there bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_prepared_xacts WHERE gid = $1)", name).Scan(&there)
		if err == nil && !there {
			// It was never prepared, or an earlier attempt to end it has been carried out after all.
			if one.session.book.get(one.seq) == pending {
				one.session.book.set(one.seq, absent)
			}
			continue
		}
		verb := map[bool]string{true: "COMMIT", false: "ROLLBACK"}[one.commit]
		if err == nil {
			if one.commit {
				one.session.book.set(one.seq, unknown)
			}
			_, err = conn.PgConn().Exec(ctx, fmt.Sprintf("%s PREPARED '%s'", verb, name)).ReadAll()
		}
		if err != nil {
			p.app.m.errors.judge("app/prepared", verb+" PREPARED", err)
			p.again(now[i:])
			return
		}
		one.session.book.set(one.seq, map[bool]entry{true: committed, false: absent}[one.commit])
	}
}

func (p *prepared) again(list []preparedOne) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, list...)
}
