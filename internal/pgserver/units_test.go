package pgserver

import "testing"

func TestMajorOf(t *testing.T) {
	for full, want := range map[string]string{"9.2.21": "9.2", "9.6": "9.6", "14.23": "14", "18.1.0": "18", "18beta1": "18beta1", "19": "19"} {
		if got := majorOf(full); got != want {
			t.Errorf("majorOf(%s) = %s, want %s", full, got, want)
		}
	}
}

func TestAtLeast(t *testing.T) {
	for _, tc := range []struct {
		full, major string
		want        bool
	}{{"9.2.2", "9.3", false}, {"9.3.0", "9.3", true}, {"10.1", "9.6", true}, {"14.20", "14", true}, {"9.6.24", "10", false}} {
		if got := atLeast(tc.full, tc.major); got != tc.want {
			t.Errorf("atLeast(%s, %s) = %v", tc.full, tc.major, got)
		}
	}
}

func TestWithDatabase(t *testing.T) {
	for _, tc := range []struct{ dsn, database, want string }{
		{"postgres://u:p@h:1/a?sslmode=disable", "b c", "postgres://u:p@h:1/b%20c?sslmode=disable"},
		{"postgresql:///?host=/tmp", "b", "postgresql:///b?host=/tmp"},
		{"host=h dbname=a", `it's`, `host=h dbname=a dbname='it\'s'`},
		{"host=h", "", "host=h"},
	} {
		if got := withDatabase(tc.dsn, tc.database); got != tc.want {
			t.Errorf("withDatabase(%s, %s) = %s", tc.dsn, tc.database, got)
		}
	}
}

func TestConfigurationQuotes(t *testing.T) {
	if got := configuration(map[string]string{"b": "it's", "a": "1"}); got != "a = '1'\nb = 'it''s'\n" {
		t.Error(got)
	}
}
