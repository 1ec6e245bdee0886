package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// cleanEnvironment keeps the developer's own PostgreSQL settings out of a test.
func cleanEnvironment(tb testing.TB) {
	tb.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PG") {
			tb.Setenv(name, value) // restores it afterwards
			if err := os.Unsetenv(name); err != nil {
				tb.Fatal(err)
			}
		}
	}
	tb.Setenv("HOME", tb.TempDir())
}

func write(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "pgibex.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

const dsns = "source:\n  dsn: postgres://pgibex@old/shop\ntarget:\n  dsn: postgres://pgibex@new/shop\n"

func TestExampleHoldsTheDefaultsAndEveryKey(t *testing.T) {
	cleanEnvironment(t)
	path := write(t, Example)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Source.DSN = "postgres://pgibex@db-old:5432/shop?sslmode=verify-full"
	want.Target.DSN = "postgres://pgibex@db-new:5432/shop?sslmode=verify-full"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	root, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	report := &Error{}
	decodeFile(Default(), root, report)
	for _, s := range settings {
		if report.lines[s.key] == 0 {
			t.Errorf("the example lacks %s", s.key)
		}
	}
}

func TestLoadReadsEveryKey(t *testing.T) {
	cleanEnvironment(t)
	got, err := Load(write(t, "\ufeff"+strings.ReplaceAll(`
stream: night_2
source: {dsn: "host=old dbname=shop password='a b'", encoding: LATIN1}
target:
  dsn: >-
    postgres://pgibex@new/shop
tables:
  include:
    - public.*
    - 'public."a.b"'
  exclude: [public.sessions]
  new: add
capture:
  lock_wait: 1m30ms
  backlog_alert: off
  backlog_stop: 50 GB
copy:
  workers: 64
  chunk_size: 65536
  chunk_time: 1min
apply:
  workers: 0x2
  batch_size: 64 kB
  poll_interval: 1s
metrics:
  listen: off
`, "\n", "\r\n")))
	if err == nil || !strings.Contains(err.Error(), "capture.lock_wait: 1m0.03s is out of range") {
		t.Errorf("got %v, want lock_wait out of range", err)
	}
	want := &Config{
		Stream:  "night_2",
		Source:  Endpoint{DSN: "host=old dbname=shop password='a b'", Encoding: "LATIN1"},
		Target:  Endpoint{DSN: "postgres://pgibex@new/shop"},
		Tables:  Tables{Include: []string{"public.*", `public."a.b"`}, Exclude: []string{"public.sessions"}, New: AddNew},
		Capture: Capture{LockWait: time.Minute + 30*time.Millisecond, BacklogStop: 50 * GB},
		Copy:    Copy{Workers: 64, ChunkSize: 64 * KB, ChunkTime: time.Minute},
		Apply:   Apply{Workers: 2, BatchSize: 64 * KB, PollInterval: time.Second},
		Metrics: Metrics{Listen: "off"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Metrics.Enabled() {
		t.Error("off is enabled")
	}
	if got.Schema() != "pgibex_night_2" {
		t.Errorf("schema %s", got.Schema())
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	cleanEnvironment(t)
	t.Setenv("PGIBEX_SOURCE_DSN", "postgres://env-old/shop")
	c, err := Load(write(t, dsns))
	if err != nil {
		t.Fatal(err)
	}
	if c.Source.DSN != "postgres://env-old/shop" || c.Target.DSN != "postgres://pgibex@new/shop" {
		t.Errorf("got %v and %v", c.Source, c.Target)
	}
	t.Setenv("PGIBEX_TARGET_DSN", "postgres://env-new/shop")
	if _, err := Load(""); err != nil {
		t.Errorf("without a file: %v", err)
	}
	t.Setenv("PGIBEX_SOURCE_DSN", "postgres://u:s3cret@env-old:x/shop")
	_, err = Load("")
	want := "PGIBEX_SOURCE_DSN: source.dsn: not a connection string: a port is not a number; " +
		"write : as %3A, @ as %40 and / as %2F in a password"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestEnvironmentFillsADSNWithoutValue(t *testing.T) {
	cleanEnvironment(t)
	t.Setenv("PGIBEX_SOURCE_DSN", "postgres://env-old/shop")
	if _, err := Load(write(t, strings.Replace(dsns, "postgres://pgibex@old/shop", "", 1))); err != nil {
		t.Error(err)
	}
}

// Each testdata/bad/NAME.yaml has its exact message in NAME.txt; -update writes them.
func TestBadFilesAreExplained(t *testing.T) {
	cleanEnvironment(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := Load(file)
			if err == nil {
				t.Fatal("no error")
			}
			compare(t, strings.TrimSuffix(file, ".yaml")+".txt",
				strings.ReplaceAll(err.Error(), file, "pgibex.yaml")+"\n")
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in %s", err)
			}
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestUnreadableFiles(t *testing.T) {
	cleanEnvironment(t)
	missing := filepath.Join(t.TempDir(), "none.yaml")
	directory := t.TempDir()
	for path, want := range map[string]string{
		missing:   missing + ": no such file; start from the example: pgibex config example > " + missing,
		directory: directory + ": is a directory; name the file in it",
	} {
		if _, err := Load(path); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestUnreadableFileSaysPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read every file")
	}
	path := write(t, dsns)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "permission denied; make the file readable") {
		t.Errorf("got %v", err)
	}
}

func TestValidateListsEverything(t *testing.T) {
	cleanEnvironment(t)
	c := Default()
	c.Copy.Workers = 0
	err := c.Validate()
	var report *Error
	if !errors.As(err, &report) || len(report.Problems()) != 3 {
		t.Fatalf("got %v", err)
	}
	want := `source.dsn: not set: write it in the configuration file or set PGIBEX_SOURCE_DSN
target.dsn: not set: write it in the configuration file or set PGIBEX_TARGET_DSN
copy.workers: 0 is out of range: at least 1, at most 64`
	if err.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", err, want)
	}
}

func TestSameDatabaseIsRefused(t *testing.T) {
	cleanEnvironment(t)
	tests := []struct {
		source, target string
		same           bool
	}{
		{"postgres://a@h/db", "host=h user=b dbname=db port=5432", true},
		{"postgres://db@h", "postgres://other@h/db", true},
		{"postgres://a@h/db", "postgres://a@h:5433/db", false},
		{"postgres://a@h/db", "postgres://a@h/db2", false},
		{"postgres://a@h/db", "postgres://a@h2/db", false},
	}
	for _, tt := range tests {
		c := Default()
		c.Source.DSN, c.Target.DSN = tt.source, tt.target
		if err := c.Validate(); (err != nil) != tt.same {
			t.Errorf("%s and %s: %v", tt.source, tt.target, err)
		}
	}
}

// FuzzLoad puts a password into a file that is broken around it in every way.
func FuzzLoad(f *testing.F) {
	const secret = "s3cr3tS3CR3T"
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "source:\n  dsn: ", "", uint8(0))
	}
	f.Add("", "source: {dsn: '", "' oops }\ntarget: [", uint8(1))
	f.Add("copy:\n  workers: \"", "source:\n\tdsn: |2\n", ":5x/db\n---\n!!a &b *c", uint8(2))
	cleanEnvironment(f)
	f.Fuzz(func(t *testing.T, before, between, after string, form uint8) {
		forms := []string{"postgres://u:%s@h/db", "host=h password=%s", `host=h password = '%s'`, "postgres://h/db?password=%s"}
		dsn := fmt.Sprintf(forms[int(form)%len(forms)], secret)
		_, err := Load(write(t, before+"\n"+between+dsn+after))
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the password is in %q", err)
		}
	})
}

func TestFilesWithPasswordsThatAllMayReadAreWarnedOf(t *testing.T) {
	cleanEnvironment(t)
	const plain, secret = "postgres://pgibex@old/shop", "postgres://pgibex:secret@old/shop"
	for _, test := range []struct {
		name, source string
		mode         os.FileMode
		environment  string
		warned       bool
	}{
		{"for all, with one", secret, 0o644, "", true},
		{"for all, in the keyword form", "'host=old dbname=shop password=secret'", 0o604, "", true},
		{"for all, of a key", plain + "?sslpassword=secret", 0o644, "", true},
		{"for all, though it does not count", secret, 0o644, plain, true},
		{"for all, without one", plain, 0o644, "", false},
		{"for all, but it is elsewhere", plain, 0o644, secret, false},
		{"for a group", secret, 0o640, "", false},
		{"for its owner", secret, 0o600, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(sourceVariable, test.environment)
			path := write(t, "source:\n  dsn: "+test.source+"\ntarget:\n  dsn: postgres://pgibex@new/shop\n")
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			c, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(c.Warnings, "\n")
			if strings.Contains(text, "chmod o= "+path) != test.warned || !test.warned && text != "" || strings.Contains(text, "secret") {
				t.Errorf("warned: %q", text)
			}
		})
	}
}
