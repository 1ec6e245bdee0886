package integration

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

// The benchmarks report ratios between two things measured in the same run: a machine's speed says nothing about ours.

// timed runs statements on the source and returns how long they took.
func (s *stream) timed(sql string) time.Duration {
	s.t.Helper()
	conn := s.connect(s.sourceDSN)
	start := time.Now()
	if _, err := conn.PgConn().Exec(s.t.Context(), sql).ReadAll(); err != nil {
		s.t.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkCapture is what the triggers cost the application, per row and as a ratio to the same statement without them and to
// an empty plpgsql trigger.
func BenchmarkCapture(b *testing.B) {
	const rows = 200_000
	s := newStream(b, `CREATE TABLE captured (id bigint PRIMARY KEY, v int)`)
	s.src(`CREATE TABLE plain (id bigint PRIMARY KEY, v int); CREATE TABLE empty (id bigint PRIMARY KEY, v int);
		CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER nothing AFTER INSERT OR UPDATE ON empty FOR EACH ROW EXECUTE PROCEDURE nothing()`)
	s.config.Tables.Include = []string{"public.captured"}
	if _, err := s.replicator().Install(b.Context()); err != nil {
		b.Fatal(err)
	}
	for operation, sql := range map[string]string{
		"insert": "TRUNCATE {{t}}; INSERT INTO {{t}} SELECT g, g FROM generate_series(1, 200000) g",
		"update": "UPDATE {{t}} SET v = v + 1",
	} {
		b.Run(operation, func(b *testing.B) {
			var took [3]time.Duration
			for b.Loop() {
				for i, table := range []string{"plain", "empty", "captured"} {
					took[i] += s.timed(fill(sql, table))
				}
			}
			b.ReportMetric(float64((took[2]-took[0]).Nanoseconds())/float64(b.N)/rows, "ns/row")
			b.ReportMetric(took[2].Seconds()/took[0].Seconds(), "x-untriggered")
			b.ReportMetric(took[2].Seconds()/took[1].Seconds(), "x-empty-trigger")
		})
	}
}

func fill(sql, table string) string { return pg.Fill(sql, "t", table) }

// BenchmarkCopy is the initial copy of 1,000,000 rows, its indexes and constraints included, as a ratio to a bare COPY TO into
// COPY FROM of the same table and building its primary key afterwards.
func BenchmarkCopy(b *testing.B) {
	s := newStream(b, `CREATE TABLE t (id int PRIMARY KEY, a int, b numeric, c text)`)
	s.config.Copy.Workers = 4
	s.config.Copy.ChunkSize = 16 << 20
	s.dst(`CREATE TABLE bare (LIKE t)`)
	s.src(`INSERT INTO t SELECT g, g % 1000, g / 7.0, repeat('x', g % 80) FROM generate_series(1, 1000000) g; ANALYZE t`)
	var ours, bare time.Duration
	for b.Loop() {
		s.dst(`TRUNCATE t, bare; ALTER TABLE bare DROP CONSTRAINT IF EXISTS bare_pkey`)
		start := time.Now()
		bareCopy(b, s)
		s.dst(`ALTER TABLE bare ADD PRIMARY KEY (id)`)
		bare += time.Since(start)
		start = time.Now()
		s.catchUp()
		ours += time.Since(start)
		if err := s.replicator().Uninstall(b.Context(), true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "x-bare-copy")
	b.ReportMetric(float64(b.N)*1e6/ours.Seconds(), "rows/s")
}

func bareCopy(b *testing.B, s *stream) {
	b.Helper()
	src, err := pg.Server{Side: pg.Source, DSN: s.sourceDSN, Stream: "bench"}.Connect(b.Context(), "bare")
	if err != nil {
		b.Fatal(err)
	}
	defer src.CloseNow()
	dst, err := pg.Server{Side: pg.Target, DSN: s.targetDSN, Stream: "bench"}.Connect(b.Context(), "bare")
	if err != nil {
		b.Fatal(err)
	}
	defer dst.CloseNow()
	err = pg.Pipe(b.Context(), func(ctx context.Context, w io.Writer) error {
		return src.CopyOut(ctx, "COPY public.t TO STDOUT", w)
	}, func(ctx context.Context, r io.Reader) error {
		_, err := dst.CopyIn(ctx, "COPY public.bare FROM STDIN", r)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkApply is the application of 200,000 updates that are waiting, as a ratio to the time that the source took to make them with
// the capture in place.
func BenchmarkApply(b *testing.B) {
	s := newStream(b, `CREATE TABLE t (id int PRIMARY KEY, a int, c text); CREATE TABLE u (id int PRIMARY KEY, a int, c text)`)
	s.src(`INSERT INTO t SELECT g, g, repeat('x', g % 80) FROM generate_series(1, 500000) g; INSERT INTO u SELECT * FROM t`)
	s.catchUp()
	var made, applied time.Duration
	for b.Loop() {
		made += s.timed(`UPDATE t SET a = a + 1 WHERE id % 5 = 0; UPDATE u SET a = a + 1 WHERE id % 5 = 0`)
		start := time.Now()
		s.catchUp()
		applied += time.Since(start)
	}
	b.ReportMetric(applied.Seconds()/made.Seconds(), "x-source")
	b.ReportMetric(float64(b.N)*200_000/applied.Seconds(), "rows/s")
}
