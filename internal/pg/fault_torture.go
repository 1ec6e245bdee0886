//go:build torture

package pg

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// faultVariable asks for a failure at what this process sends to the servers. One write to a connection is one message or a
// few that belong together, so that a failure at each of them is one between every two statements:
//
//	exit:SEED:N  the process ends at one write in N, as by kill -9
//	cut:SEED:N   the connection is cut at one write in N
//	exit@K       the process ends at its Kth write
//
// Half of the failures come before the write, half after it, when the server may or may not have done what it was told.
const faultVariable = "PGIBEX_FAULT"

const killedCode = 137 // of a process that kill -9 has ended, as shells say it

// faultPlan decides which writes fail.
type faultPlan struct {
	mu     sync.Mutex
	random *rand.Rand
	exits  bool
	every  int // one in so many
	at     int // or this one
	writes int
}

var faults = sync.OnceValue(func() *faultPlan {
	text := os.Getenv(faultVariable)
	if text == "" {
		return nil
	}
	p, err := parseFault(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", faultVariable, err)
		os.Exit(2)
	}
	return p
})

func parseFault(text string) (*faultPlan, error) {
	p := &faultPlan{exits: true}
	var seed uint64
	if rest, ok := strings.CutPrefix(text, "exit@"); ok {
		_, err := fmt.Sscanf(rest, "%d", &p.at)
		seed = uint64(p.at)
		p.random = rand.New(rand.NewPCG(seed, seed))
		return p, err
	}
	kind, rest, _ := strings.Cut(text, ":")
	if _, err := fmt.Sscanf(rest, "%d:%d", &seed, &p.every); err != nil || p.every < 1 || kind != "exit" && kind != "cut" {
		return nil, fmt.Errorf("%q is none of exit:SEED:N, cut:SEED:N, exit@K", text)
	}
	p.exits = kind == "exit"
	p.random = rand.New(rand.NewPCG(seed, 0))
	return p, nil
}

// next counts a write, and says whether it fails and whether that is after it was done.
func (p *faultPlan) next() (fails, after bool, number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	draw := p.random.Int()
	if p.every > 0 {
		fails = draw/2%p.every == 0
	} else {
		fails = p.writes == p.at
	}
	return fails, draw%2 == 1, p.writes
}

// faultDial puts the fault points into every connection.
func faultDial(dial pgconn.DialFunc) pgconn.DialFunc {
	plan := faults()
	if plan == nil {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &faultConn{conn, plan}, nil
	}
}

type faultConn struct {
	net.Conn
	plan *faultPlan
}

func (c *faultConn) Write(b []byte) (n int, err error) {
	fails, after, number := c.plan.next()
	if !fails {
		return c.Conn.Write(b)
	}
	if after {
		if n, err = c.Conn.Write(b); err != nil {
			return n, err
		}
	}
	if c.plan.exits {
		fmt.Fprintf(os.Stderr, "fault point: the process ends at write %d\n", number)
		os.Exit(killedCode)
	}
	_ = c.Conn.Close() // it is to be as dead as can be
	if after {
		return n, nil // what reads the answer finds the connection closed
	}
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
}
