package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What becomes of an error decides whether the daemon tries again, sets one table aside, or ends.
func TestWhatBecomesOfAnError(t *testing.T) {
	server := func(severity, code, message string) error {
		return fmt.Errorf("copy: %w", &pgconn.PgError{Severity: severity, Code: code, Message: message})
	}
	for name, test := range map[string]struct {
		err                 error
		transient, rejected bool
	}{
		"a value":                 {server("ERROR", "22P02", "invalid input syntax"), false, true},
		"a constraint":            {server("ERROR", "23505", "duplicate key"), false, true},
		"a right":                 {server("ERROR", "42501", "permission denied"), false, true},
		"a broken page":           {server("ERROR", "XX001", "invalid page"), false, true},
		"an internal error":       {server("ERROR", "XX000", "unexpected chunk number"), false, true},
		"dropped at the moment":   {server("ERROR", "XX000", "could not open relation with OID 16384"), true, false},
		"altered at the moment":   {server("ERROR", "XX000", "tuple concurrently updated"), true, false},
		"without its postmaster":  {server("FATAL", "XX000", "semop(id=6717454) failed: Invalid argument"), true, false},
		"a server that crashed":   {server("WARNING", "57P02", "terminating connection"), true, false},
		"a server that stops":     {server("FATAL", "57P01", "terminating connection"), true, false},
		"a full disk":             {server("ERROR", "53100", "no space left"), true, false},
		"a deadlock":              {server("ERROR", "40P01", "deadlock detected"), true, false},
		"a lock":                  {server("ERROR", LockNotAvailable, "lock not available"), true, false},
		"a password":              {server("FATAL", "28P01", "password authentication failed"), false, false},
		"the network":             {fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: syscall.ECONNRESET}), true, false},
		"the end of a connection": {io.ErrUnexpectedEOF, true, false},
		"the user":                {context.Canceled, false, false},
		"a bug of ours":           {errors.New("index out of range"), false, false},
	} {
		if got := Transient(test.err); got != test.transient {
			t.Errorf("%s: transient %v", name, got)
		}
		if got := Rejected(test.err); got != test.rejected {
			t.Errorf("%s: rejected %v", name, got)
		}
	}
}
