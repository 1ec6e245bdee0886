package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds pgibex once. Its directory is named as those of the servers are, so that what a finished run leaves is swept
// when the next one starts a server.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("pgibex-server-%d-", os.Getpid())) // a name that nobody knows before
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pgibex")
	out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v0.0.0-test", "-o", path, "../cmd/pgibex").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// process is the real pgibex, as an operator runs it.
type process struct {
	t        testing.TB
	cmd      *exec.Cmd
	out, log *syncBuffer
	gone     chan struct{}
}

// pgibex starts the real binary. Nothing of this process's environment that means something to it or to libpq is handed on.
func pgibex(tb testing.TB, env []string, args ...string) *process {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	return start(tb, env, path, args...)
}

func start(tb testing.TB, env []string, path string, args ...string) *process {
	tb.Helper()
	p := &process{t: tb, out: &syncBuffer{}, log: &syncBuffer{}, gone: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	p.cmd.Dir = tb.TempDir()
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.cmd.Dir}, env...)
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // the exit code is what counts
	}()
	tb.Cleanup(p.kill)
	return p
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

// code waits for the end.
func (p *process) code(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(within):
		p.kill()
		p.t.Fatalf("pgibex %v did not end within %s:\n%s", p.cmd.Args[1:], within, p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// terminate asks it to stop, which must take no longer than 10 s and count as done.
func (p *process) terminate() {
	p.t.Helper()
	p.says("starting") // before that nobody listens to signals
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	if code := p.code(10 * time.Second); code != 0 {
		p.t.Errorf("after SIGTERM: exit code %d:\n%s", code, p.log)
	}
}

// says waits until its log has a text.
func (p *process) says(text string) {
	p.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !p.log.contains(text) {
		select {
		case <-tick.C:
		case <-p.gone:
			if p.log.contains(text) {
				return
			}
			p.t.Fatalf("pgibex ended without saying %q:\n%s", text, p.log)
		case <-deadline.C:
			p.t.Fatalf("pgibex does not say %q:\n%s", text, p.log)
		}
	}
}

// result is what a command that ended has left.
type result struct {
	code     int
	out, log string
}

// command runs one command to its end.
func command(tb testing.TB, env []string, args ...string) result {
	tb.Helper()
	p := pgibex(tb, env, args...)
	code := p.code(60 * time.Second)
	return result{code, p.out.String(), p.log.String()}
}

// file writes a configuration with what the test wants beyond the addresses.
func (s *stream) file(more string) string {
	s.t.Helper()
	return write(s.t, fmt.Sprintf("stream: %s\nsource: {dsn: %q}\ntarget: {dsn: %q}\nmetrics: {listen: \"off\"}\n%s", s.config.Stream, s.sourceDSN, s.targetDSN, more))
}

func write(tb testing.TB, text string) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "pgibex.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// command runs one command on the stream.
func (s *stream) command(more string, args ...string) result {
	s.t.Helper()
	return command(s.t, nil, append(args, "-c", s.file(more))...)
}

// daemon starts pgibex run on the stream.
func (s *stream) daemon(more string) *process {
	s.t.Helper()
	p := pgibex(s.t, nil, "run", "-c", s.file(more))
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("daemon %d said:\n%s", p.cmd.Process.Pid, p.log)
		}
	})
	return p
}

// wants fails the test unless the command ended with that code and said all of this, on either output.
func (r result) wants(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d:\n%s%s", r.code, code, r.out, r.log)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.log, text) {
			t.Errorf("it does not say %q:\n%s%s", text, r.out, r.log)
		}
	}
}

// ours lists what of pgibex is in the catalogs of a database: schemas, triggers, and what depends on them.
func (s *stream) ours(dsn string) []string {
	s.t.Helper()
	return one[[]string](s, dsn, `SELECT ARRAY(
		SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'pgibex%' UNION ALL
		SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE 'pgibex%' UNION ALL
		SELECT 'function ' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname LIKE 'pgibex%' ORDER BY 1)`)
}

// untouched fails the test if there is anything of pgibex on either side.
func (s *stream) untouched() {
	s.t.Helper()
	for _, dsn := range []string{s.sourceDSN, s.targetDSN} {
		if ours := s.ours(dsn); len(ours) > 0 {
			s.t.Errorf("it has left %v", ours)
		}
	}
}

// holds asks a condition of a database; an error counts as false, for a server may be down.
func (s *stream) holds(dsn, condition string) func() bool {
	return func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		defer cancel()
		return ask(ctx, dsn, condition)
	}
}

// replace writes a file anew, as an editor does.
func replace(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}
