package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The process's own series are served, those of its host are not.
func TestProcessSeriesAreOfTheProcess(t *testing.T) {
	registry := prometheus.NewRegistry()
	New(registry, "it")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	own := false
	for _, family := range families {
		own = own || family.GetName() == "process_resident_memory_bytes"
		if strings.HasPrefix(family.GetName(), "process_network_") {
			t.Errorf("%s counts what the whole host sends or receives", family.GetName())
		}
	}
	if !own {
		t.Error("the memory of the process is missing")
	}
}

// A daemon is ready while it holds the stream, follows closely, and no table is set aside.
func TestReady(t *testing.T) {
	for name, test := range map[string]struct {
		leading bool
		age     time.Duration
		tables  map[string]int
		code    int
		says    string
	}{
		"a standby":             {false, 0, nil, http.StatusServiceUnavailable, "another daemon holds the stream"},
		"before the first":      {true, 0, map[string]int{"copying": 2}, http.StatusServiceUnavailable, "not streaming yet"},
		"behind":                {true, time.Hour, map[string]int{"streaming": 2}, http.StatusServiceUnavailable, "lag 1h0m0s"},
		"streaming":             {true, time.Second, map[string]int{"streaming": 2, "quarantined": 0}, http.StatusOK, "ok, lag 1"},
		"a table in quarantine": {true, time.Second, map[string]int{"streaming": 26, "quarantined": 1}, http.StatusServiceUnavailable, "1 of 27 tables quarantined"},
	} {
		m := New(prometheus.NewRegistry(), "it")
		m.SetLeading(test.leading)
		if test.age > 0 {
			m.SetCurrent(time.Now().Add(-test.age))
		}
		m.SetTables(test.tables)
		answer := httptest.NewRecorder()
		m.ready(answer, nil)
		if answer.Code != test.code || !strings.Contains(answer.Body.String(), test.says) {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}
