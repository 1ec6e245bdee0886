package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const lineEvery = 2 * time.Second

// screen is what the user sees: lines that stay, and below them, on a terminal, the figures, redrawn in place. Elsewhere
// the figures are one line every two seconds. It is used from one goroutine; what cannot be written is lost.
type screen struct {
	out      io.Writer
	terminal bool
	quiet    bool // no figures
	drawn    int  // lines of figures that stand below
	lastLine time.Time
}

// say writes a line that stays.
func (s *screen) say(format string, args ...any) {
	s.erase()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// show brings the figures up to date.
func (s *screen) show(r reading, medianLag, highestLag float64) {
	switch {
	case s.quiet:
	case s.terminal:
		s.erase()
		lines := block(r, medianLag, highestLag)
		_, _ = fmt.Fprint(s.out, strings.Join(lines, "\n")+"\n")
		s.drawn = len(lines)
	case time.Since(s.lastLine) >= lineEvery:
		s.lastLine = time.Now()
		_, _ = fmt.Fprintln(s.out, line(r))
	}
}

// erase moves the cursor to the first line of the figures and clears all below.
func (s *screen) erase() {
	if s.drawn > 0 {
		_, _ = fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// block has no line of more than 80 characters: one that wraps could not be redrawn in place.
func block(r reading, medianLag, highestLag float64) []string {
	lines := []string{
		"",
		fmt.Sprintf("  phase        %s, %d of %d tables streaming%s", r.phase, r.ready, r.tables, consistency(r)),
		fmt.Sprintf("  copied       %s rows", count(r.copied)),
		fmt.Sprintf("  applied      %s rows, %s a second", count(r.applied), count(int64(r.appliedRate))),
		fmt.Sprintf("  backlog      %s, about %s rows", size(r.backlogBytes), count(r.backlogRows)),
		fmt.Sprintf("  lag          %s (median %s, highest %s)", seconds(r.lag), seconds(medianLag), seconds(highestLag)),
		fmt.Sprintf("  application  %s transactions, %.0f a second, %d errors", count(r.transactions), r.transactionRate, r.failures),
	}
	if r.memory > 0 {
		lines = append(lines, fmt.Sprintf("  memory       %s in the daemon", size(r.memory)))
	}
	return lines
}

func line(r reading) string {
	text := fmt.Sprintf("  %s: %d/%d tables, %s rows copied, %s applied (%s/s), backlog %s, lag %s, application %.0f tx/s, %d errors",
		r.phase, r.ready, r.tables, count(r.copied), count(r.applied), count(int64(r.appliedRate)), size(r.backlogBytes),
		seconds(r.lag), r.transactionRate, r.failures)
	if r.memory > 0 {
		text += ", memory " + size(r.memory)
	}
	return text
}

func consistency(r reading) string {
	if r.consistent {
		return ", consistent"
	}
	return ""
}
