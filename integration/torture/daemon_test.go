package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// binary builds pgibex with its fault points. Its directory is named as those of the servers are, so that what a finished run
// leaves is swept when the next one starts a server.
var binary = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("pgibex-server-%d-torture", os.Getpid()))
	path := filepath.Join(dir, "pgibex")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-tags", "torture", "-ldflags", "-X main.version=v0.0.0-torture", "-o", path, "../../cmd/pgibex").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// daemon keeps one pgibex run going, as a service manager does.
type daemon struct {
	m    *machine
	name string
	log  *os.File

	mu     sync.Mutex
	cmd    *exec.Cmd
	fault  func() string // PGIBEX_FAULT of the next process
	starts int

	stop context.CancelFunc
	done chan struct{}
}

// restartAfter is what the service manager waits.
const restartAfter = 200 * time.Millisecond

func (m *machine) newDaemon(ctx context.Context, name string) (*daemon, error) {
	file, err := os.OpenFile(filepath.Join(m.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	d := &daemon{m: m, name: name, log: file, done: make(chan struct{})}
	ctx, d.stop = context.WithCancel(ctx)
	go d.keep(ctx)
	return d, nil
}

// keep starts the process again whenever it has ended.
func (d *daemon) keep(ctx context.Context) {
	defer close(d.done)
	for ctx.Err() == nil {
		var tail tailWriter
		d.mu.Lock()
		cmd := d.m.command("", "run")
		if d.fault != nil {
			cmd.Env = append(cmd.Env, "PGIBEX_FAULT="+d.fault())
		}
		tail.to = d.log
		cmd.Stdout, cmd.Stderr = &tail, &tail
		fmt.Fprintf(d.log, "=== %s start %v\n", time.Now().UTC().Format(time.RFC3339Nano), cmd.Env)
		err := cmd.Start()
		d.cmd = cmd
		d.starts++
		d.mu.Unlock()
		if err != nil {
			d.m.hurt("start %s: %v", d.name, err)
			return
		}
		err = cmd.Wait()
		d.mu.Lock()
		d.cmd = nil
		d.mu.Unlock()
		fmt.Fprintf(d.log, "=== %s end: %v\n", time.Now().UTC().Format(time.RFC3339Nano), err)
		if ctx.Err() == nil {
			d.judge(cmd.ProcessState, tail.String())
			pause(ctx, restartAfter)
		}
	}
}

// judge looks at the end of a process that nobody had asked to end: only our own kills count, and that it may not be able to reach
// a server when it starts, which an operator is told at once.
func (d *daemon) judge(state *os.ProcessState, log string) {
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL, state.ExitCode() == 137:
		return
	case state.ExitCode() == 1:
		last := log[strings.LastIndex(log, "pgibex: ")+1:]
		if (strings.Contains(last, "source (host") || strings.Contains(last, "target (host")) && !strings.Contains(log, "capture installed") {
			d.m.count("a daemon could not reach a server when it started")
			return
		}
	}
	d.m.hurt("the daemon ended by itself: %v\n%s", state, log)
}

// signal sends one to the process, if there is any.
func (d *daemon) signal(signal syscall.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd != nil {
		_ = d.cmd.Process.Signal(signal) // it may have ended
	}
}

// setFault has the following processes fail, or not any more.
func (d *daemon) setFault(fault func() string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// end stops the process by SIGTERM or SIGKILL, and does not start it again.
func (d *daemon) end(signal syscall.Signal) {
	d.stop()
	d.signal(signal)
	select {
	case <-d.done:
	case <-time.After(15 * time.Second):
		d.m.hurt("%s does not end within 15 s of %v", d.name, signal)
		d.signal(syscall.SIGKILL)
		<-d.done
	}
	_ = d.log.Close()
}

// command is pgibex with the machine's configuration, and nothing of this process's environment that means something to it.
func (m *machine) command(fault string, args ...string) *exec.Cmd {
	cmd := exec.Command(m.binary, append(args, "-c", m.config)...)
	cmd.Dir = m.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir}
	if fault != "" {
		cmd.Env = append(cmd.Env, "PGIBEX_FAULT="+fault)
	}
	return cmd
}

// call runs a command to its end, and returns what it said.
func (m *machine) call(ctx context.Context, fault string, args ...string) (code int, out string) {
	cmd := m.command(fault, args...)
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	if err := cmd.Start(); err != nil {
		return -1, err.Error()
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), all.String()
}

// tailWriter hands on what is written and keeps the end of it.
type tailWriter struct {
	to   *os.File
	mu   sync.Mutex
	tail []byte
}

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = append(w.tail, p...)
	if len(w.tail) > 8192 {
		w.tail = w.tail[len(w.tail)-4096:]
	}
	return w.to.Write(p)
}

func (w *tailWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.tail)
}
