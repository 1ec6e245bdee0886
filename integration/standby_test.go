package integration

import (
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
)

// TestTheStandbyTakesOver has the first of two daemons fall out while it is busy, in every way but a stop (connections_test.go). The second
// must have the stream soon, and the first, when it comes to itself, must write nothing more.
func TestTheStandbyTakesOver(t *testing.T) {
	t.Parallel()
	busy := (*stream).backlog
	calm := func(*stream) {}
	for _, test := range []struct {
		name  string
		doing func(*stream)
		fall  func(t *testing.T, first *process, source, target *toxiproxy.Proxy)
	}{
		{"killed", busy, func(_ *testing.T, first *process, _, _ *toxiproxy.Proxy) { first.kill() }},
		{"cut off from the source", busy, func(t *testing.T, _ *process, source, _ *toxiproxy.Proxy) { t.Helper(); swallow(t, source) }},
		{"cut off from the source without a backlog", calm, func(t *testing.T, _ *process, source, _ *toxiproxy.Proxy) { t.Helper(); swallow(t, source) }},
		{"cut off from the target", busy, func(t *testing.T, _ *process, _, target *toxiproxy.Proxy) { t.Helper(); swallow(t, target) }},
		{"cut off from both", busy, func(t *testing.T, _ *process, source, target *toxiproxy.Proxy) {
			t.Helper()
			swallow(t, source)
			swallow(t, target)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, crashSchema)
			s.src(crashRows)
			s.command("", "catchup").wants(t, 0)
			s.noteWriters()
			first, source, target := s.proxiedDaemon(t)
			s.eventually("the first leads", 20*time.Second, func() bool { return s.status().Daemon })
			second := s.daemon(smallChunks)
			second.says("waiting as its standby")
			stop := s.application()
			test.doing(s)
			began := time.Now()
			test.fall(t, first, source, target)
			second.says("taking over the stream")
			took := time.Since(began)
			t.Logf("the standby has taken over after %v", took.Round(time.Millisecond))
			if took > takeover {
				t.Errorf("the standby has taken over after %v", took)
			}
			heal(t, source, target)
			select {
			case <-first.gone:
			default:
				first.says("waiting as its standby")
			}
			s.backlog()
			stop()
			s.streaming()
			second.terminate()
			s.command("", "catchup") // by either
			s.oneWriterAtATime()
			first.kill()
			s.command("", "catchup").wants(t, 0)
			s.equal()
			s.hasIndexes()
		})
	}
}

// proxiedDaemon starts a daemon whose connections to either side can be hurt.
func (s *stream) proxiedDaemon(t *testing.T) (d *process, source, target *toxiproxy.Proxy) {
	t.Helper()
	sourceDSN, targetDSN := s.sourceDSN, s.targetDSN
	defer func() { s.sourceDSN, s.targetDSN = sourceDSN, targetDSN }()
	s.sourceDSN, source = proxied(t, sourceDSN)
	s.targetDSN, target = proxied(t, targetDSN)
	return s.daemon(smallChunks), source, target
}

// heal has new connections pass again; the old ones are gone.
func heal(t *testing.T, proxies ...*toxiproxy.Proxy) {
	t.Helper()
	for _, proxy := range proxies {
		proxy.Stop()
		for _, stream := range []string{"upstream", "downstream"} {
			_ = proxy.Toxics.RemoveToxic(t.Context(), stream) // there may be none
		}
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// noteWriters has the target note, in the order of the commits, in which generation the stream's position was moved.
func (s *stream) noteWriters() {
	s.t.Helper()
	s.dst(`CREATE SCHEMA judge; CREATE TABLE judge.moved (at timestamptz, generation bigint);
		CREATE FUNCTION judge.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO judge.moved VALUES (clock_timestamp(), NEW.generation); RETURN NULL; END $$;
		CREATE TRIGGER note AFTER UPDATE ON pgibex_it.stream FOR EACH ROW EXECUTE PROCEDURE judge.note();
		ALTER TABLE pgibex_it.stream ENABLE ALWAYS TRIGGER note`)
}

// oneWriterAtATime fails the test if who had lost the stream has moved its position since.
func (s *stream) oneWriterAtATime() {
	s.t.Helper()
	const late = "SELECT count(*)::int FROM (SELECT generation, lag(generation) OVER (ORDER BY at) AS before FROM judge.moved) m WHERE generation < before"
	if n := one[int](s, s.targetDSN, late); n > 0 {
		s.t.Errorf("%d times somebody moved the position who had lost the stream", n)
	}
	generations := one[string](s, s.targetDSN, "SELECT min(generation) || ' to ' || max(generation) || ' in ' || count(*) || ' moves' FROM judge.moved")
	if n := one[int](s, s.targetDSN, "SELECT count(DISTINCT generation)::int FROM judge.moved"); n < 2 {
		s.t.Errorf("the stream was never taken over: generations %s", generations)
	}
	s.t.Logf("generations %s", generations)
}
