package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serving starts a server as a daemon has it.
func serving(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := New(registry, "it").Serve(ctx, address, registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
	return address
}

func dial(t *testing.T, address, says string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, says); err != nil {
		t.Fatal(err)
	}
	return conn
}

func scrape(t *testing.T, address string) {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), "pgibex_lag_seconds") {
		t.Errorf("%d %v: %s", response.StatusCode, err, body)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(entries)
}

// Nobody who only holds connections keeps out a scrape, or takes more of the daemon's descriptors than a few.
func TestIdleConnectionsAreBounded(t *testing.T) {
	address := serving(t)
	before := descriptors(t)
	const held = 1000
	for range held {
		dial(t, address, "")
	}
	scrape(t, address)
	if taken := descriptors(t) - before - held; taken > 74 { // the test's own ends count too
		t.Errorf("%d connections have taken %d descriptors of the server", held, taken)
	}
}

// A client that does not end its request is done with in seconds.
func TestSlowClientsAreDoneWith(t *testing.T) {
	t.Parallel()
	address := serving(t)
	for name, test := range map[string]struct{ says, answer string }{
		"nothing at all":          {"", ""},
		"a header without an end": {"GET /metrics HTTP/1.1\r\nX: ", ""},
		"a body without an end":   {"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx", "HTTP/1.1 200"},
		"a header without bounds": {"GET /metrics HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10), "HTTP/1.1 431"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, address, test.says)
			if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn) // to its end, which a reset is too
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open after 30 s")
			}
			if !strings.HasPrefix(string(answer), test.answer) {
				t.Errorf("it answers %.40q", answer)
			}
		})
	}
	scrape(t, address)
}

func TestComplaintsAreSparse(t *testing.T) {
	var out bytes.Buffer
	log := slog.NewLogLogger(&sparse{Handler: slog.NewTextHandler(&out, nil), every: time.Hour}, slog.LevelWarn)
	for range 1000 {
		log.Print("http: accept: too many open files")
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	log = slog.NewLogLogger(&sparse{Handler: slog.NewTextHandler(&out, nil), leftOut: 7}, slog.LevelWarn)
	log.Print("again")
	if !strings.Contains(out.String(), "left_out=7") {
		t.Errorf("it does not say how many were left out:\n%s", out.String())
	}
}
