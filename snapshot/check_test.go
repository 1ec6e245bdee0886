package snapshot

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestWhichCheckRejectedARow(t *testing.T) {
	violation := func(constraint string) error { return &pgconn.PgError{Code: "23514", ConstraintName: constraint} }
	for _, test := range []struct {
		name      string
		err       error
		beyondRow bool
		want      bool
	}{
		{"its own violation", violation("mine"), false, true},
		{"its own, of a function", violation("mine"), true, true},
		{"another's", violation("other"), true, false},
		{"whatever its function raises", &pgconn.PgError{Code: "U0001"}, true, true},
		{"its function raises a violation of no constraint", violation(""), true, true},
		{"it does not find its table", &pgconn.PgError{Code: "42P01"}, true, true},
		{"a plain check raises nothing else", &pgconn.PgError{Code: "42P01"}, false, false},
		{"a duplicate", &pgconn.PgError{Code: "23505", ConstraintName: "other_key"}, true, false},
		{"a null", &pgconn.PgError{Code: "23502"}, true, false},
		{"a value too long for its column", &pgconn.PgError{Code: "22001"}, true, false},
		{"not the server's", errors.New("broken pipe"), true, false},
	} {
		c := checkOf{beyondRow: test.beyondRow}
		c.Name = "mine"
		if got := c.rejected(fmt.Errorf("copy: %w", test.err)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	for _, test := range []struct{ validated, beyondRow, want bool }{{true, false, false}, {true, true, true}, {false, false, true}, {false, true, true}} {
		if got := (checkOf{beyondRow: test.beyondRow}).mayReject(test.validated); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
