package pg

import (
	"bufio"
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

// copyBuffer lies between COPY TO and COPY FROM. Without it every row is one write through the
// pipe, which was measured to take more than twice as long.
const copyBuffer = 256 << 10

// errReaderGone tells the writing side of a COPY that nobody reads any more.
var errReaderGone = errors.New("the receiving side of the COPY has ended")

// CopyOut runs COPY … TO STDOUT; each row is one Write to w.
func (c *Conn) CopyOut(ctx context.Context, sql string, w io.Writer) error {
	_, err := c.PgConn().CopyTo(ctx, w, sql)
	return c.named(err)
}

// CopyIn runs COPY … FROM STDIN, without options, on rows of the source, and returns their number.
func (c *Conn) CopyIn(ctx context.Context, sql string, r io.Reader) (int64, error) {
	if c.Encoding != "" {
		sql += " (ENCODING " + Literal(c.Encoding) + ")"
	}
	tag, err := c.PgConn().CopyFrom(ctx, r, sql)
	return tag.RowsAffected(), c.named(err)
}

// Pipe connects a writer of rows with a reader of bytes. Both run at once; when one fails the other
// ends too, and the error is the one that came first. The reader is not started before there
// is a byte to read, and not at all when the writer writes nothing.
//
// A reader that fails cancels the writer, whose session is lost with it. A writer that fails ends the
// reader's COPY with CopyFail, which leaves the reader's session usable.
func Pipe(ctx context.Context, write func(context.Context, io.Writer) error, read func(context.Context, io.Reader) error) error {
	pr, pw := io.Pipe()
	var group errgroup.Group
	writeCtx, cancelWrite := context.WithCancel(ctx)
	defer cancelWrite()
	group.Go(func() error {
		buffered := bufio.NewWriterSize(pw, copyBuffer)
		err := write(writeCtx, buffered)
		if err == nil {
			err = buffered.Flush()
		}
		_ = pw.CloseWithError(err) // always nil
		return err
	})
	var readErr error
	group.Go(func() error {
		r := bufio.NewReader(pr)
		if _, err := r.Peek(1); err != nil {
			return nil //nolint:nilerr // nothing was written; if that was a failure the writer returns it
		}
		if readErr = read(ctx, r); readErr != nil {
			cancelWrite()
		}
		_ = pr.CloseWithError(errReaderGone) // always nil
		return readErr
	})
	err := group.Wait()
	if readErr != nil && (errors.Is(err, errReaderGone) || errors.Is(err, context.Canceled)) {
		return readErr
	}
	return err
}
