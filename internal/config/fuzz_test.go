package config

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzPassword: whatever a password is, written as it has to be in each form, it is understood and not shown.
func FuzzPassword(f *testing.F) {
	for _, password := range []string{
		"s3cr3t", "a b", "'", `\`, "@", "/", "?", "%", "%41", "#", "=", "&", ":", "+", "s3@cr3t", "s3/cr3t", "é界🐘", "\n", "\t", "\xff", "xxxxx", "password=other", "' password='x", "postgres://u:p@h",
	} {
		f.Add(password)
	}
	cleanEnvironment(f)
	f.Fuzz(func(t *testing.T, password string) {
		if password == "" || strings.ContainsRune(password, 0) {
			return
		}
		quoted := "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(password) + "'"
		address := url.URL{Scheme: "postgres", User: url.UserPassword("u", password), Host: "h", Path: "/db"}
		for _, test := range []struct{ dsn, shown string }{
			{"host=h password=" + quoted + " user=u", "host=h password=xxxxx user=u"},
			{address.String(), "postgres://u:xxxxx@h/db"},
			{"postgres://h/db?password=" + strings.ReplaceAll(url.QueryEscape(password), "+", "%20") + "&user=u", "postgres://h/db?password=xxxxx&user=u"},
		} {
			c, err := ParseDSN(test.dsn)
			if err != nil || c.Password != password {
				t.Errorf("%q is not understood: %v", test.dsn, err)
			}
			if got := Redact(test.dsn); got != test.shown {
				t.Errorf("%q is shown as %q", test.dsn, got)
			}
		}
	})
}
