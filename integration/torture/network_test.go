package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// network is what lies between the daemons and one server.
type network struct {
	side, upstream string
	address        string
	dsn            string // through it

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

func newNetwork(tb testing.TB, s *server) *network {
	tb.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // the toxics log to wherever they like
	address, err := url.Parse(s.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	n := &network{side: s.side, upstream: address.Host, address: "127.0.0.1:0"}
	if err := n.join(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.cut)
	n.address = n.proxy.Listen // the port that it was given
	address.Host = n.address
	n.dsn = address.String()
	return n
}

// cut breaks all connections and takes no new ones until join.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proxy.Stop()
}

// join takes connections, through a new proxy: taking toxics out of one may wait for ever for a connection that stands still.
func (n *network) join() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n.proxy = toxiproxy.NewProxy(api, n.side, n.address, n.upstream)
	return n.proxy.Start()
}

// poisonTimeout is for connections that stand still, which also a toxic that comes in waits for.
const poisonTimeout = 3 * time.Second

// poison puts a toxic into both directions. Only cut and join take it out.
func (n *network) poison(kind string, attributes map[string]any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	done := make(chan error, 1)
	go func(proxy *toxiproxy.Proxy) {
		for _, direction := range []string{"upstream", "downstream"} {
			text, err := json.Marshal(map[string]any{"name": kind + direction, "type": kind, "stream": direction, "attributes": attributes})
			if err == nil {
				_, err = proxy.Toxics.AddToxicJson(strings.NewReader(string(text)))
			}
			if err != nil {
				done <- fmt.Errorf("toxic %s: %w", text, err)
				return
			}
		}
		done <- nil
	}(n.proxy)
	select {
	case err := <-done:
		return err
	case <-time.After(poisonTimeout):
		return errors.New("the toxic " + kind + " does not get into all connections")
	}
}

// heal breaks all connections and takes new ones, in which nothing is wrong.
func (n *network) heal() error {
	n.cut()
	return n.join()
}
