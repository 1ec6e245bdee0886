package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	mobycontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
)

// dockerAvailable says why there is no Docker to be used.
func dockerAvailable(ctx context.Context) (err error) {
	defer func() { // the library panics where it finds a half of Docker only
		if r := recover(); r != nil {
			err = fmt.Errorf("not usable: %v", r)
		}
	}()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	return provider.Health(ctx)
}

func dockerInstallation(version string) Installation {
	image := "postgres:" + version
	return Installation{Version: version, Origin: "Docker image " + image, image: image}
}

// container is a server from the official image. Its data goes with it.
type container struct {
	image    string
	settings map[string]string
	port     int
	running  *testcontainers.DockerContainer // nil before the first start
}

// newContainer chooses the port itself: one given by Docker would be another after a restart.
func newContainer(ctx context.Context, image string, o options) (*container, error) {
	port, err := freePort(ctx)
	return &container{image: image, settings: o.settings, port: port}, err
}

func (c *container) start(ctx context.Context) error {
	var err error
	if c.running == nil {
		err = c.create(ctx)
	} else {
		err = c.running.Start(ctx)
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

func (c *container) create(ctx context.Context) error {
	command := []string{"postgres"}
	for name, value := range c.settings {
		command = append(command, "-c", name+"="+value)
	}
	inside := network.MustParsePort("5432/tcp")
	var err error
	c.running, err = testcontainers.Run(ctx, c.image,
		testcontainers.WithExposedPorts("5432/tcp"),
		testcontainers.WithEnv(map[string]string{
			"POSTGRES_PASSWORD": "postgres", "POSTGRES_HOST_AUTH_METHOD": "trust",
			"POSTGRES_INITDB_ARGS": "-E UTF8 --locale=C", "TZ": "UTC",
		}),
		testcontainers.WithCmd(command...),
		testcontainers.WithConfigModifier(func(config *mobycontainer.Config) { config.StopSignal = "SIGINT" }),
		testcontainers.WithHostConfigModifier(func(host *mobycontainer.HostConfig) {
			host.PortBindings = network.PortMap{inside: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(c.port)}}}
		}),
	)
	if err != nil {
		return fmt.Errorf("running %s: %w", c.image, err)
	}
	return nil
}

func (c *container) stop(mode StopMode) error {
	timeout := endTimeout
	if mode == Immediate {
		timeout = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout+time.Minute)
	defer cancel()
	return c.running.Stop(ctx, &timeout)
}

func (c *container) close() error {
	if c.running == nil {
		return nil
	}
	return testcontainers.TerminateContainer(c.running)
}

func (c *container) dataDir() string { return "" }

func (c *container) dsn(database string) string {
	if database == "" {
		database = "postgres"
	}
	return localDSN(c.port, database)
}

func (c *container) log() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	logs, err := c.running.Logs(ctx)
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(logs)
	if err := errors.Join(err, logs.Close()); err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(text[max(0, len(text)-logTail):]), "")
}
