package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	sampleEvery = 250 * time.Millisecond
	statusEvery = time.Second // each is a process with two connections
)

// reading is what the screen shows.
type reading struct {
	phase        string
	consistent   bool
	tables       int // all of the stream
	ready        int // of them streaming
	copied       int64
	applied      int64 // in all lives of the daemon
	appliedRate  float64
	backlogBytes int64
	backlogRows  int64
	lag          float64 // seconds
	memory       int64   // bytes; 0 where it is not known

	transactions    int64
	transactionRate float64
	failures        int64
}

func (r reading) streaming() bool {
	return r.phase == "streaming" && r.tables > 0 && r.ready == r.tables
}

// watcher reads the daemon's figures again and again and shows them. It is used from one goroutine.
type watcher struct {
	daemon *daemon
	shop   *application
	screen *screen
	url    string
	client *http.Client

	last          reading
	lastStatus    time.Time
	statusErr     error
	lagKnown      bool  // this life of the daemon has committed a batch; before that its lag is -1
	appliedBefore int64 // by the lives before
	applied, done rate

	saidFailure bool // of the application
	measureLag  bool
	lags        []float64 // seconds
	peakMemory  int64
}

func newWatcher(d *daemon, shop *application, s *screen, url string) *watcher {
	return &watcher{
		daemon: d, shop: shop, screen: s, url: url,
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // no connection survives the daemon
		last:   reading{phase: "starting"},
	}
}

// newLife says that the daemon was ended: its counters begin again.
func (w *watcher) newLife() {
	w.appliedBefore = w.last.applied
	w.lagKnown, w.lastStatus = false, time.Time{}
}

// until watches until what is looked for holds. It fails after limit, when the daemon ends or a table is quarantined.
func (w *watcher) until(ctx context.Context, what string, limit time.Duration, holds func(reading) bool) error {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if err := w.sample(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if holds(w.last) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%s: not done after %v, phase %s, %d of %d tables streaming%s",
				what, limit, w.last.phase, w.last.ready, w.last.tables, w.daemon.lastLog()), w.statusErr)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// during watches for a time.
func (w *watcher) during(ctx context.Context, period time.Duration) error {
	end := time.Now().Add(period)
	return w.until(ctx, "streaming", period+time.Minute, func(reading) bool { return time.Now().After(end) })
}

// forEver watches until ctx ends, which is an error only in its name.
func (w *watcher) forEver(ctx context.Context) error {
	const years = 1000 * time.Hour
	return w.until(ctx, "streaming", years, func(reading) bool { return false })
}

func (w *watcher) sample(ctx context.Context) error {
	if err := w.daemon.failure(); err != nil {
		return err
	}
	r := &w.last
	m, err := scrape(ctx, w.client, w.url)
	if err == nil {
		w.lagKnown = m[lagSeconds] >= 0
		if w.lagKnown {
			r.lag = m[lagSeconds]
		}
		r.applied = w.appliedBefore + int64(m[appliedRows])
	}
	if time.Since(w.lastStatus) >= statusEvery {
		if err := w.readStatus(ctx); err != nil {
			return err
		}
	}
	now := time.Now()
	r.appliedRate = w.applied.at(now, r.applied)
	r.transactions, r.failures = w.shop.transactions.Load(), w.shop.failures.Load()
	r.transactionRate = w.done.at(now, r.transactions)
	var peak int64
	r.memory, peak = memory(w.daemon.pid())
	w.peakMemory = max(w.peakMemory, peak)
	if w.measureLag {
		w.lags = append(w.lags, r.lag)
	}
	if err := w.shop.err(); err != nil && !w.saidFailure {
		w.saidFailure = true
		w.screen.say("Failed  %v", err)
	}
	w.screen.show(*r, w.medianLag(), w.highestLag())
	return nil
}

// readStatus takes over what pgibex status says; its error is that of a table that is quarantined.
func (w *watcher) readStatus(ctx context.Context) error {
	s, ok := w.askStatus(ctx)
	if !ok {
		return nil
	}
	r := &w.last
	r.phase, r.consistent = s.Phase, s.Consistent
	if r.phase == "not installed" {
		r.phase = "installing"
	}
	r.backlogRows, r.backlogBytes = s.BacklogRows, s.BacklogBytes
	r.tables, r.ready, r.copied = len(s.Tables), 0, 0
	for _, t := range s.Tables {
		r.copied += t.RowsCopied
		switch t.State {
		case "streaming":
			r.ready++
		case "quarantined":
			return fmt.Errorf("table %s is quarantined: %s", t.Table, t.Reason)
		}
	}
	if !w.lagKnown {
		r.lag = max(s.LagSeconds, 0)
	}
	return nil
}

// askStatus keeps an error to be told when the time is up: before the installation there is nothing to be said.
func (w *watcher) askStatus(ctx context.Context) (s status, ok bool) {
	s, w.statusErr = w.daemon.status(ctx)
	w.lastStatus = time.Now()
	return s, w.statusErr == nil
}

func (w *watcher) medianLag() float64 {
	if len(w.lags) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(w.lags))[len(w.lags)/2]
}

func (w *watcher) highestLag() float64 {
	if len(w.lags) == 0 {
		return 0
	}
	return slices.Max(w.lags)
}

// rate is what a counter gains a second, over the last seconds.
type rate struct {
	times  []time.Time
	values []int64
}

const rateSamples = 12 // at sampleEvery: three seconds

func (r *rate) at(now time.Time, value int64) float64 {
	r.times, r.values = append(r.times, now), append(r.values, value)
	if extra := len(r.times) - rateSamples; extra > 0 {
		r.times, r.values = r.times[extra:], r.values[extra:]
	}
	elapsed := now.Sub(r.times[0]).Seconds()
	if elapsed <= 0 {
		return 0
	}
	return float64(value-r.values[0]) / elapsed
}
