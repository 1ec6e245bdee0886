package demo

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/config"
)

func TestEveryActionHasItsFileAndEveryFileItsAction(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(sqlFiles, "sql/application/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, a := range actions {
		named = append(named, "sql/application/"+a.name+".sql")
		if (a.weight > 0) == (a.every > 0) {
			t.Errorf("%s: want either a weight or an interval", a.name)
		}
		for _, statement := range a.statements() {
			if strings.TrimSpace(statement) == "" {
				t.Errorf("%s has an empty statement", a.name)
			}
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, files) {
		t.Errorf("actions %v\nfiles   %v", named, files)
	}
}

func TestConfigurationIsOneThatPgibexTakes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pgibex.yaml")
	source, target := "postgres://u:p%40@127.0.0.1:1/a?sslmode=disable", `host=/tmp dbname='it\'s "b"'`
	if err := os.WriteFile(path, []byte(configuration(source, target, "127.0.0.1:9")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Source.DSN != source || c.Target.DSN != target || c.Stream != "demo" || c.Metrics.Listen != "127.0.0.1:9" {
		t.Errorf("read back %+v", c)
	}
}

func TestParseMetricsSumsTheSeriesOfAName(t *testing.T) {
	t.Parallel()
	text := "# HELP a_total Is\n# TYPE a_total counter\na_total{t=\"x {y} 5\"} 1\na_total{t=\"z\"} 1.5e+06\n\nb 0.25\n"
	m, err := parseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if m["a_total"] != 1500001 || m["b"] != 0.25 || len(m) != 2 {
		t.Errorf("parseMetrics = %v", m)
	}
	if _, err := parseMetrics(strings.NewReader("<p>not metrics</p> here\n")); err == nil {
		t.Error("took a page for metrics")
	}
}

func TestRateIsOverTheLastSamples(t *testing.T) {
	t.Parallel()
	var r rate
	start := time.Now()
	var got float64
	for i := range 100 {
		value := int64(i * 1000)
		if i > 50 {
			value = 50_000 + int64(i-50)*25
		}
		got = r.at(start.Add(time.Duration(i)*sampleEvery), value)
	}
	if got != 100 {
		t.Errorf("rate = %v, want 100 a second", got)
	}
}

func TestLag(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	if w.medianLag() != 0 || w.highestLag() != 0 {
		t.Error("a lag from nothing")
	}
	w.lags = []float64{9, 0.1, 0.3, 0.2, 0.2}
	if w.medianLag() != 0.2 || w.highestLag() != 9 {
		t.Errorf("median %v, highest %v", w.medianLag(), w.highestLag())
	}
}

func TestScreenRedrawsInPlaceOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, terminal: true}
	r := reading{
		phase: "catching up", consistent: true, tables: 12345, ready: 12345, copied: 1e12, applied: 1e12, appliedRate: 1e7,
		backlogBytes: 1e12, backlogRows: 1e11, lag: 1e5, memory: 1e9, transactions: 1e12, transactionRate: 1e5, failures: 1e6,
	}
	s.show(r, 1e5, 1e5)
	for line := range strings.SplitSeq(out.String(), "\n") {
		if len(line) > 80 {
			t.Errorf("%d characters: %q", len(line), line)
		}
	}
	out.Reset()
	s.show(r, 0, 0)
	if !strings.HasPrefix(out.String(), "\x1b[8A\x1b[J") {
		t.Errorf("does not erase the 8 lines that it drew: %q", out.String())
	}
	out.Reset()
	s.say("a line that stays")
	s.say("another")
	if out.String() != "\x1b[8A\x1b[Ja line that stays\nanother\n" {
		t.Errorf("said %q", out.String())
	}
}

func TestScreenWritesPlainLinesElsewhere(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out}
	s.show(reading{phase: "copying"}, 0, 0)
	s.show(reading{phase: "streaming"}, 0, 0)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "copying") || strings.Contains(got, "\x1b") {
		t.Errorf("wrote %q, want one line within two seconds", got)
	}
}
