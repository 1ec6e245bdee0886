package pg

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// RowError names the row that a server rejects.
type RowError struct {
	Key    string // (id)=(42)
	Column string // "" where the server does not say
	Err    error
}

func (e *RowError) Unwrap() error { return e.Err }

func (e *RowError) Error() string {
	text := "the target rejects the row " + e.Key
	if e.Column != "" {
		text += ", column " + e.Column
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](e.Err); ok {
		return fmt.Sprintf("%s: %s (SQLSTATE %s)", text, pgErr.Message, pgErr.Code)
	}
	return text + ": " + e.Err.Error()
}

// copyContext is where COPY says what it was reading: COPY stage_7, line 5, column note: "…"
var copyContext = regexp.MustCompile(`COPY [^,]+, line (\d+)(?:, column ([^:]+))?`)

// LocateCopyError adds to an error of COPY … FROM the key of the line that it names. keys holds the key of every line, as
// KeyFields cuts it off.
func LocateCopyError(err error, keyNames, keys []string) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || !Rejected(err) {
		return err
	}
	match := copyContext.FindStringSubmatch(pgErr.Where)
	if match == nil {
		return err
	}
	line, convErr := strconv.Atoi(match[1])
	if convErr != nil || line < 1 || line > len(keys) {
		return err
	}
	return &RowError{Key: DescribeKey(keyNames, keys[line-1]), Column: match[2], Err: err}
}

// DescribeKey puts a key, given as fields of COPY text, the way the server's own messages do: (a, b)=(1, x).
func DescribeKey(names []string, fields string) string {
	return fmt.Sprintf("(%s)=(%s)", strings.Join(names, ", "), strings.ReplaceAll(fields, "\t", ", "))
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
