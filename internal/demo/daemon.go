package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// configuration is the file an operator would write for the shop. Chunks are small, to have more than one a table.
func configuration(source, target, listen string) string {
	return fmt.Sprintf("stream: demo\nsource:\n  dsn: %q\ntarget:\n  dsn: %q\ncopy:\n  chunk_size: 4MB\nmetrics:\n  listen: %s\n",
		source, target, listen)
}

// freeAddress is one that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// daemon is the pgibex executable with a configuration: its command run as a process of ours, the others one by one.
type daemon struct {
	binary  string
	config  string
	logFile string

	process *os.Process
	done    chan struct{} // closed when the process has ended
	ended   error         // how; to be read once done is closed
}

// start starts pgibex run. The process ends with this one, where the system can do that.
func (d *daemon) start() error {
	log, err := os.OpenFile(d.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(d.binary, "run", "-c", d.config, "--log-format", "json") //nolint:noctx // it is stopped by signals
	cmd.Env = environment()
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal is for us: the daemon is stopped in its turn
	endWithParent(cmd.SysProcAttr)
	done := make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel binds the end of the child to the thread that forked
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			d.ended = cmd.Wait()
		}
		_ = log.Close() // the child wrote to it, not we
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s run: %w", d.binary, err)
	}
	d.process, d.done = cmd.Process, done
	return nil
}

func (d *daemon) pid() int { return d.process.Pid }

// kill ends the process as kill -9 does; it is no error if it has ended already.
func (d *daemon) kill() {
	if d == nil || d.process == nil {
		return
	}
	_ = d.process.Kill()
	<-d.done
}

// stop sends SIGTERM; the process must then end with exit code 0 within the limit.
func (d *daemon) stop(limit time.Duration) error {
	if err := d.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the daemon: %w", err)
	}
	select {
	case <-d.done:
	case <-time.After(limit):
		d.kill()
		return fmt.Errorf("the daemon had not stopped %v after SIGTERM%s", limit, d.lastLog())
	}
	if d.ended != nil {
		return fmt.Errorf("the daemon stopped after SIGTERM, but with %w%s", d.ended, d.lastLog())
	}
	return nil
}

// failure says how the process ended, if it has.
func (d *daemon) failure() error {
	select {
	case <-d.done:
		how := "exit status 0"
		if d.ended != nil {
			how = d.ended.Error()
		}
		return fmt.Errorf("the daemon ended by itself (%s)%s", how, d.lastLog())
	default:
		return nil
	}
}

// commandLimit is far more than a command takes with a shop of this size.
const commandLimit = 2 * time.Minute

// command runs another command of pgibex to its end and returns what it prints. An error carries that too.
func (d *daemon) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.binary, append([]string{name, "-c", d.config}, args...)...)
	cmd.Env = environment()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("pgibex %s: %w%s", name, err, lastLines(string(out)+stderr.String()))
	}
	return out, nil
}

// status is what pgibex status --json says.
type status struct {
	Phase        string  `json:"phase"`
	Consistent   bool    `json:"consistent"`
	Position     string  `json:"position"`
	LagSeconds   float64 `json:"lag_seconds"`
	BacklogBytes int64   `json:"backlog_bytes"`
	BacklogRows  int64   `json:"backlog_rows"`
	Tables       []struct {
		Table      string `json:"table"`
		State      string `json:"state"`
		Reason     string `json:"reason"`
		RowsCopied int64  `json:"rows_copied"`
	} `json:"tables"`
}

func (d *daemon) status(ctx context.Context) (s status, err error) {
	out, failed := d.command(ctx, "status", "--json")
	if failed != nil && len(out) == 0 { // with problems it ends with 1 and says all the same
		return s, failed
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("reading what pgibex status --json says: %w", err)
	}
	return s, nil
}

func (d *daemon) lastLog() string {
	text, err := os.ReadFile(d.logFile)
	if err != nil {
		return ""
	}
	return lastLines(string(text))
}

// lastLines is what an error says of a longer text: the file it stood in is removed.
func lastLines(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	const most = 15
	lines := strings.Split(text, "\n")
	return "; it said last:\n" + strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// environment leaves out what would lead pgibex to other databases than those of its configuration.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		own := strings.HasPrefix(name, "PGIBEX_")
		return (strings.HasPrefix(name, "PG") && !own) || name == "PGIBEX_SOURCE_DSN" || name == "PGIBEX_TARGET_DSN"
	})
}
