// Package metrics is what a daemon tells Prometheus, and the HTTP server that tells it. It measures nothing itself.
package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the series of one stream.
type Metrics struct {
	AppliedRows  prometheus.Counter
	AppliedBytes prometheus.Counter
	Batches      prometheus.Counter
	BatchSeconds prometheus.Histogram
	CopiedRows   prometheus.Counter
	CopiedBytes  prometheus.Counter
	BacklogBytes prometheus.Gauge
	SourceBytes  prometheus.Gauge
	Restarts     prometheus.Counter
	tables       *prometheus.GaugeVec
	current      atomic.Int64 // unix nanoseconds of this host up to which the target is current; 0 before
	leading      atomic.Bool
	members      atomic.Int64 // tables of the stream
	quarantined  atomic.Int64 // of those
}

// New registers the series of a stream.
func New(registry prometheus.Registerer, stream string) *Metrics {
	labels := prometheus.Labels{"stream": stream}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pgibex", Name: name, Help: help, ConstLabels: labels})
	}
	m := &Metrics{
		AppliedRows:  counter("applied_rows_total", "Rows inserted, updated or deleted on the target from deltas."),
		AppliedBytes: counter("applied_bytes_total", "Bytes of COPY text applied from deltas."),
		Batches:      counter("batches_total", "Batches and pieces committed on the target."),
		CopiedRows:   counter("copied_rows_total", "Rows of the initial copy."),
		CopiedBytes:  counter("copied_bytes_total", "Bytes of COPY text of the initial copy."),
		Restarts:     counter("restarts_total", "Times the procedure began anew after an error that may pass."),
		BatchSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "pgibex", Name: "batch_duration_seconds", ConstLabels: labels,
			Help:    "Time from a batch's snapshot on the source to its commit on the target.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}),
		BacklogBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "pgibex", Name: "backlog_bytes", ConstLabels: labels,
			Help: "Bytes of delta segments on the source that are still to be read.",
		}),
		SourceBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "pgibex", Name: "source_disk_bytes", ConstLabels: labels,
			Help: "Bytes that the delta segments of all tables take on the source's disk, applied or not.",
		}),
		tables: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "pgibex", Name: "tables", ConstLabels: labels, Help: "Tables in each state.",
		}, []string{"state"}),
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "pgibex", Name: "lag_seconds", ConstLabels: labels,
		Help: "Age of the snapshot of the source that the target's streaming tables equal; -1 before the first.",
	}, m.lagSeconds)
	leader := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "pgibex", Name: "leader", ConstLabels: labels, Help: "1 while this daemon holds the stream.",
	}, func() float64 {
		if m.leading.Load() {
			return 1
		}
		return 0
	})
	registry.MustRegister(m.AppliedRows, m.AppliedBytes, m.Batches, m.BatchSeconds, m.CopiedRows, m.CopiedBytes, m.BacklogBytes, m.SourceBytes, m.Restarts, m.tables, lag, leader,
		collectors.NewGoCollector(), ownProcess{collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})})
	return m
}

// SetCurrent notes that the target shows everything the source had committed at that time, by this host's clock.
func (m *Metrics) SetCurrent(at time.Time) { m.current.Store(at.UnixNano()) }

// Lag is the age of what the target shows; ok is false before the first batch.
func (m *Metrics) Lag() (lag time.Duration, ok bool) {
	at := m.current.Load()
	if at == 0 {
		return 0, false
	}
	return time.Since(time.Unix(0, at)), true
}

func (m *Metrics) lagSeconds() float64 {
	lag, ok := m.Lag()
	if !ok {
		return -1
	}
	return lag.Seconds()
}

// SetLeading notes whether this daemon holds the stream.
func (m *Metrics) SetLeading(leading bool) { m.leading.Store(leading) }

// quarantined is the state of a table that is set aside.
const quarantined = "quarantined"

// SetTables sets how many tables are in each state.
func (m *Metrics) SetTables(count map[string]int) {
	members := 0
	for state, n := range count {
		m.tables.WithLabelValues(state).Set(float64(n))
		members += n
	}
	m.members.Store(int64(members))
	m.quarantined.Store(int64(count[quarantined]))
}
