package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"
)

func TestRedact(t *testing.T) {
	tests := []struct{ dsn, want string }{
		{"", ""},
		{"postgres://", "postgres://"},
		{"postgres://u@h:5432/db?sslmode=off", "postgres://u@h:5432/db?sslmode=off"},
		{"postgres://u:s3cret@h/db", "postgres://u:xxxxx@h/db"},
		{"postgresql://u:s3c%40ret@h1:1,h2,[::1]:5/db", "postgresql://u:xxxxx@h1:1,h2,[::1]:5/db"},
		{"postgres://:s3cret@", "postgres://:xxxxx@"},
		{"postgres://u:s:3:cret@h", "postgres://u:xxxxx@h"},
		{"postgres://h/db?user=u&password=s3cret&sslmode=off", "postgres://h/db?user=u&password=xxxxx&sslmode=off"},
		{"postgres://h/db?pass%77ord=s3cret", "postgres://h/db?pass%77ord=xxxxx"},
		{"postgres://h/db?sslpassword=s3cret", "postgres://h/db?sslpassword=xxxxx"},
		{"postgres://h?password=s3=cret", "postgres://xxxxx"},
		{"postgres://h?password=s3&cret", "postgres://xxxxx"},
		{"postgres://u:s3/cret@h/db", "postgres://xxxxx"},
		{"postgres://u:12/s3cret@h/db", "postgres://xxxxx"},
		{"postgres://u:s3@cret@h/db", "postgres://xxxxx"},
		{"postgres://u:s3?cret@h/db", "postgres://u:xxxxx@h/db"},
		{"postgres://u:s3%cret@h/db", "postgres://xxxxx"},
		{"postgres://u:s3cret", "postgres://xxxxx"},
		{"postgres://u%zz:s3cret@h", "postgres://xxxxx"},
		{"host=h user=u dbname=db", "host=h user=u dbname=db"},
		{"host=h password=s3cret user=u", "host=h password=xxxxx user=u"},
		{"host = h  password = 's3 cret'\nuser=u", "host=h password=xxxxx user=u"},
		{`password='s3\' cret' host=h`, "password=xxxxx host=h"},
		{`password=s3\ cret host=h`, "password=xxxxx host=h"},
		{`password=s3cret\`, "password=xxxxx"},
		{`password='s3cret host=h`, "password=xxxxx xxxxx"},
		{`password=s3 cret host=h`, "password=xxxxx xxxxx"},
		{`user='u password=s3cret`, "xxxxx"},
		{"PASSWORD=s3cret passwrod=s3cret passwd=s3cret pwd=s3cret", "PASSWORD=xxxxx passwrod=xxxxx passwd=xxxxx pwd=xxxxx"},
		{"passfile=/etc/pass host=h", "passfile=/etc/pass host=h"},
		{"password=", "password=xxxxx"},
		{"mysql://u:s3cret@h/db?sslmode=off", "xxxxx"},
		{"Postgres://u:s3cret@h/db", "xxxxx"},
		{"s3cret", "xxxxx"},
	}
	for _, tt := range tests {
		if got := Redact(tt.dsn); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.dsn, got, tt.want)
		}
		if _, err := ParseDSN(tt.dsn); err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: the password is in %v", tt.dsn, err)
		}
	}
}

func TestParseDSNErrors(t *testing.T) {
	cleanEnvironment(t)
	const keywordForm = "not a connection string: write postgres://user@host:port/database or host=… user=… dbname=…; " +
		`a value with a space or a quote in it stands in single quotes, with \' for a quote and \\ for a backslash`
	tests := []struct{ dsn, want string }{
		{"postgres://u:s3cret@h:99999/db", "cannot use postgres://u:xxxxx@h:99999/db: invalid port"},
		{"postgres://u:s3cret@h/db?sslmode=s3cret", "cannot use postgres://u:xxxxx@h/db?sslmode=s3cret: failed to configure TLS: sslmode is invalid"},
		{"postgres://u:s3cret@h/db?connect_timeout=x", `cannot use postgres://u:xxxxx@h/db?connect_timeout=x: invalid connect_timeout: strconv.ParseInt: parsing "x": invalid syntax`},
		{"postgres://u:x@h/db?connect_timeout=x", "cannot use postgres://u:xxxxx@h/db?connect_timeout=x: one of its settings is invalid"},
		{"host=h password=s3cret service=none", "cannot use host=h password=xxxxx service=none: failed to read service: failed to read service file: HOME/.pg_service.conf"},
		{"postgres://u:s3/cret@h/db", "not a connection string: an @ stands to the right of the host's place; write @ as %40, / as %2F and ? as %3F in a password"},
		{"host=h password=s3 cret", keywordForm},
		{"mysql://u:s3cret@h/db?sslmode=off", keywordForm},
		{"password='s3cret", `not a connection string: a single quote is not closed; write \' for a quote within a value`},
	}
	for _, tt := range tests {
		_, err := ParseDSN(tt.dsn)
		want := strings.ReplaceAll(tt.want, "HOME", homeDir(t))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.dsn, err, want)
		}
	}
}

func TestParseDSNTakesEveryForm(t *testing.T) {
	cleanEnvironment(t)
	for _, dsn := range []string{
		"postgres://u:p%40s@h:5433/db?sslmode=disable",
		"postgresql:///db?host=/var/run/postgresql&application_name=me@here",
		"host=h port=5433 user=u password='p s' dbname=db",
		"host=h1,h2 dbname=db target_session_attrs=read-write",
		"postgres://u@[::1]:5432/db",
	} {
		if _, err := ParseDSN(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestEndpointNeverShowsItsPassword(t *testing.T) {
	c := Default()
	c.Source.DSN = "postgres://u:s3cret@h/db"
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
		shown = append(shown, fmt.Sprintf(verb, c.Source), fmt.Sprintf(verb, *c), fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c.Source))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "source", c.Source, "by value", *c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "source", c.Source, "by value", *c)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(shown, log.String(), string(asJSON), string(asYAML)) {
		if strings.Contains(s, "s3cret") {
			t.Errorf("the password is in %s", s)
		}
	}
	if want := "postgres://u:xxxxx@h/db"; c.Source.String() != want || !strings.Contains(log.String(), want) {
		t.Errorf("nothing left of the DSN in %s and %s", c.Source, log.String())
	}
}

// FuzzRedact compares with pgx's own reading: a password pgx would send must not be in what is shown.
func FuzzRedact(f *testing.F) {
	for _, dsn := range []string{
		"postgres://u:s3cr3t@h/db", "postgres://h/db?password=s3cr3t", "host=h password='s3\\' cr3t'", `password=s\3cr3t\`,
		"postgres://u:s3%63r3t@h:1,[::1]/db?a=b&sslpassword=c", "password =\n's3cr3t' user=", "postgres://a@u:sec:ret@h",
	} {
		f.Add(dsn)
	}
	cleanEnvironment(f)
	f.Fuzz(func(t *testing.T, dsn string) {
		redacted := Redact(dsn)
		if twice := Redact(redacted); twice != redacted {
			t.Errorf("%q becomes %q, then %q", dsn, redacted, twice)
		}
		config, err := pgx.ParseConfig(dsn)
		if err != nil || len(config.Password) < 6 {
			return
		}
		// A password that stands elsewhere in the string too (as the user's name, say) proves nothing.
		if strings.Count(dsn, config.Password) > 1 {
			return
		}
		if strings.Contains(redacted, config.Password) {
			t.Errorf("%q: the password %q is in %q", dsn, config.Password, redacted)
		}
		if _, err := ParseDSN(dsn); err != nil && strings.Contains(err.Error(), config.Password) {
			t.Errorf("%q: the password is in %v", dsn, err)
		}
	})
}

func homeDir(t *testing.T) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return home
}
