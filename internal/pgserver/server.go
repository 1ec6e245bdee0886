package pgserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// StopMode is how a server is shut down, in the terms of pg_ctl.
type StopMode int

const (
	// Fast breaks off the clients' transactions and writes a checkpoint.
	Fast StopMode = iota
	// Smart waits for the clients to leave.
	Smart
	// Immediate breaks off everything: the next start recovers from the write-ahead log.
	Immediate
)

// ErrNotOurs is returned for what cannot be done to a server that was only given by its address.
var ErrNotOurs = errors.New("the server was not started here, so it cannot be stopped or restarted")

// backend is the way a server is run: a process, a container, or not by us at all.
type backend interface {
	start(ctx context.Context) error
	stop(mode StopMode) error
	close() error
	dsn(database string) string // an empty name: the one to be administered from
	dataDir() string
	log() string
}

const startTimeout = time.Minute

// Server is a running PostgreSQL server. All methods may be called from several goroutines.
type Server struct {
	install Installation
	backend backend

	mu      sync.Mutex
	running bool
	closed  bool
}

// Start finds the version and starts a server of it, with a data directory of its own that Close
// removes. The server ends with this process, however that ends. The error carries the end of the
// server's log.
func Start(ctx context.Context, version string, opts ...Option) (*Server, error) {
	install, err := Find(ctx, version)
	if err != nil {
		return nil, err
	}
	return install.Start(ctx, opts...)
}

// Start starts a server of this installation, as the function Start does.
func (i Installation) Start(ctx context.Context, opts ...Option) (*Server, error) {
	s := &Server{install: i}
	o := newOptions(opts)
	var err error
	switch {
	case i.dsn != "":
		s.backend = address(i.dsn)
	case i.image != "":
		s.backend, err = newContainer(ctx, i.image, o)
	default:
		s.backend, err = newProcess(ctx, i, o)
	}
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL %s: %w", i.Version, err)
	}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	const version = "SELECT split_part(current_setting('server_version'), ' ', 1)"
	if err := s.query(ctx, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, version).Scan(&s.install.Version) }); err != nil {
		return nil, errors.Join(fmt.Errorf("asking PostgreSQL %s for its version: %w", i.Version, err), s.Close())
	}
	return s, nil
}

// DSN is the address of a database for the superuser. An empty name gives one to administer from.
func (s *Server) DSN(database string) string { return s.backend.dsn(database) }

// Version is the full version, as the running server reports it.
func (s *Server) Version() string { return s.install.Version }

// Installation is what the server runs from.
func (s *Server) Installation() Installation { return s.install }

// DataDir is the data directory; empty where it is not on this machine's disk.
func (s *Server) DataDir() string { return s.backend.dataDir() }

// Log is the end of the server's log, some 64 KiB; empty where it is not ours to read.
func (s *Server) Log() string { return s.backend.log() }

// Stop shuts the server down and returns when it is gone; its data stays. Stopping a stopped one is
// no error.
func (s *Server) Stop(mode StopMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil
	}
	if err := s.backend.stop(mode); err != nil {
		return fmt.Errorf("stopping PostgreSQL %s: %w", s.install.Version, err)
	}
	s.running = false
	return nil
}

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.Stop(Immediate) }

// Restart starts the server again on the same port and data, after a fast stop if it still runs. It
// returns when the server takes connections, or after a minute with an error.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(Fast); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("restarting PostgreSQL %s: it is closed", s.install.Version)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.backend.start(ctx); err != nil {
		return fmt.Errorf("starting PostgreSQL %s: %w", s.install.Version, err)
	}
	s.running = true
	return nil
}

// Close ends the server and removes its data. A server given by its address is left as it is.
func (s *Server) Close() error {
	if err := s.Stop(Immediate); err != nil && !errors.Is(err, ErrNotOurs) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.backend.close(); err != nil {
		return fmt.Errorf("removing PostgreSQL %s: %w", s.install.Version, err)
	}
	return nil
}

// address is a server that somebody else runs.
type address string

func (a address) start(context.Context) error { return nil }
func (a address) stop(StopMode) error         { return ErrNotOurs }
func (a address) close() error                { return nil }
func (a address) dataDir() string             { return "" }
func (a address) log() string                 { return "" }
func (a address) dsn(database string) string  { return withDatabase(string(a), database) }
