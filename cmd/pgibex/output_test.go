package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/replicator"
)

// What is put into a line neither ends it nor makes a column, and what is written past say and table is obeyed by no terminal.
func TestTextIsQuoted(t *testing.T) {
	var out bytes.Buffer
	say(output{&out}, "%s is in quarantine: %v", "a\nb", errors.New("\x1b[1mloud\r"))
	listed := newTable(output{&out})
	listed.row("TABLE", "STATE")
	listed.row("a\tb\v\f\nc", "streaming")
	if err := listed.flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(output{&out}, "\x1b[2J\u202e\n"); err != nil {
		t.Fatal(err)
	}
	const want = `a\nb is in quarantine: \u001b[1mloud\r` + "\n" +
		"TABLE                STATE\n" +
		`a\tb\u000b\u000c\nc  streaming` + "\n" +
		`\u001b[2J\u202e` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Only an error that says so has several lines.
func TestErrorsHaveTheLinesTheySay(t *testing.T) {
	refused := &replicator.RefusedError{Problems: []string{"public.a\nb: is missing", "public.c: is missing"}}
	_, unreadable := config.Load("/no/such\nfile")
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"one":             {errors.New("relation \"a\npgibex: all is well\" does not exist"), `pgibex: relation "a\npgibex: all is well" does not exist` + "\n"},
		"a list":          {refused, `pgibex: public.a\nb: is missing` + "\npublic.c: is missing\n"},
		"a list, wrapped": {fmt.Errorf("install: %w", refused), `pgibex: install: public.a\nb: is missing` + "\npublic.c: is missing\n"},
		"a list, within":  {fmt.Errorf("%w; and more", refused), `pgibex: public.a\nb: is missing\npublic.c: is missing; and more` + "\n"},
		"with a remedy":   {hint.With(refused, "pgibex remove public.a\nb"), `pgibex: public.a\nb: is missing` + "\npublic.c: is missing\n" + `  pgibex remove public.a\nb` + "\n"},
		"joined":          {errors.Join(errors.New("a"), errors.New("b")), `pgibex: a\nb` + "\n"},
		"our own":         {&ownError{errors.New("it said last:\nx")}, "pgibex: it said last:\nx\n"},
		"a file":          {unreadable, `pgibex: /no/such\nfile: no such file; start from the example: pgibex config example > /no/such\nfile` + "\n"},
	} {
		var out bytes.Buffer
		if sayError(&out, test.err); out.String() != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, out.String(), test.want)
		}
	}
}

// Scripts for shells have tabs and escapes of their own.
func TestCompletionIsNotChanged(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var plain, shown bytes.Buffer
		root := newRoot()
		root.SetArgs([]string{"completion", shell})
		root.SetOut(&plain)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		root = newRoot()
		root.SetArgs([]string{"completion", shell})
		root.SetOut(output{&shown})
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		if plain.String() != shown.String() || !strings.Contains(plain.String(), "pgibex") {
			t.Errorf("the script for %s is another", shell)
		}
	}
}
