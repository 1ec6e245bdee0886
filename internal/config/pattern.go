package config

import (
	"errors"
	"fmt"
	"slices"
)

// Pattern matches tables by schema and name, exactly as they stand in the catalog, capitals included.
type Pattern struct {
	schema, table glob
}

// glob is the characters of a name with the wildcards anyRun and anyOne.
type glob []rune

// Negative: no character of a name equals them.
const (
	anyRun rune = -1 - iota // any number of characters
	anyOne                  // one character
)

// ParsePattern reads schema.table, where * stands for any characters and ? for one. What is in double quotes is literal,
// "" in it is one double quote: public."odd.name" has a dot in the table's name.
func ParsePattern(text string) (Pattern, error) {
	fail := func(reason string) (Pattern, error) {
		return Pattern{}, fmt.Errorf("pattern %s %s", showValue(text), reason)
	}
	parts, err := splitPattern(text)
	switch {
	case err != nil:
		return fail(err.Error())
	case len(parts) == 1 && text == "":
		return fail("is empty: write schema.table")
	case len(parts) == 1:
		return fail("has no schema: write public." + plain(text))
	case len(parts) > 2:
		return fail("has more than one dot: write a name with a dot in double quotes")
	case len(parts[0]) == 0:
		return fail("has no schema before the dot: write schema.table")
	case len(parts[1]) == 0:
		return fail("has no table after the dot: write schema.table, or schema.* for all of them")
	}
	return Pattern{schema: parts[0], table: parts[1]}, nil
}

// plain is the operator's own text for the advice, unless showValue would not show it.
func plain(text string) string {
	if showValue(text) == "this value" {
		return "NAME"
	}
	return text
}

// splitPattern cuts at the dots outside double quotes.
func splitPattern(text string) ([]glob, error) {
	parts := []glob{nil}
	quoted := false
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		last := &parts[len(parts)-1]
		r := runes[i]
		switch {
		case r == '"' && quoted && i+1 < len(runes) && runes[i+1] == '"':
			*last = append(*last, '"')
			i++
		case r == '"':
			quoted = !quoted
		case quoted:
			*last = append(*last, r)
		case r == '.':
			parts = append(parts, nil)
		case r == '*':
			*last = append(*last, anyRun)
		case r == '?':
			*last = append(*last, anyOne)
		default:
			*last = append(*last, r)
		}
	}
	if quoted {
		return nil, errors.New("has a double quote that is not closed")
	}
	return parts, nil
}

// Match reports whether the table is meant.
func (p Pattern) Match(schema, table string) bool {
	return p.schema.match([]rune(schema)) && p.table.match([]rune(table))
}

// match steps back to the latest anyRun only, so its time is bounded by the product of both lengths.
func (g glob) match(name []rune) bool {
	at, pos := 0, 0
	star, resume := -1, 0
	for pos < len(name) {
		switch {
		case at < len(g) && g[at] == anyRun:
			star, resume = at, pos
			at++
		case at < len(g) && (g[at] == anyOne || g[at] == name[pos]):
			at++
			pos++
		case star >= 0:
			resume++
			at, pos = star+1, resume
		default:
			return false
		}
	}
	for at < len(g) && g[at] == anyRun {
		at++
	}
	return at == len(g)
}

// TableName is a table as the catalog names it, unquoted.
type TableName struct{ Schema, Table string }

// Selects reports whether a table is included and not excluded. System schemas are the caller's business.
func (t Tables) Selects(schema, table string) bool {
	included := len(t.Include) == 0 || matchAny(t.Include, schema, table)
	return included && !matchAny(t.Exclude, schema, table)
}

// ExcludesByName reports whether a relation is excluded by its very name, not by a pattern that others match too.
func (t Tables) ExcludesByName(schema, relation string) bool {
	return slices.ContainsFunc(t.Exclude, func(text string) bool {
		p, err := ParsePattern(text)
		return err == nil && string(p.schema) == schema && string(p.table) == relation
	})
}

// Unmatched returns the patterns that match none of the tables: most likely they are misspelled.
func Unmatched(patterns []string, tables []TableName) []string {
	var unmatched []string
	for _, text := range patterns {
		p, err := ParsePattern(text)
		found := false
		for _, name := range tables {
			found = found || err == nil && p.Match(name.Schema, name.Table)
		}
		if !found {
			unmatched = append(unmatched, text)
		}
	}
	return unmatched
}

// matchAny lets an invalid pattern match nothing; Validate has refused it before.
func matchAny(patterns []string, schema, table string) bool {
	for _, text := range patterns {
		if p, err := ParsePattern(text); err == nil && p.Match(schema, table) {
			return true
		}
	}
	return false
}
