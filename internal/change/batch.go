package change

import (
	"context"
	"errors"
	"io"
)

// ErrReplaced means that a table's name belongs to another table of the source now, or to none.
var ErrReplaced = errors.New("the table was dropped, renamed or replaced on the source")

// CopyFunc writes rows in the text format of COPY. Every Write to w is exactly one row, its
// newline included, because the server sends one CopyData message a row.
type CopyFunc func(ctx context.Context, w io.Writer) error

// Marks that begin each row of Part.Rows: the row is there now, or it is gone and only its
// key fields count.
const (
	MarkPresent = "t\t"
	MarkGone    = "f\t"
)

// Part is what one table contributes to a batch.
type Part struct {
	Table int // the table's number in the stream

	// Truncated: the table was truncated since its position. The target's table is emptied
	// first; everything the source shows was written afterwards and is in the part.
	Truncated bool

	// Rows of a table with a key: each changed key once, behind a mark, its key fields first.
	// Sorted by key, which spares the target's index random access.
	Rows CopyFunc

	// Inserted and Deleted are the images of a table without a key: every row written and every row
	// removed. Their difference is what is to be applied.
	Inserted, Deleted CopyFunc

	// Whole is every row of a table without a key that was truncated: images carry no order,
	// so they can not be told apart into those before and those after.
	Whole CopyFunc
}

// Batch is a set of changes read in one snapshot of the source. When all of it is committed the
// target's tables equal the source's as that snapshot shows them.
type Batch struct {
	Position Position
	Parts    []Part
	// Settle, unless nil, is called when all parts are read, before the position is written.
	Settle func(context.Context) error
}
