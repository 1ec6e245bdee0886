package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5"
)

// process is a postmaster that is this process's child.
type process struct {
	install  Installation
	home     string // holds the data, the log and the socket; not the server user's, as data and socket are
	port     int
	password string // the superuser's
	settings map[string]string
	child    *child
}

// maxSocketPath is what every system takes for a Unix socket's address.
const maxSocketPath = 103

// newProcess makes the data directory; start starts the server.
func newProcess(ctx context.Context, install Installation, o options) (*process, error) {
	if err := checkEnterable(o.parent); err != nil {
		return nil, err
	}
	sweep(o.parent)
	home, err := os.MkdirTemp(o.parent, fmt.Sprintf("%s%d-", homePrefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	p := &process{install: install, home: home, settings: o.settings}
	if o.trust {
		p.password = anyPassword
	}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *process) prepare(ctx context.Context) error {
	if len(p.socketDir())+len("/.s.PGSQL.99999") > maxSocketPath {
		return fmt.Errorf("the path %s is too long for a Unix socket: set TMPDIR to a shorter one", p.home)
	}
	// The home stays this process's: the server's user passes through it, and can put nothing in a file's place, the log's for one.
	if err := errors.Join(os.Chmod(p.home, 0o711), os.Mkdir(p.socketDir(), 0o700), giveToServerUser(p.socketDir())); err != nil {
		return err
	}
	if err := newCluster(ctx, p.install, p.dataDir()); err != nil {
		return err
	}
	if p.password == "" {
		if err := authenticate(filepath.Join(p.dataDir(), "pg_hba.conf"), passwordMethod(p.install.Version)); err != nil {
			return err
		}
	}
	settings := map[string]string{"listen_addresses": "127.0.0.1", "unix_socket_directories": p.socketDir(), "logging_collector": "off"}
	if !atLeast(p.install.Version, "9.3") {
		delete(settings, "unix_socket_directories")
		settings["unix_socket_directory"] = p.socketDir()
	}
	file, err := os.OpenFile(filepath.Join(p.dataDir(), "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString("\n" + configuration(p.settings) + configuration(settings))
	return errors.Join(err, file.Close(), giveAway(p.dataDir()))
}

func (p *process) dataDir() string { return filepath.Join(p.home, "data") }
func (p *process) logFile() string { return filepath.Join(p.home, "log") }

func (p *process) dsn(database string) string {
	if database == "" {
		database = "postgres"
	}
	return localDSN(p.port, p.password, database)
}

func localDSN(port int, password, database string) string {
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return address.String()
}

const startAttempts = 5

// start tries again where somebody else was quicker to take the port (a first start only: later the
// port is known to clients), and where the backends of a server that crashed are still leaving.
func (p *process) start(ctx context.Context) error {
	fixed := p.port != 0
	for attempt := 1; ; attempt++ {
		if !fixed {
			port, err := freePort(ctx)
			if err != nil {
				return err
			}
			p.port = port
		}
		err := p.startOnce(ctx)
		if err == nil || attempt == startAttempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *process) startOnce(ctx context.Context) error {
	if err := os.Truncate(p.logFile(), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	//nolint:noctx // ctx ends with the start, the server does not
	cmd := exec.Command(filepath.Join(p.install.BinDir, "postgres"), "-D", p.dataDir(), "-p", strconv.Itoa(p.port))
	cmd.Dir = p.home
	cmd.Env = p.install.Env()
	if err := asServerUser(cmd); err != nil {
		return err
	}
	log, err := os.OpenFile(p.logFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	p.child, err = spawn(cmd)
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	err = waitReady(ctx, p.socketDSN(), p.dataDir(), p.child.done)
	if err == nil && p.password == "" {
		err = p.setPassword(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%w; the end of its log:\n%s", err, p.log()), p.child.end(Immediate))
	}
	return nil
}

func (p *process) stop(mode StopMode) error { return p.child.end(mode) }

// close removes the server's files. After a crash the last of its processes (the statistics collector of 9.2) may still be writing one.
func (p *process) close() error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxElapsedTime(10*time.Second))
	return backoff.Retry(func() error { return os.RemoveAll(p.home) }, wait)
}

const logTail = 64 << 10

func (p *process) log() string {
	file, err := os.Open(p.logFile())
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > logTail {
		_, _ = file.Seek(-logTail, io.SeekEnd)
	}
	tail, _ := io.ReadAll(file)
	return string(tail)
}

// freePort stays below the ports that the kernel gives to clients: one of those might be taken by
// some client's connection while the server is down, and then it could not come back.
func freePort(ctx context.Context) (int, error) {
	const low, high = 15000, 30000
	var config net.ListenConfig
	for range 100 {
		port := low + rand.IntN(high-low)
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port found on 127.0.0.1")
}

const readyPoll = 20 * time.Millisecond

// waitReady connects until the server answers, and makes sure that it is ours.
func waitReady(ctx context.Context, dsn, dataDir string, gone <-chan struct{}) error {
	for {
		err := connectOnce(ctx, dsn, dataDir)
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return errors.New("the server ended at once")
		case <-ctx.Done():
			return fmt.Errorf("the server takes no connection: %w", err)
		case <-time.After(readyPoll):
		}
	}
}

func connectOnce(ctx context.Context, dsn, dataDir string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	var got string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&got); err != nil {
		return err
	}
	if dataDir != "" && got != dataDir {
		return errors.New("another server answers on its port")
	}
	return nil
}

// child is a postmaster, and the thread it hangs on.
type child struct {
	process *os.Process
	done    chan struct{} // closed when it has ended
}

// spawn starts cmd so that it gets SIGQUIT (an immediate shutdown) when this process ends, even by
// SIGKILL. The kernel binds that to the thread which forked, so one thread is kept for it.
func spawn(cmd *exec.Cmd) (*child, error) {
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	endWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	cmd.SysProcAttr.Setpgid = true // Ctrl-C in a terminal is for us, not for the server
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.done)
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // a server that crashed is one that stopped
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

const endTimeout = 30 * time.Second

// end returns when the postmaster is gone; if it does not go, it is killed, and that is an error.
func (c *child) end(mode StopMode) error {
	if c == nil {
		return nil
	}
	sig := map[StopMode]os.Signal{Smart: syscall.SIGTERM, Fast: syscall.SIGINT, Immediate: syscall.SIGQUIT}[mode]
	if err := c.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(endTimeout):
	}
	err := c.process.Kill()
	<-c.done
	return errors.Join(fmt.Errorf("the server did not end within %v of %v and was killed", endTimeout, sig), err)
}
