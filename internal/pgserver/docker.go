package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// docker runs the command of that name, which knows where the daemon is, and returns what it prints.
func docker(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// dockerAvailable says why there is no Docker to be used.
func dockerAvailable(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("not installed")
	}
	_, err := docker(ctx, nil, "version", "--format", "{{.Server.Version}}")
	return err
}

func dockerInstallation(version string) Installation {
	image := "postgres:" + version
	return Installation{Version: version, Origin: "Docker image " + image, image: image}
}

// container is a server from the official image. Its data goes with it.
type container struct {
	image    string
	name     string
	settings map[string]string
	port     int
	password string
	trust    bool
	end      func() error // nil before the first start
}

// newContainer chooses the port itself: one given by Docker would be another after a restart.
func newContainer(ctx context.Context, image string, o options) (*container, error) {
	port, err := freePort(ctx)
	return &container{
		image: image, name: fmt.Sprintf("pgibex-server-%d-%d", os.Getpid(), port),
		settings: o.settings, port: port, password: rand.Text(), trust: o.trust,
	}, err
}

func (c *container) start(ctx context.Context) error {
	var err error
	if c.end == nil {
		err = c.create(ctx)
	} else {
		_, err = docker(ctx, nil, "start", c.name)
	}
	if err != nil {
		return err
	}
	if err := waitReady(ctx, c.dsn(""), "", nil); err != nil {
		//nolint:contextcheck // ctx may be what ended the wait
		return fmt.Errorf("%w; the end of its log:\n%s", err, c.log())
	}
	return nil
}

// create takes the password from the environment: arguments are for everybody to see.
func (c *container) create(ctx context.Context) error {
	end, err := removeAtEnd(c.name)
	if err != nil {
		return err
	}
	c.end = end
	env := []string{"POSTGRES_PASSWORD=" + c.password, "POSTGRES_INITDB_ARGS=-E UTF8 --locale=C", "TZ=UTC"}
	if c.trust {
		env = append(env, "POSTGRES_HOST_AUTH_METHOD=trust")
	}
	args := []string{
		"run", "--detach", "--name", c.name, "--publish", "127.0.0.1:" + strconv.Itoa(c.port) + ":5432", "--stop-signal", "SIGINT",
	}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		args = append(args, "--env", name)
	}
	args = append(args, c.image, "postgres")
	for name, value := range c.settings {
		args = append(args, "-c", name+"="+value)
	}
	_, err = docker(ctx, env, args...)
	return err
}

// removeAtEnd removes a container when it is called, or when this process ends, even by SIGKILL: a shell waits for the end of a pipe.
func removeAtEnd(name string) (remove func() error, err error) {
	cmd := exec.Command("sh", "-c", `cat; docker rm --force --volumes "$0" 2>&1`, name) //nolint:noctx // it outlives this process
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                               // Ctrl-C in a terminal is for us
	var said strings.Builder
	cmd.Stdout = &said
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_ = pipe.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("removing container %s: %w: %s", name, err, strings.TrimSpace(said.String()))
		}
		return nil
	}, nil
}

func (c *container) stop(mode StopMode) error {
	timeout := endTimeout
	if mode == Immediate {
		timeout = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout+time.Minute)
	defer cancel()
	_, err := docker(ctx, nil, "stop", "-t", strconv.Itoa(int(timeout.Seconds())), c.name)
	return err
}

func (c *container) close() error {
	if c.end == nil {
		return nil
	}
	return c.end()
}

func (c *container) dataDir() string { return "" }

func (c *container) dsn(database string) string {
	if database == "" {
		database = "postgres"
	}
	return localDSN(c.port, c.password, database)
}

func (c *container) log() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "logs", "--tail", "500", c.name)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(text[max(0, len(text)-logTail):]), "")
}
