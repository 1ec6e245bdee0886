package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/visible"
)

// output is what every command writes to, and the log: nothing that a terminal would obey passes, whoever has put it into a name, a value
// or a message. Line ends pass, so text is written a line at a time: by say, and rows of a table by table.
type output struct{ to io.Writer }

func (o output) Write(p []byte) (int, error) {
	if _, err := io.WriteString(o.to, visible.Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// say writes one line. What is put into it does not end it.
func say(out io.Writer, format string, args ...any) {
	fmt.Fprintln(out, visible.Line(fmt.Sprintf(format, args...)))
}

// table writes rows with their columns below one another.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) table { return table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = visible.Line(cell)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) flush() error { return t.w.Flush() }

// sayError writes an error, and below it what can be done about it.
func sayError(out io.Writer, err error) {
	before := "pgibex: "
	for _, line := range lines(err) {
		say(out, "%s%s", before, line)
		before = ""
	}
	if remedy := hint.Of(err); remedy != "" {
		say(out, "  %s", remedy)
	}
}

// lines are those of an error. It has one, unless an error that lists things is what it ends with: a line end of any other is somebody's name.
func lines(err error) []string {
	text := err.Error()
	list, ok := errors.AsType[interface {
		error
		Lines() []string
	}](err)
	if !ok {
		return []string{text}
	}
	before, ok := strings.CutSuffix(text, list.Error())
	lines := slices.Clone(list.Lines())
	if !ok || len(lines) == 0 {
		return []string{text}
	}
	lines[0] = before + lines[0]
	return lines
}

// ownError is one whose line ends are all ours: nobody else chooses a name or a value in it.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

// Lines are those of the text.
func (e *ownError) Lines() []string { return strings.Split(e.Error(), "\n") }

// script is where SQL goes that is to be run: to a terminal as any text, but a file or a pipe gets the names as they are.
func script(shown io.Writer) io.Writer {
	if onTerminal() {
		return shown
	}
	return os.Stdout
}
