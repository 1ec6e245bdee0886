package pg

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// RowError names the row that a server rejects.
type RowError struct {
	Key    string // (id)=(42); "" of a table without a key
	Column string // "" where the server does not say
	Err    error
}

func (e *RowError) Unwrap() error { return e.Err }

func (e *RowError) Error() string {
	text := "the target rejects a row"
	if e.Key != "" {
		text = "the target rejects the row " + e.Key
	}
	if e.Column != "" {
		text += ", column " + e.Column
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](e.Err); ok {
		return fmt.Sprintf("%s: %s (SQLSTATE %s)", text, pgErr.Message, pgErr.Code)
	}
	return text + ": " + e.Err.Error()
}

// RowLog remembers, of the rows that go into a COPY … FROM, what the row of an error's line is to be known by. A nil one
// remembers nothing.
type RowLog struct {
	columns   []string // the key's first
	keyFields int
	rows      []loggedRow
}

// loggedRow has the numbers of the fields, counted from 1, that a target may not be able to convert; 0 where there is none, or
// no one field to choose. COPY's errors do not tell.
type loggedRow struct {
	key     string
	notUTF8 int16
	foreign int16 // not ASCII
}

// NewRowLog returns an empty log for rows with these columns, of which the first keyFields are the key.
func NewRowLog(columns []string, keyFields int) *RowLog {
	return &RowLog{columns: columns, keyFields: keyFields}
}

// Add remembers a row, in COPY's text format.
func (l *RowLog) Add(row []byte) {
	if l == nil {
		return
	}
	logged := loggedRow{key: string(KeyFields(row, l.keyFields))}
	several := false
	for i, field := range bytes.Split(row, []byte{'\t'}) {
		if !bytes.ContainsFunc(field, func(r rune) bool { return r >= utf8.RuneSelf }) {
			continue
		}
		several = several || logged.foreign != 0
		logged.foreign = int16(i + 1)
		if logged.notUTF8 == 0 && !utf8.Valid(field) {
			logged.notUTF8 = int16(i + 1)
		}
	}
	if several {
		logged.foreign = 0
	}
	l.rows = append(l.rows, logged)
}

// copyContext is where COPY says what it was reading: COPY stage_7, line 5, column note: "…"
var copyContext = regexp.MustCompile(`COPY [^,]+, line (\d+)(?:, column ([^:]+))?`)

// Locate adds to an error of COPY … FROM the key and the column of the line that it names.
func (l *RowLog) Locate(err error) error {
	var pgErr *pgconn.PgError
	if l == nil || !errors.As(err, &pgErr) || !Rejected(err) {
		return err
	}
	match := copyContext.FindStringSubmatch(pgErr.Where)
	if match == nil {
		return err
	}
	line, convErr := strconv.Atoi(match[1])
	if convErr != nil || line < 1 || line > len(l.rows) {
		return err
	}
	row := l.rows[line-1]
	located := &RowError{Column: match[2], Err: err}
	if l.keyFields > 0 {
		located.Key = DescribeKey(l.columns[:l.keyFields], row.key)
	}
	if field := row.suspect(pgErr); located.Column == "" && field > 0 && int(field) <= len(l.columns) {
		located.Column = l.columns[field-1]
	}
	return located
}

// suspect is the field that a conversion has failed at; 0 if it is not known.
func (r loggedRow) suspect(err *pgconn.PgError) int16 {
	switch {
	case err.Code != notInRepertoire && err.Code != untranslatable:
		return 0
	case strings.HasPrefix(err.Message, `invalid byte sequence for encoding "UTF8"`):
		return r.notUTF8
	}
	return r.foreign
}

// DescribeKey puts a key, given as fields of COPY text, the way the server's own messages do: (a, b)=(1, x).
func DescribeKey(names []string, fields string) string {
	return fmt.Sprintf("(%s)=(%s)", strings.Join(names, ", "), printable(strings.ReplaceAll(fields, "\t", ", ")))
}

// KeyFields cuts the first n fields off a row in COPY's text format, in which a tab or newline within a value is escaped.
func KeyFields(row []byte, n int) []byte {
	end := 0
	for range n {
		i := bytes.IndexAny(row[end:], "\t\n")
		if i < 0 {
			return row
		}
		end += i + 1
	}
	return row[:max(end-1, 0)]
}

var copyEscapes = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// CopyField writes a value as COPY's text format has it.
func CopyField(text string) string { return copyEscapes.Replace(text) }

// printable shows a byte that is not UTF8 as \xe4.
func printable(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(r)) {
			fmt.Fprintf(&b, `\x%02x`, text[i])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
