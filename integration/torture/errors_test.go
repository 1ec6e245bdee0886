package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errorsSeen judges what the application gets to see: every error and how long each statement took.
type errorsSeen struct {
	m  *machine
	mu sync.Mutex

	expected    map[string]int // by SQLSTATE
	statements  int
	slowest     time.Duration
	slowestText string
}

func asPg(err error, target **pgconn.PgError) bool { return errors.As(err, target) }

// usual are the errors that an application like this gets without pgibex too, on servers that this machine maltreats.
var usual = map[string]string{
	"23505": "unique violation", "23P01": "exclusion violation", "23503": "foreign key violation",
	"40001": "serialization failure", "40P01": "deadlock",
	"57014": "statement timeout",
	"57P01": "shut down", "57P02": "crashed", "57P03": "starting up", "53300": "no connection slot",
	"55P03": "lock not available",
}

// ours are words that no error of the application's may contain.
var ours = []string{"pgibex", "capture_", "delta_"}

// judge looks at an error: an unusual one is a hurt, and so is one that shows pgibex had a part in it.
func (e *errorsSeen) judge(who, what string, err error) {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		if errors.Is(err, context.DeadlineExceeded) {
			e.m.hurt("%s: no answer within %s to: %.300s: %v", who, hung, what, err)
			return
		}
		e.count("connection lost")
		return
	}
	whole := strings.Join([]string{pgErr.Message, pgErr.Detail, pgErr.Hint, pgErr.Where, pgErr.InternalQuery}, "\n")
	name, expected := usual[pgErr.Code]
	// Whoever is broken off is told where he was, which may be in one of our triggers.
	brokenOff := strings.HasPrefix(pgErr.Code, "57")
	if pgErr.Code == "XX000" && strings.HasPrefix(pgErr.Message, "semop(") { // a backend of 9.2 that outlives its postmaster, whose semaphores are gone
		name, expected, brokenOff = usual["57P02"], true, true
	}
	switch {
	case pgErr.Code == "40P01":
		if with := e.m.watcher.pgibexIn(pgErr.Detail); with != "" {
			e.m.hurt("%s: deadlock with %s\n%s\nin: %.300s", who, with, whole, what)
		}
	case !expected:
		e.m.hurt("%s: unexpected error %s: %s\nin: %.300s", who, pgErr.Code, whole, what)
	case pgErr.Code == "40001" && strings.Contains(pgErr.Message, "read/write dependencies"):
		// The check may come while one of our triggers runs; it concerns what the transaction did before.
	case !brokenOff && slices.ContainsFunc(ours, func(word string) bool { return strings.Contains(whole, word) }):
		e.m.hurt("%s: an error shows pgibex: %s: %s\nin: %.300s", who, pgErr.Code, whole, what)
	}
	e.count(pgErr.Code + " " + name)
}

func (e *errorsSeen) count(kind string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expected[kind]++
}

func (e *errorsSeen) timed(who, sql string, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.statements++
	if took > e.slowest {
		e.slowest, e.slowestText = took, fmt.Sprintf("%s: %.120s", who, sql)
	}
}

func (e *errorsSeen) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "the application ran %d statements; the slowest took %s (%s)\nits errors, none of them for pgibex:", e.statements, e.slowest.Round(time.Millisecond), e.slowestText)
	for _, kind := range slices.Sorted(maps.Keys(e.expected)) {
		fmt.Fprintf(&b, " %s: %d;", kind, e.expected[kind])
	}
	return b.String()
}
