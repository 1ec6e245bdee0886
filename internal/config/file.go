package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile returns the pairs of the file's top level. Its errors never quote the file: a line of it may hold a password.
func readFile(path string) ([]*ast.MappingValueNode, error) {
	fail := func(line int, format string, args ...any) error {
		return &Error{file: path, problems: []Problem{{Line: line, Text: fmt.Sprintf(format, args...)}}}
	}
	remedy := "start from the example: pgibex config example > " + path
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(0, "no such file; %s", remedy)
	case errors.Is(err, fs.ErrPermission):
		return nil, fail(0, "permission denied; make the file readable for the user that runs pgibex")
	case errors.Is(err, syscall.EISDIR):
		return nil, fail(0, "is a directory; name the file in it")
	case err != nil:
		return nil, fail(0, "cannot be read: %v", errors.Unwrap(err))
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fail(0, "the file is empty; %s", remedy)
	}
	docs, line, err := parse(text)
	if err != nil {
		return nil, fail(line, "not valid YAML: %v", err)
	}
	if len(docs) == 0 {
		return nil, fail(0, "the file holds only comments; %s", remedy)
	}
	if len(docs) > 1 {
		return nil, fail(docs[1].GetToken().Position.Line, "a second YAML document begins here; write all settings in one")
	}
	root, ok := pairs(docs[0])
	if !ok {
		return nil, fail(0, "want keys and values, found %s; %s", kind(docs[0]), remedy)
	}
	return root, nil
}

// warnOfReaders warns of a file that anybody on this machine may read, if a password is in it.
func (c *Config) warnOfReaders(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o004 == 0 {
		return
	}
	if len(inspect(c.Source.DSN).secrets)+len(inspect(c.Target.DSN).secrets) > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s has a password in it, and everybody on this machine may read it: chmod o= %[1]s, "+
			"or have the password in ~/.pgpass, %s or %s", path, sourceVariable, targetVariable))
	}
}

// quotedInMessage is what the YAML library cites from the file in some of its messages.
var quotedInMessage = regexp.MustCompile(` ?"(?s:\\.|[^"\\])*"`)

// parse returns the bodies of all documents that have one; with an error the line it is in.
func parse(text []byte) (docs []ast.Node, line int, err error) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		if where, ok := errors.AsType[yaml.Error](err); ok {
			if where.GetToken() != nil {
				line = where.GetToken().Position.Line
			}
			return nil, line, errors.New(explainSyntax(where.GetMessage()))
		}
		return nil, 0, errors.New("the text cannot be read")
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			docs = append(docs, doc.Body)
		}
	}
	return docs, 0, nil
}

// explainSyntax removes what is cited from the file and adds the remedy for the two most common slips.
func explainSyntax(message string) string {
	cited := strings.TrimRight(quotedInMessage.ReplaceAllString(message, ""), ": ")
	switch {
	case strings.Contains(message, "'\t'"):
		return cited + "; indent with spaces, not tabs"
	case strings.Contains(message, "mapping value is not allowed"):
		return cited + "; put a value with a colon and a space in it in single quotes"
	}
	return cited
}

func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// decodeFile puts the file's values into c and its problems into report.
func decodeFile(c *Config, root []*ast.MappingValueNode, report *Error) {
	report.lines = map[string]int{}
	decodePairs(c, "", root, report)
}

func decodePairs(c *Config, section string, values []*ast.MappingValueNode, report *Error) {
	for _, pair := range values {
		token := pair.Key.GetToken()
		key, line := section+token.Value, token.Position.Line
		fail := func(text string) { report.add(Problem{Key: showKey(key), Line: line, Text: text}) }
		if first, twice := report.lines[key]; twice {
			fail(fmt.Sprintf("set twice, first in line %d", first))
			continue
		}
		report.lines[key] = line
		s := find(key)
		switch {
		case s != nil:
			if err := s.decode(c, pair.Value); err != nil {
				fail(err.Error())
			}
		case section == "" && isSection(key):
			decodeSection(c, key, pair.Value, report, fail)
		default:
			fail("unknown key; " + suggest(section, key))
		}
	}
}

func decodeSection(c *Config, key string, n ast.Node, report *Error, fail func(string)) {
	if _, null := n.(*ast.NullNode); null {
		return // all its keys are commented out
	}
	values, ok := pairs(n)
	if !ok {
		fail(fmt.Sprintf("want %s below it, found %s", join(keysOf(key+"."), "and"), kind(n)))
		return
	}
	decodePairs(c, key+".", values, report)
}

func find(key string) *setting {
	for i := range settings {
		if settings[i].key == key {
			return &settings[i]
		}
	}
	return nil
}

func isSection(key string) bool {
	return len(keysOf(key+".")) > 0
}

// keysOf returns the names below a section such as "copy."; "" gives the top level.
func keysOf(section string) []string {
	var names []string
	for _, s := range settings {
		rest, ok := strings.CutPrefix(s.key, section)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}
