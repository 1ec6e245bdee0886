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
		"a user's own state":      {server("ERROR", "U0001", "not on Sundays"), false, true},
		"a session that is ended": {server("FATAL", "22023", "too many values"), false, false},
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

// Every class of errcodes.txt, and the codes that differ from the rest of theirs. What is not named is the table's.
func TestWhoseASQLSTATEIs(t *testing.T) {
	const passes, ends, table = "passes", "ends the daemon", "is the table's"
	for whose, codes := range map[string][]string{
		passes: {
			"08000", "08003", "08006", "08001", "08004", "08007", "08P01", "25P03", "25P04", "40000", "40002", "40001", "40003", "40P01", "53000", "53100", "53200",
			"53300", "53400", "55006", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58000", "58030", "58P01", "58P02", "58P03", "72000",
		},
		ends: {"0B000", "25001", "25P01", "25P02", "26000", "28000", "28P01", "3D000", "55P02", "57000", "57P04", "F0000", "F0001"},
		table: {
			"00000", "01000", "01P01", "02000", "02001", "03000", "09000", "0A000", "0F000", "0F001", "0L000", "0LP01", "0P000", "0Z000", "0Z002", "10608", "20000", "21000",
			"22000", "22001", "22003", "22012", "22021", "22P02", "22P05", "2200S", "22030", "23000", "23001", "23502", "23503", "23505", "23514", "23P01", "24000", "25000", "25002", "25006",
			"25008", "25003", "25004", "25005", "25007", "27000", "2B000", "2BP01", "2D000", "2F000", "2F002", "34000", "38000", "38004", "39000", "39004", "39P03", "3B000", "3B001",
			"3F000", "42000", "42601", "42501", "42703", "42883", "42P01", "42P10", "44000", "54000", "54001", "54023", "55000", "HV000", "HV00N", "P0000", "P0001", "P0004",
			"XX000", "XX001", "XX002", "U0001", "ZZZZZ", "1",
		},
	} {
		for _, code := range codes {
			err := fmt.Errorf("merge: %w", &pgconn.PgError{Severity: "ERROR", Code: code})
			if Transient(err) != (whose == passes) || Rejected(err) != (whose == table) {
				t.Errorf("%s %s, and Transient says %v, Rejected %v", code, whose, Transient(err), Rejected(err))
			}
			byUser := &pgconn.PgError{Severity: "ERROR", Code: code, Routine: "exec_stmt_raise"}
			if Transient(byUser) || !Rejected(byUser) || Conflict(byUser) {
				t.Errorf("%s raised by a function is not the table's", code)
			}
		}
	}
	for code, want := range map[string]bool{"40001": true, "40P01": true, "55P03": true, "57014": true, "57P01": false, "53100": false, "23505": false} {
		if Conflict(&pgconn.PgError{Severity: "ERROR", Code: code}) != want || Conflict(&pgconn.PgError{Severity: "FATAL", Code: code}) {
			t.Errorf("%s: a conflict %v, wanted %v, and never one that ended the session", code, !want, want)
		}
	}
}
