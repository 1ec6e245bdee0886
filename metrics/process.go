package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// ownProcess collects the process's series without those that count the traffic of the whole host (of its network namespace).
type ownProcess struct{ prometheus.Collector }

func (p ownProcess) Describe(out chan<- *prometheus.Desc) {
	through(p.Collector.Describe, out, func(d *prometheus.Desc) bool { return !ofHost(d) })
}

func (p ownProcess) Collect(out chan<- prometheus.Metric) {
	through(p.Collector.Collect, out, func(m prometheus.Metric) bool { return !ofHost(m.Desc()) })
}

func ofHost(d *prometheus.Desc) bool { return strings.Contains(d.String(), `"process_network_`) }

func through[T any](from func(chan<- T), out chan<- T, keep func(T) bool) {
	all := make(chan T)
	go func() {
		defer close(all)
		from(all)
	}()
	for one := range all {
		if keep(one) {
			out <- one
		}
	}
}
