// Package visible shows text of others on a terminal and in a script's comments: names and values of the user's database, messages of its
// servers. Whoever may create a table or write a row chooses such text, and may put escape sequences, line ends or marks that turn the
// reading direction into it. It changes only what is shown; what is compared or sent to a server never passes here.
package visible

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line is s on one line: all that does not print is quoted, line ends and tabs included.
func Line(s string) string { return quote(s, "") }

// Text is s with its line ends and tabs, where these are its layout; all else that does not print is quoted.
func Text(s string) string { return quote(s, "\n\t") }

// quote writes \n, \r, \t and \u202e, which JSON reads too: within its strings they mean the same. A byte that is not UTF-8 is \x9b.
func quote(s, layout string) string {
	plain := func(r rune) bool { return prints(r) || strings.ContainsRune(layout, r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x`)
			hex(&b, rune(s[i]), 2)
		case plain(r):
			b.WriteRune(r)
		default:
			escape(&b, r)
		}
		i += size
	}
	return b.String()
}

// prints says whether a reader sees the character, where it stands, and nothing else changes by it.
func prints(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func escape(b *strings.Builder, r rune) {
	switch r {
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\t':
		b.WriteString(`\t`)
	default:
		for _, unit := range utf16.Encode([]rune{r}) {
			b.WriteString(`\u`)
			hex(b, rune(unit), 4)
		}
	}
}

func hex(b *strings.Builder, r rune, digits int) {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b.WriteByte("0123456789abcdef"[r>>shift&0xf])
	}
}
