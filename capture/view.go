package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

// View is one snapshot of the source, in which a batch is read: a REPEATABLE READ transaction that writes nothing and
// so takes no transaction id. It is to be closed soon: while it is open the source can vacuum nothing newer.
type View struct {
	Position  change.Position
	conn      *pg.Conn
	script    script
	truncated map[int][]uint64 // txids, by table
	reads     []readMark
	closed    bool
}

// readMark remembers what a segment looked like when the view was opened, to be marked as read when the batch is committed.
type readMark struct {
	segment *segment
	changes int
	size    int64
}

// beginRead pins the plan: a nested loop over the keys, each looked up in the index. The planner knows nothing of a
// segment and must never scan the whole table instead. Sorting makes the keys distinct, and the look-ups, here and on
// the target, go through the index in order.
const beginRead = pg.BeginSnapshot + `;
	SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
	SET LOCAL enable_hashagg = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`

// Open takes a snapshot and measures the segments of the logs.
func (c *Capture) Open(ctx context.Context, conn *pg.Conn, logs map[int]*Log) (*View, error) {
	v := &View{conn: conn, script: c.script, truncated: map[int][]uint64{}}
	err := conn.Run(ctx, beginRead)
	if err == nil {
		v.Position, err = c.Now(ctx, conn)
	}
	if err == nil {
		for _, l := range logs {
			l.stir(v.Position.Snapshot)
		}
		err = measure(ctx, conn, logs)
	}
	if err == nil {
		err = v.readTruncations(ctx, logs)
	}
	if err != nil {
		v.Close(ctx)
		return nil, fmt.Errorf("open a snapshot of the source: %w", err)
	}
	return v, nil
}

// measure asks for the sizes of all segments at once: 30 ms for 4,000 of them.
func measure(ctx context.Context, conn *pg.Conn, logs map[int]*Log) error {
	byOID := map[uint32]*segment{}
	oids := []uint32{}
	for _, l := range logs {
		for _, s := range l.segments {
			byOID[s.oid] = s
			oids = append(oids, s.oid)
			s.size = 0
		}
	}
	rows, err := conn.Query(ctx, `SELECT o, size FROM (SELECT o, pg_catalog.pg_relation_size(o) AS size FROM pg_catalog.unnest($1::oid[]) o OFFSET 0) s WHERE size > 0`, oids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var oid uint32
		var size int64
		if err := rows.Scan(&oid, &size); err != nil {
			return err
		}
		byOID[oid].size = size
	}
	return rows.Err()
}

// ErrStopped means that changes of a table are not recorded any more.
var ErrStopped = errors.New("the recording of changes was stopped")

func (v *View) readTruncations(ctx context.Context, logs map[int]*Log) error {
	rows, err := v.conn.Query(ctx, v.script.sql("SELECT number, txid FROM {{schema}}.truncation UNION ALL SELECT number, 0 FROM {{schema}}.captured WHERE stopped IS NOT NULL"))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var number int
		var txid int64
		if err := rows.Scan(&number, &txid); err != nil {
			return err
		}
		if txid == 0 {
			if logs[number] != nil {
				return ErrStopped
			}
			continue
		}
		v.truncated[number] = append(v.truncated[number], uint64(txid))
	}
	return rows.Err()
}

// Close ends the snapshot.
func (v *View) Close(ctx context.Context) {
	if !v.closed {
		v.closed = true
		v.conn.Rollback(ctx)
	}
}

// Settle ends the snapshot when all of it is read, and sees to it that the source remembers what the view's position sees, whatever
// happens to it. No position may be written before.
func (v *View) Settle(ctx context.Context) error {
	if v.closed {
		return nil
	}
	v.Close(ctx)
	return v.script.flush(ctx, v.conn, v.Position.WAL.LSN)
}

// Truncated says whether the table was truncated since the position.
func (v *View) Truncated(l *Log, since change.Snapshot) bool {
	return slices.ContainsFunc(v.truncated[l.Number], func(txid uint64) bool { return !since.Sees(txid) })
}

// Part is what changed in the table since the position, to be read while the view is open. ok is false when there is nothing
// to read.
func (v *View) Part(l *Log, since change.Snapshot) (part change.Part, ok bool) {
	part = change.Part{Table: l.Number, Truncated: v.Truncated(l, since)}
	var from []string
	for _, s := range sortedSegments(l.segments) {
		if s.pending() || s.active && part.Truncated { // the truncation may be all that ever happened
			from = append(from, v.script.delta(l.Number, s.number))
			v.reads = append(v.reads, readMark{s, s.changes, s.size})
		}
	}
	if len(from) == 0 && !part.Truncated {
		return part, false
	}
	condition := unapplied(since)
	switch {
	case l.Table.Key == nil && part.Truncated:
		part.Whole = v.copyTable(l, wholeSQL(l.Table))
	case l.Table.Key == nil:
		part.Inserted = v.copyOut(imagesSQL(l.Table, from, condition, 1))
		part.Deleted = v.copyOut(imagesSQL(l.Table, from, condition, -1))
	default:
		part.Rows = v.copyTable(l, rowsSQL(l.Table, from, condition))
	}
	return part, true
}

// Read marks what the view's parts have read as read; to be called when they are committed on the target.
func (v *View) Read() {
	for _, r := range v.reads {
		r.segment.read, r.segment.readSize = r.changes, r.size
	}
}

func (v *View) copyOut(query string) change.CopyFunc {
	return func(ctx context.Context, w io.Writer) error {
		return v.conn.CopyOut(ctx, "COPY ("+query+") TO STDOUT", w)
	}
}

// BusyError means that a table can not be read in this snapshot: somebody holds a lock on it, or it was rewritten since the
// snapshot was taken and would look empty in it (TRUNCATE and most of ALTER TABLE are not safe for older snapshots).
type BusyError struct {
	Table int
	Err   error
}

func (e *BusyError) Unwrap() error { return e.Err }
func (e *BusyError) Error() string { return "the table can not be read now: " + e.Err.Error() }

var errRewritten = errors.New("it was rewritten or truncated since the snapshot was taken")

// copyTable reads from a table of the users. Its lock is asked for without waiting, and given back before the next
// table is read: whoever waits for one lock while holding another may deadlock with the application (its TRUNCATE … CASCADE
// takes several), and the application would be the one to get the error.
func (v *View) copyTable(l *Log, query string) change.CopyFunc {
	return func(ctx context.Context, w io.Writer) error {
		// The catalog's row is that of our snapshot, the function's answer that of this moment.
		results, err := v.conn.PgConn().Exec(ctx, fmt.Sprintf(pg.Reading+`; LOCK TABLE ONLY %s IN ACCESS SHARE MODE NOWAIT;
			SELECT 1 FROM pg_catalog.pg_class WHERE oid = %d AND relfilenode = pg_catalog.pg_relation_filenode(oid) AND oid = %s::pg_catalog.regclass`,
			l.Table.SQL(), l.Table.OID, pg.Literal(l.Table.SQL()))).ReadAll()
		switch {
		case pg.State(err) == pg.LockNotAvailable:
			return &BusyError{l.Number, err}
		case err != nil:
			return err
		case len(results[len(results)-1].Rows) == 0:
			return &BusyError{l.Number, errRewritten}
		}
		if err := v.conn.CopyRows(ctx, query, 1, l.Table.KeyNames(), w); err != nil {
			if pg.State(err) == pg.QueryCanceled { // given up for somebody who waits for the table
				err = &BusyError{l.Number, err}
			}
			return err
		}
		return v.conn.Run(ctx, "ROLLBACK TO reading; RELEASE reading")
	}
}

// AwaitTable waits until nobody holds a lock that keeps the table from being read. change.ErrReplaced if it is no more.
func (c *Capture) AwaitTable(ctx context.Context, conn *pg.Conn, l *Log) error {
	return conn.InTx(ctx, pg.Begin, func(ctx context.Context) error { return l.lock(ctx, conn, "") })
}

// LockedBy says, in words, who keeps the table from being read, and still does a moment later.
func (c *Capture) LockedBy(ctx context.Context, conn *pg.Conn, l *Log) ([]string, error) {
	staying, err := stayingBlockers(ctx, conn, []uint32{l.Table.OID})
	return inWords(slices.DeleteFunc(staying, blocker.lets), nil), err
}

// Barring says, in words, who keeps tables of these OIDs from being read at this moment.
func (c *Capture) Barring(ctx context.Context, conn *pg.Conn, oids []uint32) (map[uint32][]string, error) {
	found, err := blockers(ctx, conn, oids)
	by := map[uint32][]string{}
	for _, b := range slices.DeleteFunc(found, blocker.lets) {
		by[b.table] = append(by[b.table], b.String())
	}
	return by, err
}

// lock takes the table's ACCESS SHARE lock after the statements given, and makes sure that its name is still its own.
func (l *Log) lock(ctx context.Context, conn *pg.Conn, before string) error {
	if err := conn.Run(ctx, before+"LOCK TABLE ONLY "+l.Table.SQL()+" IN ACCESS SHARE MODE"); err != nil {
		if state := pg.State(err); state == pg.UndefinedTable || state == pg.UndefinedSchema {
			return change.ErrReplaced
		}
		return err
	}
	var same bool
	if err := conn.QueryRow(ctx, "SELECT $1::text::pg_catalog.regclass::oid = $2::oid", l.Table.SQL(), l.Table.OID).Scan(&same); err != nil {
		return err
	}
	if !same {
		return change.ErrReplaced
	}
	return nil
}

// ForgetTruncations removes the marks of truncations that the applied position sees.
func (c *Capture) ForgetTruncations(ctx context.Context, conn *pg.Conn, v *View, l *Log, applied change.Snapshot) error {
	var done []int64
	for _, txid := range v.truncated[l.Number] {
		if applied.Sees(txid) {
			done = append(done, int64(txid))
		}
	}
	if len(done) == 0 {
		return nil
	}
	err := c.held(ctx, conn, func(ctx context.Context) error {
		if err := c.setPurged(ctx, conn, l.Number, applied); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, c.script.sql("DELETE FROM {{schema}}.truncation WHERE number = $1 AND txid = ANY ($2)"), l.Number, done)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget truncations of %s: %w", l.Table.Name, err)
	}
	return nil
}

// rowsSQL reads each changed key once, and the row that it has now. The key is taken from the row where there is one: keys
// may be equal and yet differ (citext, numeric).
func rowsSQL(t *catalog.Table, from []string, condition string) string {
	names, keys := deltaKeys(t)
	fields := []string{"t.ctid IS NOT NULL"} // a composite key with a null field IS NOT NULL either
	var on []string
	for i, c := range t.KeyColumns() {
		column := "t." + pg.Ident(c.Name)
		fields = append(fields, fmt.Sprintf("coalesce(%s, d.%s)", column, names[i]))
		on = append(on, fmt.Sprintf("%s %s d.%s", c.Comparable(column), t.Key.Equal[i], names[i]))
	}
	for _, c := range NotKey(t) {
		fields = append(fields, "t."+pg.Ident(c.Name))
	}
	deltas := make([]string, len(from))
	for i, segment := range from {
		deltas[i] = fmt.Sprintf("SELECT %s FROM ONLY %s WHERE %s", strings.Join(keys, ", "), segment, condition)
	}
	return fmt.Sprintf("SELECT %s FROM (SELECT DISTINCT %s FROM (%s) a) d LEFT JOIN ONLY %s t ON %s",
		strings.Join(fields, ", "), strings.Join(names, ", "), strings.Join(deltas, " UNION ALL "), t.SQL(), strings.Join(on, " AND "))
}

// deltaKeys are the names of a delta's key columns, and how they are read: as text they could not be told apart as the key's own operators
// do. A delta of an earlier pgibex has them typed already.
func deltaKeys(t *catalog.Table) (names, read []string) {
	for i, c := range t.KeyColumns() {
		name := fmt.Sprintf("k%d", i+1)
		names = append(names, name)
		if c.Created {
			name += "::" + c.BaseType + " AS " + name
		}
		read = append(read, name)
	}
	return names, read
}

// NotKey are the columns with data of their own that are not part of the key.
func NotKey(t *catalog.Table) []catalog.Column {
	return slices.DeleteFunc(t.Stored(), func(c catalog.Column) bool { return slices.Contains(t.KeyNames(), c.Name) })
}

func imagesSQL(t *catalog.Table, from []string, condition string, sign int) string {
	fields := make([]string, len(t.Stored()))
	for i := range fields {
		fields[i] = fmt.Sprintf("(image).c%d", i+1)
	}
	images := make([]string, len(from))
	for i, segment := range from {
		images[i] = fmt.Sprintf("SELECT %s FROM ONLY %s WHERE sign = %d AND %s", fieldList(fields), segment, sign, condition)
	}
	return strings.Join(images, " UNION ALL ")
}

func wholeSQL(t *catalog.Table) string {
	fields := make([]string, len(t.Stored()))
	for i, c := range t.Stored() {
		fields[i] = pg.Ident(c.Name)
	}
	return fmt.Sprintf("SELECT %s FROM ONLY %s", fieldList(fields), t.SQL())
}

// fieldList: a table may have no column at all, a select list of 9.2 may not. COPY writes an empty string as it
// writes a row without columns: as an empty line.
func fieldList(fields []string) string {
	if len(fields) == 0 {
		return "''::text"
	}
	return strings.Join(fields, ", ")
}

// ChangedKeys are the keys of all that changed in the table since the position, each once. It does not count as reading
// the deltas.
func (v *View) ChangedKeys(l *Log, since change.Snapshot) change.CopyFunc {
	names, keys := deltaKeys(l.Table)
	var deltas []string
	for _, s := range sortedSegments(l.segments) {
		deltas = append(deltas, fmt.Sprintf("SELECT %s FROM ONLY %s WHERE %s", strings.Join(keys, ", "), v.script.delta(l.Number, s.number), unapplied(since)))
	}
	return v.copyOut("SELECT DISTINCT " + strings.Join(names, ", ") + " FROM (" + strings.Join(deltas, " UNION ALL ") + ") a")
}
