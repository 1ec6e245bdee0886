package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// TooLongError means that a row is longer than the 1 GB of text that a server can make. Nothing but a shorter row mends it.
type TooLongError struct {
	Key     string // (id)=(42); "" of a table without a key
	Message string // of the server
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("the source cannot send %s, which is longer than 1 GB as text: %s", strings.TrimSpace("the row "+e.Key), e.Message)
}

// maxAlloc is what a server allocates at once, at most.
const maxAlloc = 1<<30 - 1

var numbers = regexp.MustCompile(`\d+`)

// tooLong says whether an error is that of a value, or a row, whose text is longer than a server can make: "invalid memory alloc request
// size 1258291203", which is in English everywhere, or "Cannot enlarge string buffer containing 1000000000 bytes by 100000000 more bytes."
func tooLong(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	text := pgErr.Message
	switch {
	case pgErr.Code == "XX000" && strings.HasPrefix(text, "invalid memory alloc request size"):
	case pgErr.Code == "53200" || pgErr.Code == "54000":
		text = pgErr.Detail
		if len(numbers.FindAllString(text, -1)) < 2 { // of memory that is really out it tells one
			return false
		}
	default:
		return false
	}
	var size int64
	for _, n := range numbers.FindAllString(text, -1) {
		if value, err := strconv.ParseInt(n, 10, 64); err == nil { // that of a broken row is out of range
			size += value
		}
	}
	return size >= maxAlloc
}

// Reading is the savepoint that CopyRows goes back to.
const Reading = "SAVEPOINT reading"

// CopyRows copies what a query reads out of a transaction that keeps its snapshot, and has set Reading. The query selects the key's columns,
// of those names, behind so many others: a row that is too long is named by them.
func (c *Conn) CopyRows(ctx context.Context, query string, others int, key []string, w io.Writer) error {
	rows := &rowCounter{to: w}
	err := c.CopyOut(ctx, "COPY ("+query+") TO STDOUT", rows)
	if !tooLong(err) {
		return err
	}
	located := &TooLongError{Message: err.Error()}
	if len(key) > 0 {
		located.Key = c.rowAt(ctx, query, others, key, rows.n)
	}
	return located
}

// rowAt is the key of the row behind the first n of a query, "" where it is not to be had.
func (c *Conn) rowAt(ctx context.Context, query string, others int, key []string, n int) string {
	var aliases, fields []string
	for i := range others {
		aliases = append(aliases, fmt.Sprintf("o%d", i+1))
	}
	for i := range key {
		aliases = append(aliases, fmt.Sprintf("k%d", i+1))
		fields = append(fields, fmt.Sprintf("k%d::text", i+1))
	}
	values := make([]string, len(key))
	targets := make([]any, len(key))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := c.Run(ctx, "ROLLBACK TO reading; SET LOCAL statement_timeout = '10s'"); err != nil {
		return ""
	}
	sql := fmt.Sprintf("SELECT %s FROM (%s) q (%s) OFFSET %d LIMIT 1", strings.Join(fields, ", "), query, strings.Join(aliases, ", "), n)
	if c.QueryRow(ctx, sql).Scan(targets...) != nil {
		return ""
	}
	return DescribeKey(key, strings.Join(values, "\t"))
}

// rowCounter counts rows: each Write is one.
type rowCounter struct {
	to io.Writer
	n  int
}

func (c *rowCounter) Write(row []byte) (int, error) {
	c.n++
	return c.to.Write(row)
}
