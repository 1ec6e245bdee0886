package pg

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// Ident quotes an identifier, or a qualified one given by its parts. It is the one place where
// identifiers are quoted: always with quotes, so that no list of reserved words is needed.
func Ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// Fill puts values in the places of a SQL template: Fill("… {{schema}}.t", "schema", Ident("s")). The
// values are SQL already: identifiers from Ident, or text from Literal.
func Fill(template string, namesAndValues ...string) string {
	pairs := make([]string, len(namesAndValues))
	for i, text := range namesAndValues {
		if i%2 == 0 {
			text = "{{" + text + "}}"
		}
		pairs[i] = text
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// Literal quotes a string constant, for where the protocol takes no parameters (COPY, DDL). It relies on
// standard_conforming_strings = on, which every session of ours has.
func Literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
