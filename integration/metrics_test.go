package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// get asks a daemon's HTTP server; 0 while there is none.
func get(t *testing.T, address, path string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// TestConnectionsOfOthersDoNotStarveTheStream: a daemon with few file descriptors, and a stranger who takes as many of them as he gets.
func TestConnectionsOfOthersDoNotStarveTheStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text)")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	config := write(t, fmt.Sprintf("stream: it\nsource: {dsn: %q}\ntarget: {dsn: %q}\nmetrics: {listen: %q}\n", s.sourceDSN, s.targetDSN, address))
	d := start(t, nil, "/bin/sh", "-c", `ulimit -n 120 && exec "$0" "$@"`, path, "run", "-c", config)
	s.streaming()
	var strangers sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	for range 150 {
		strangers.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1\r\n")
				_, _ = io.Copy(io.Discard, conn) // until it is closed
				stop()
				_ = conn.Close()
			}
		})
	}
	defer strangers.Wait()
	defer end()
	for i := range 3 { // what the daemon has open is lost, and it must open it again
		s.src(fmt.Sprintf("INSERT INTO a SELECT g, 'v' FROM generate_series(%d, %d) g", i*100, i*100+99))
		for _, dsn := range []string{s.sourceDSN, s.targetDSN} {
			s.exec(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgibex/it/%' AND datname = current_database()")
		}
		s.eventually("it streams again", 30*time.Second, func() bool {
			return one[int](s, s.targetDSN, "SELECT count(*)::int FROM a") == (i+1)*100
		})
	}
	end()
	strangers.Wait()
	if code, text := get(t, address, "/metrics"); code != http.StatusOK {
		t.Errorf("/metrics afterwards: %d %s", code, text)
	}
	if strings.Contains(d.log.String(), "too many open files") {
		t.Errorf("it ran out of file descriptors:\n%s", d.log)
	}
	s.streaming()
	s.equal()
	d.terminate()
}

// TestMetrics: what Prometheus and an orchestrator are told by the daemon that leads, and by one that waits.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newStream(t, "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE log (v text); CREATE TABLE odd (id int PRIMARY KEY, v text)")
	s.dst("ALTER TABLE odd ALTER v TYPE varchar(3)")
	s.src("INSERT INTO a SELECT g, 'v' FROM generate_series(1, 100) g; INSERT INTO log VALUES ('x'), ('y')")
	config := func(listen string) string {
		return write(t, fmt.Sprintf("stream: it\nsource: {dsn: %q}\ntarget: {dsn: %q}\nmetrics: {listen: %q}\n", s.sourceDSN, s.targetDSN, listen))
	}
	address := freeAddress(t)
	d := pgibex(t, nil, "run", "-c", config(address))
	s.eventually("it is ready", 20*time.Second, func() bool { code, _ := get(t, address, "/readyz"); return code == http.StatusOK })
	s.streaming()
	s.src("UPDATE a SET v = 'w' WHERE id <= 40; DELETE FROM a WHERE id > 95; INSERT INTO log VALUES ('z'); INSERT INTO odd VALUES (1, 'toolong')")
	s.eventually("one table is quarantined", 20*time.Second, func() bool { state, _ := s.state("public.odd"); return state == "quarantined" })
	var body string
	tells := func(series string) {
		t.Helper()
		s.eventually(series, 10*time.Second, func() bool {
			_, body = get(t, address, "/metrics")
			return strings.Contains(body, "\n"+series+"\n")
		})
	}
	for _, series := range []string{
		`pgibex_leader{stream="it"} 1`, `pgibex_copied_rows_total{stream="it"} 102`, `pgibex_applied_rows_total{stream="it"} 46`, `pgibex_restarts_total{stream="it"} 0`,
		`pgibex_tables{state="streaming",stream="it"} 2`, `pgibex_tables{state="quarantined",stream="it"} 1`, `pgibex_tables{state="copying",stream="it"} 0`, `pgibex_backlog_bytes{stream="it"} 0`,
	} {
		tells(series)
	}
	for _, name := range []string{"pgibex_applied_bytes_total{", "pgibex_copied_bytes_total{", "pgibex_batches_total{", "pgibex_batch_duration_seconds_count{", "pgibex_lag_seconds{", "process_resident_memory_bytes "} {
		if !strings.Contains(body, "\n"+name) || strings.Contains(body, "\n"+name+`stream="it"} 0`+"\n") || strings.Contains(body, "\n"+name+`stream="it"} -1`+"\n") {
			t.Errorf("%s is missing, or nothing was counted:\n%s", name, body)
		}
	}

	other := freeAddress(t)
	waits := pgibex(t, nil, "run", "-c", config(other))
	waits.says("waiting as its standby")
	if code, text := get(t, other, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz of the standby: %d %s", code, text)
	}
	if code, text := get(t, other, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "another daemon holds the stream") {
		t.Errorf("/readyz of the standby: %d %s", code, text)
	}
	if _, text := get(t, other, "/metrics"); !strings.Contains(text, `pgibex_leader{stream="it"} 0`) || !strings.Contains(text, `pgibex_lag_seconds{stream="it"} -1`) {
		t.Errorf("/metrics of the standby:\n%s", text)
	}
	command(t, nil, "run", "-c", config(other)).wants(t, 1, "metrics.listen", "address already in use", "choose another address")
	waits.terminate()
	d.terminate()
}
