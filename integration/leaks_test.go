package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
	"github.com/pgibex/pgibex/internal/state"
	"github.com/pgibex/pgibex/replicator"
)

// commands are all that connect, in an order in which each has something to do.
var commands = []struct {
	name string
	call func(context.Context, *replicator.Replicator) error
}{
	{"plan", func(ctx context.Context, r *replicator.Replicator) error { return r.PlanInstall(ctx, io.Discard) }},
	{"install", func(ctx context.Context, r *replicator.Replicator) error { _, err := r.Install(ctx); return err }},
	{"catchup", func(ctx context.Context, r *replicator.Replicator) error { _, err := r.CatchUp(ctx); return err }},
	{"status", func(ctx context.Context, r *replicator.Replicator) error { _, err := r.Status(ctx); return err }},
	{"verify", func(ctx context.Context, r *replicator.Replicator) error { _, err := r.Verify(ctx, nil); return err }},
	{"resync", func(ctx context.Context, r *replicator.Replicator) error {
		_, err := r.Resync(ctx, nil, true)
		return err
	}},
	{"catchup after resync", func(ctx context.Context, r *replicator.Replicator) error { _, err := r.CatchUp(ctx); return err }},
	{"remove", func(ctx context.Context, r *replicator.Replicator) error {
		return r.Remove(ctx, []string{"public.goes"})
	}},
	{"add", func(ctx context.Context, r *replicator.Replicator) error { return r.Add(ctx, []string{"public.comes"}) }},
	{"run", func(ctx context.Context, r *replicator.Replicator) error { return r.Run(ctx) }},
	{"uninstall", func(ctx context.Context, r *replicator.Replicator) error { return r.Uninstall(ctx, true) }},
}

// TestNothingLeaks has every command end in every way: done, refused, by an error and canceled. Not a goroutine, session, temporary table or
// file may be left.
func TestNothingLeaks(t *testing.T) {
	if os.Getenv(aloneVariable) == "" {
		t.Parallel()
		alone(t)
		return
	}
	s := newStream(t, crashSchema+"CREATE TABLE comes (id int PRIMARY KEY); CREATE TABLE goes (id int PRIMARY KEY)")
	s.src(crashRows)
	s.config.Copy.ChunkSize = 256 << 10
	s.config.Tables.Exclude = []string{"public.comes"}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would close sessions that nobody refers to any more
	working, temporary := t.TempDir(), t.TempDir()
	t.Chdir(working)
	t.Setenv("TMPDIR", temporary)
	running := goleak.IgnoreCurrent()
	ended := func(how string) {
		t.Helper()
		s.nothingLeft(how, running)
		for _, dir := range []string{working, temporary} {
			if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
				t.Fatalf("%s has left %v (%v)", how, files, err)
			}
		}
	}

	for _, c := range commands { // there is no stream yet
		if c.name == "plan" || c.name == "verify" || c.name == "resync" || c.name == "add" || c.name == "remove" {
			err := c.call(t.Context(), s.replicator())
			if refused := err != nil; refused == (c.name == "plan") {
				t.Errorf("%s without a stream: %v", c.name, err)
			}
			ended(c.name + ", refused")
		}
	}
	right := *s.config
	closed := with(t, s.sourceDSN, func(u *url.URL) { u.Host = "127.0.0.1:1" })
	for _, c := range commands {
		for _, side := range []*string{&s.config.Source.DSN, &s.config.Target.DSN} {
			*side = closed
			if err := c.call(t.Context(), s.replicator()); err == nil {
				t.Errorf("%s without a server succeeded", c.name)
			}
			*s.config = right
			ended(c.name + " without a server")
		}
	}

	for _, c := range commands {
		switch c.name {
		case "remove":
			s.config.Tables.Exclude = []string{"public.comes", "public.goes"}
		case "add":
			s.config.Tables.Exclude = []string{"public.goes"}
		}
		s.src("UPDATE item SET n = n + 1 WHERE id % 3 = 0; INSERT INTO log VALUES (now(), 'leaks')")
		for _, after := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			err := c.call(ctx, s.replicator())
			cancel()
			if err != nil && ctx.Err() == nil && c.name != "remove" && c.name != "add" { // those find it done
				t.Errorf("%s: %v", c.name, err)
			}
			ended(fmt.Sprintf("%s, canceled after %v (%v)", c.name, after, err))
		}
		s.terminatedIn(c.name, c.call)
		ended(c.name + ", its sessions terminated")
		if c.name == "uninstall" {
			break
		}
		if c.name == "run" {
			s.anotherVersion(running)
			continue
		}
		if err := c.call(t.Context(), s.replicator()); err != nil && c.name != "remove" && c.name != "add" {
			t.Errorf("%s: %v", c.name, err)
		}
		ended(c.name + ", done")
	}
	if err := s.replicator().Uninstall(t.Context(), true); err != nil {
		t.Error(err)
	}
	s.untouched()
}

// aloneVariable tells a test that it has a process of its own.
const aloneVariable = "PGIBEX_TEST_ALONE"

// alone runs a test on the same servers in a process of its own: what concerns a whole process (its goroutines, its environment) can be
// looked at while other tests go on in this one.
func alone(t *testing.T) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), aloneVariable+"=1", "PGIBEX_VERSIONS_FILE=",
		pgserver.AddressVariable(pgserver.SourceVersion)+"="+pgtest.Source(t).DSN(""), pgserver.AddressVariable(pgserver.TargetVersion)+"="+pgtest.Target(t).DSN(""))
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v:\n%s", err, out)
	}
}

// terminatedIn ends the sessions of a command while it works.
func (s *stream) terminatedIn(name string, call func(context.Context, *replicator.Replicator) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
	defer cancel()
	done := make(chan error, 1)
	r := s.replicator()
	go func() { done <- call(ctx, r) }()
	const terminate = "coalesce((SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/it/%'), false)"
	for range 5 {
		s.holds(s.sourceDSN, terminate)()
		s.holds(s.targetDSN, terminate)()
	}
	if name == "run" {
		cancel()
	}
	err := <-done
	if errors.Is(err, context.DeadlineExceeded) {
		s.t.Logf("%s, its sessions terminated, had to be canceled", name)
	}
}

// anotherVersion has every command refused because a newer pgibex was here.
func (s *stream) anotherVersion(running goleak.Option) {
	s.t.Helper()
	for _, dsn := range []string{s.sourceDSN, s.targetDSN} {
		s.exec(dsn, fmt.Sprintf("UPDATE pgibex_it.stream SET version = %d", state.Version+1))
		for _, c := range commands {
			var other *state.VersionError
			if err := c.call(s.t.Context(), s.replicator()); !errors.As(err, &other) {
				s.t.Errorf("%s on another version's state: %v", c.name, err)
			}
			s.nothingLeft(c.name+", refused", running)
		}
		s.exec(dsn, fmt.Sprintf("UPDATE pgibex_it.stream SET version = %d", state.Version))
	}
}

// leaveWithin is how long a session that is cut off in the middle of a statement may take: pgx has its statement canceled, and hears the server
// out, for 15 s at most.
const leaveWithin = 20 * time.Second

// nothingLeft waits until all that a command had is gone.
func (s *stream) nothingLeft(how string, running goleak.Option) {
	s.t.Helper()
	for deadline := time.Now().Add(leaveWithin); ; { // goleak itself waits a little
		left := goleak.Find(running)
		if left == nil {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %v", how, left)
		}
	}
	for _, dsn := range []string{s.sourceDSN, s.targetDSN} {
		s.eventually(how+": its sessions and temporary tables are gone", leaveWithin, s.holds(dsn, `NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgibex/%')
			AND NOT EXISTS (SELECT 1 FROM pg_class WHERE relpersistence = 't') AND NOT EXISTS (SELECT 1 FROM pg_prepared_xacts WHERE database = current_database())
			AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`))
	}
}
