package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(standInMode); mode != "" {
		os.Exit(standIn(mode, os.Args[1:]))
	}
	pgtest.Main(m)
}

func TestApplicationWritesWithoutAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t, pgtest.Source(t))
	if _, err := createSource(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	before, err := read(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if n := before.rows(); n < 200_000 || n > 400_000 {
		t.Errorf("the shop has %d rows, want some hundred thousand", n)
	}
	if n := len(before.tables); n < 12 {
		t.Errorf("the shop has %d tables, want a dozen", n)
	}
	everyActionWritesInEverySession(t, dsn)

	app, err := startApplication(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer app.stop()
	waitFor(t, "3 seconds' worth of transactions", func() bool {
		return app.transactions.Load()+app.failures.Load() > 3*wantedRate
	})
	app.stop()
	if err := app.err(); err != nil {
		t.Error(err)
	}
	after, err := read(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range after.tables {
		if f.hash == before.tables[name].hash {
			t.Errorf("the application has not changed table %s", name)
		}
	}
	for name, c := range after.sequences {
		if c == before.sequences[name] {
			t.Errorf("the application has not moved sequence %s", name)
		}
	}
}

func everyActionWritesInEverySession(t *testing.T, dsn string) {
	t.Helper()
	for n := range sessions {
		s, err := newSession(t.Context(), dsn, n)
		if err != nil {
			t.Fatal(err)
		}
		defer closeConn(t.Context(), s.conn)
		for _, a := range actions {
			var rows int64
			for range 5 { // where a random choice was past the last row the next one is not
				wrote, err := s.transact(t.Context(), a)
				if err != nil {
					t.Fatalf("%s of session %d: %v", a.name, n, err)
				}
				rows += wrote
			}
			if rows == 0 && a.name != "empty_carts" {
				t.Errorf("%s of session %d wrote nothing", a.name, n)
			}
		}
	}
}

func TestDifferencesNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t, pgtest.Target(t))
	if err := createTarget(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	const fill = `INSERT INTO seats VALUES (1, 1), (2, 2); INSERT INTO clicks VALUES (1, 'a', 0.1, NULL), (1, 'a', 0.1, NULL);
		INSERT INTO "we""ird" VALUES ('a', NULL); TRUNCATE trigger_fired`
	execute(t, dsn, fill)
	same := mustRead(t, dsn)
	delete(same.tables, trap) // as on the source
	for _, test := range []struct{ name, change, want string }{
		{"a row more", "INSERT INTO seats VALUES (3, 3)", "table seats has 2 rows on the source, 3 on the target"},
		{"another value", "UPDATE seats SET place = 3 WHERE id = 1", "table seats has 2 rows on both sides, but not the same"},
		{"null is not empty", `SET session_replication_role = replica; UPDATE "we""ird" SET "va""lue" = ''`, `table we"ird has 1 rows on both sides`},
		{"a float's last bit", "UPDATE clicks SET seconds = 0.1::float8 + 1e-17::float8 + 2e-17::float8", "table clicks has 2 rows"},
		{"one of two equal rows", "DELETE FROM clicks WHERE ctid = (SELECT min(ctid) FROM clicks)", "table clicks has 2 rows on the source, 1 on the target"},
		{"a sequence", "SELECT setval('invoices', 4711)", "sequence invoices is at 1000 (is_called false) on the source, at 4711"},
		{"a trigger", `UPDATE "we""ird" SET "Key" = "Key"`, "fired 1 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			execute(t, dsn, test.change)
			found := differences(same, mustRead(t, dsn))
			if len(found) != 1 || !strings.Contains(found[0].Error(), test.want) {
				t.Errorf("differences = %v, want one with %q", found, test.want)
			}
			execute(t, dsn, `TRUNCATE seats, clicks, "we""ird"; SELECT setval('invoices', 1000, false);`+fill)
			if found := differences(same, mustRead(t, dsn)); len(found) > 0 {
				t.Fatalf("equal again, but differences = %v", found)
			}
		})
	}
}

// The procedure, with a stand-in for the executable that copies all at the end.
func TestProcedure(t *testing.T) {
	pgtest.Source(t) // skips where there is no 9.2
	for _, test := range []struct {
		mode string
		want []string // in the error
	}{
		{"right", nil},
		{"copies nothing", []string{"table seats has 400 rows on the source, 0 on the target", "a trigger of the target fired 1 times"}},
		{"ends by itself", []string{"the daemon ended by itself (exit status 3); it said last:\nout of luck"}},
		{"quarantines", []string{"table public.orders is quarantined: a column was dropped"}},
		{"cannot verify", []string{"pgibex verify: exit status 1; it said last:\nnot equal"}},
		{"does not stop", []string{"the daemon stopped after SIGTERM, but with exit status 1"}},
	} {
		t.Run(test.mode, func(t *testing.T) {
			t.Setenv(standInMode, test.mode)
			out, err := runDemo(t, t.Context(), Options{Seconds: 1})
			if len(test.want) == 0 && err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v, want %q\n%s", err, want, out)
				}
			}
			nothingIsLeft(t)
		})
	}
}

func TestHoldEndsWithoutAnError(t *testing.T) {
	pgtest.Source(t)
	t.Setenv(standInMode, "right")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, err := runDemo(t, ctx, Options{Seconds: 1, Hold: true, Out: &onText{text: "Ctrl-C", do: cancel}})
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	nothingIsLeft(t)
}

func TestInterruptedIsAnErrorAndLeavesNothing(t *testing.T) {
	pgtest.Source(t)
	t.Setenv(standInMode, "right")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := runDemo(t, ctx, Options{Out: &onText{text: "Daemon ", do: cancel}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
	nothingIsLeft(t)
}

// onText is a writer that does something when it is given a text.
type onText struct {
	bytes.Buffer
	text string
	do   func()
}

func (w *onText) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.do()
	}
	return w.Buffer.Write(p)
}

func runDemo(t *testing.T, ctx context.Context, o Options) (string, error) {
	t.Helper()
	t.Setenv("TMPDIR", pgtest.TempDir(t))
	t.Setenv("GORACE", "atexit_sleep_ms=0")                     // the stand-in ends a hundred times
	t.Setenv("PGIBEX_SOURCE_DSN", "postgres://not-this-one/db") // a newcomer's environment must not matter
	var err error
	if o.Binary, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	out := new(bytes.Buffer)
	if o.Out == nil {
		o.Out = out
	}
	err = Run(ctx, o)
	return out.String(), err
}

func nothingIsLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left", entry.Name())
	}
	if parent := os.Getenv("TMPDIR"); parent == "" || slices.Contains([]string{"/tmp", "/"}, parent) {
		t.Errorf("looked for what is left in %q", parent)
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(t.Context(), conn)
	if err := conn.PgConn().Exec(t.Context(), sql).Close(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func mustRead(t *testing.T, dsn string) contents {
	t.Helper()
	c, err := read(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
