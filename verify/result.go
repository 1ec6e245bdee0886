package verify

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pgibex/pgibex/internal/catalog"
)

// Kind is how a row differs.
type Kind string

// The ways in which a row can differ.
const (
	Missing    Kind = "missing on the target"
	Unexpected Kind = "only on the target"
	Different  Kind = "different"
)

// Difference is one key, or of a table without a key one image, that differs.
type Difference struct {
	Key     string   `json:"key"` // (id)=(42); the row itself, shortened, of a table without a key
	Kind    Kind     `json:"kind"`
	Rows    int64    `json:"rows"`              // how many; more than one only in a table without a key
	Columns []string `json:"columns,omitempty"` // of Different: those that differ
}

// Result is what the comparison of one table, or of one sequence, has found.
type Result struct {
	Table       catalog.Name  `json:"-"`
	Name        string        `json:"table"`
	Sequence    bool          `json:"sequence,omitempty"`    // it is one, with this name on the source; Total is 1 where it differs
	Rows        int64         `json:"rows"`                  // compared
	Chunks      int           `json:"chunks"`                // read from the source
	Total       int64         `json:"total"`                 // rows that differ
	Differences []Difference  `json:"differences,omitempty"` // the first of them
	Unsettled   int64         `json:"unsettled"`             // keys that changed faster than they could be compared
	Skipped     string        `json:"skipped,omitempty"`
	Remedy      string        `json:"remedy,omitempty"` // of what it was skipped for
	Notes       []string      `json:"notes,omitempty"`
	Duration    time.Duration `json:"-"`
	Seconds     float64       `json:"seconds"`
}

// Equal says whether the table was compared and nothing differed.
func (r Result) Equal() bool { return r.Skipped == "" && r.Total == 0 && r.Unsettled == 0 }

const (
	maxNamed = 100     // differences that are named
	maxTotal = 100_000 // rows found different before the rest of a table is no longer of interest
)

// errEnough ends the comparison of a table in which too much differs.
var errEnough = errors.New("too many rows differ")

// tally collects the result of a table that several workers compare.
type tally struct {
	mu     sync.Mutex
	result Result
	began  time.Time
}

func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began.IsZero() {
		t.began = time.Now()
	}
}

func (t *tally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Duration = time.Since(t.began)
	t.result.Seconds = t.result.Duration.Seconds()
}

func (t *tally) get() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result
}

func (t *tally) compared(rows int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Rows += rows
	t.result.Chunks++
}

// differs counts a difference, and says whether it is one of those to be named.
func (t *tally) differs(rows int64) (name bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name = t.result.Total < maxNamed
	t.result.Total += rows
	if t.result.Total >= maxTotal {
		t.noteLocked("so many rows differ that the rest of the table was not compared")
		err = errEnough
	}
	return name, err
}

func (t *tally) named(differences []Difference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := max(0, maxNamed-len(t.result.Differences))
	t.result.Differences = append(t.result.Differences, differences[:min(room, len(differences))]...)
}

func (t *tally) unsettled(keys int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Unsettled += keys
}

func (t *tally) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noteLocked(text)
}

func (t *tally) noteLocked(text string) {
	if !slices.Contains(t.result.Notes, text) {
		t.result.Notes = append(t.result.Notes, text)
	}
}

func (t *tally) skip(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Skipped = reason
}

// closed says whether nothing more is to be found out about the table.
func (t *tally) closed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result.Skipped != "" || t.result.Total >= maxTotal
}
