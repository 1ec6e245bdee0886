// Package hint gives an error what an operator can do about it, apart from what has happened: where an error is shown, its hint stands on
// a line, or in a field, of its own.
package hint

import (
	"errors"
	"fmt"
)

// Error is an error with its remedy: a command or a statement, or a sentence that names them. The text of the error does not contain it.
type Error struct {
	Err  error
	Hint string
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// With gives an error a hint. An error that has one already keeps both; Of returns the outer one.
func With(err error, format string, args ...any) error {
	return &Error{Err: err, Hint: fmt.Sprintf(format, args...)}
}

// Of returns the hint of an error, "" if it has none.
func Of(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}
