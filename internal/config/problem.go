package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing wrong with the configuration. Text never holds a password.
type Problem struct {
	Key      string // full path, such as copy.workers; empty when it is about the file as a whole
	Variable string // the environment variable the value came from, if it did
	Line     int    // line in the file; 0 when the key is not in the file
	Text     string
}

// Error lists all problems found, in the order of the file.
type Error struct {
	file     string
	lines    map[string]int // where each key stands in the file
	problems []Problem
}

// Problems returns what was found, at least one.
func (e *Error) Problems() []Problem { return e.problems }

// Error has one line for each problem, in the form file:line: key: text.
func (e *Error) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines are those of the text.
func (e *Error) Lines() []string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		lines[i] = p.prefix(e.file) + p.Text
	}
	return lines
}

func (p Problem) prefix(file string) string {
	var b strings.Builder
	switch {
	case p.Variable != "":
		b.WriteString(p.Variable + ": ")
	case file != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", file, p.Line)
	case file != "":
		b.WriteString(file + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	return b.String()
}

func (e *Error) add(p Problem) {
	if p.Line == 0 && p.Variable == "" {
		p.Line = e.lines[p.Key]
	}
	e.problems = append(e.problems, p)
}

func (e *Error) names(key string) bool {
	return slices.ContainsFunc(e.problems, func(p Problem) bool { return p.Key == key })
}

func (e *Error) orNil() error {
	if len(e.problems) == 0 {
		return nil
	}
	// What is missing comes last: it often follows from a misspelled key.
	slices.SortStableFunc(e.problems, func(a, b Problem) int {
		return cmp.Compare(uint(a.Line-1), uint(b.Line-1))
	})
	return e
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.<>-]{1,64}$`)

// showKey keeps out of messages what is hardly a key: a connection string in the wrong place looks like one to YAML.
func showKey(key string) string {
	if !plainKey.MatchString(key) {
		return "(unprintable key)"
	}
	return key
}

// showValue quotes a value for a message unless it may be a connection string in the wrong place.
func showValue(s string) string {
	low := strings.ToLower(s)
	if len(s) > 80 || strings.Contains(s, "://") || strings.Contains(low, "pass") || strings.Contains(s, "@") {
		return "this value"
	}
	return strconv.Quote(s)
}
