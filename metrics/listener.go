package metrics

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// mostConnections is far more than a Prometheus, an orchestrator and a person need, and leaves the stream its file descriptors.
const mostConnections = 64

// crowd is a listener whose connections are bounded: one more closes the oldest. So whoever keeps connections open, and opens others,
// neither takes the daemon's file descriptors nor keeps out the next scrape.
type crowd struct {
	net.Listener
	most int

	mu   sync.Mutex
	open []*member // oldest first
}

type member struct {
	net.Conn
	crowd *crowd
}

func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	m := &member{conn, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.most {
		_ = c.open[0].Conn.Close() // its handler notices
		c.open = c.open[1:]
	}
	c.open = append(c.open, m)
	return m, nil
}

func (m *member) Close() error {
	m.crowd.mu.Lock()
	m.crowd.open = slices.DeleteFunc(m.crowd.open, func(other *member) bool { return other == m })
	m.crowd.mu.Unlock()
	return m.Conn.Close()
}

// complaintsEvery is how often what strangers make the server complain of is logged.
const complaintsEvery = time.Minute

// sparse is a handler that passes on one record a period, and how many it has left out since.
type sparse struct {
	slog.Handler
	every time.Duration

	mu      sync.Mutex
	last    time.Time
	leftOut int
}

func (s *sparse) Handle(ctx context.Context, record slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if record.Time.Sub(s.last) < s.every {
		s.leftOut++
		return nil
	}
	if s.leftOut > 0 {
		record.AddAttrs(slog.Int("left_out", s.leftOut))
	}
	s.last, s.leftOut = record.Time, 0
	return s.Handler.Handle(ctx, record)
}
