package replicator

import "strings"

// listError names several things that have one cause, a line each.
type listError struct {
	what  string
	items []string
}

func (e *listError) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines are those of the text: the names in them may have line ends of their own.
func (e *listError) Lines() []string { return append([]string{e.what + ":"}, e.items...) }
