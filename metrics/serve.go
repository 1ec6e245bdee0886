package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyLag is the lag beyond which a daemon is not ready: an orchestrator may then alert, it should not kill.
const readyLag = time.Minute

// Serve answers on listen until ctx ends: /metrics; /healthz, 200 while the process works; /readyz, 200 while it holds the
// stream, its lag is below a minute and no table is in quarantine.
func (m *Metrics) Serve(ctx context.Context, listen string, gatherer prometheus.Gatherer) (wait func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w; choose another address, or off (is another pgibex running here?)", err)
	}
	served := make(chan error, 1)
	server := m.server(gatherer)
	go func() { served <- server.Serve(&crowd{Listener: listener, most: mostConnections}) }()
	return func() error {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err := server.Shutdown(closing)
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}, nil
}

// server bounds what a client may take: anybody who reaches the address is one.
func (m *Metrics) server(gatherer prometheus.Gatherer) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("/readyz", m.ready)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(&sparse{Handler: slog.Default().Handler(), every: complaintsEvery}, slog.LevelWarn),
	}
}

func (m *Metrics) ready(w http.ResponseWriter, _ *http.Request) {
	lag, ok := m.Lag()
	switch {
	case !m.leading.Load():
		http.Error(w, "waiting: another daemon holds the stream, or a server cannot be reached", http.StatusServiceUnavailable)
	case !ok:
		http.Error(w, "not streaming yet", http.StatusServiceUnavailable)
	case lag > readyLag:
		http.Error(w, "lag "+lag.Round(time.Second).String(), http.StatusServiceUnavailable)
	case m.quarantined.Load() > 0:
		text := fmt.Sprintf("%d of %d tables quarantined (pgibex status --problems); lag %s", m.quarantined.Load(), m.members.Load(), lag.Round(time.Millisecond))
		http.Error(w, text, http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("ok, lag " + lag.Round(time.Millisecond).String() + "\n"))
	}
}
