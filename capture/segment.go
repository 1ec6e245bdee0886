package capture

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/give_way.sql
var giveWaySQL string

//go:embed sql/writers.sql
var writersSQL string

// Log is the delta table of one captured table: its segments and what is known of them. It belongs to one
// goroutine at a time. What it knows beyond the source's own tables is found again after a restart.
type Log struct {
	Table    *catalog.Table
	Number   int
	script   script
	segments []*segment
	writers  map[int][]writer // those that may still write to a segment that was left, by segment
}

// segment is one heap that deltas are appended to. Its life: active, left (the trigger function names another one,
// but transactions that began before may still write to it), sealed (all of those have ended), emptied.
type segment struct {
	number int
	oid    uint32
	active bool
	sealed bool
	size   int64 // bytes, when last looked at

	// Rows that a left segment still has to show are those of its writers. changes counts the times
	// that this could be: when it was left, and whenever one of them ended. read is the count when
	// it was last read as a whole by a batch that is committed.
	changes, read int

	// stirred: one of the writers may have committed since they were last looked for, before the snapshot that is
	// being read. Its position covers that transaction, so its rows are read now or never.
	stirred  bool
	readSize int64 // what it measured then

	refusals   int       // how often in a row it could not be emptied because somebody has a lock on it
	retryAfter time.Time // and when that is tried again
}

// writer is a transaction that may still run an older body of the trigger function.
type writer struct {
	vxid string // virtual transaction, -1/txid once it is prepared
	txid string // "" while it has none
}

func (s *segment) pending() bool { return s.size > 0 && (s.active || s.stirred || s.read < s.changes) }

func (s *segment) emptiable() bool { return s.sealed && s.size > 0 && s.read >= s.changes }

// Logs reads the segments of the tables captured. Segments that are not active count as left just now: who may write to
// them is looked up anew.
func (c *Capture) Logs(ctx context.Context, conn *pg.Conn, tables map[int]*catalog.Table) (map[int]*Log, error) {
	rows, err := conn.Query(ctx, c.script.sql(`SELECT s.number, s.segment, s.active, c.oid
		  FROM {{schema}}.segment s
		  JOIN pg_catalog.pg_class c ON c.relname = 'delta_' || s.number || '_' || s.segment
		  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
		 ORDER BY s.number, s.segment`), c.script.stream)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	logs := map[int]*Log{}
	for rows.Next() {
		var number int
		s := &segment{changes: 1}
		if err := rows.Scan(&number, &s.number, &s.active, &s.oid); err != nil {
			return nil, err
		}
		if tables[number] == nil {
			continue
		}
		if logs[number] == nil {
			logs[number] = &Log{Table: tables[number], Number: number, script: c.script, writers: map[int][]writer{}}
		}
		logs[number].segments = append(logs[number].segments, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if err := measure(ctx, conn, logs); err != nil {
		return nil, err
	}
	return logs, c.lookForWriters(ctx, conn, logs, true)
}

// LookForWriters finds which of the segments left are sealed by now. It must come before the snapshot of the batch
// that is to read what the ended transactions wrote.
func (c *Capture) LookForWriters(ctx context.Context, conn *pg.Conn, logs map[int]*Log) error {
	return c.lookForWriters(ctx, conn, logs, false)
}

func (c *Capture) lookForWriters(ctx context.Context, conn *pg.Conn, logs map[int]*Log, first bool) error {
	byOID := map[uint32]*Log{}
	var oids []uint32
	for _, l := range logs {
		if l.Unsealed() {
			byOID[l.Table.OID] = l
			oids = append(oids, l.Table.OID)
		}
	}
	if len(oids) == 0 {
		return nil
	}
	holders, err := holders(ctx, conn, oids)
	if err != nil {
		return fmt.Errorf("look for transactions that write to captured tables: %w", err)
	}
	for oid, l := range byOID {
		l.seal(holders[oid], first)
	}
	return nil
}

func holders(ctx context.Context, conn *pg.Conn, oids []uint32) (map[uint32][]writer, error) {
	rows, err := conn.Query(ctx, writersSQL, oids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	holders := map[uint32][]writer{}
	for rows.Next() {
		var oid uint32
		var w writer
		if err := rows.Scan(&oid, &w.vxid, &w.txid); err != nil {
			return nil, err
		}
		holders[oid] = append(holders[oid], w)
	}
	return holders, rows.Err()
}

// GiveWay ends what sessions of this stream are reading from tables that somebody else waits for, and returns the transactions that do so: a
// backend that can not send what it reads does not hear, and is returned again.
func (c *Capture) GiveWay(ctx context.Context, conn *pg.Conn) (reads []string, err error) {
	err = conn.Each(ctx, giveWaySQL, []any{"pgibex/" + strings.TrimPrefix(c.script.stream, "pgibex_") + "/"}, func(rows pgx.Rows) error {
		var read string
		err := rows.Scan(&read, nil)
		reads = append(reads, read)
		return err
	})
	return reads, err
}

// Unsealed says whether a segment that was left may still be written to.
func (l *Log) Unsealed() bool {
	return slices.ContainsFunc(l.segments, func(s *segment) bool { return !s.active && !s.sealed })
}

// seal follows, for each segment left, the transactions that held a lock on the table when it was left.
func (l *Log) seal(holders []writer, first bool) {
	for _, s := range l.segments {
		if s.active || s.sealed {
			continue
		}
		before, known := l.writers[s.number]
		if !known || first {
			before = holders
		}
		after, ended := stillThere(before, holders)
		if ended {
			s.changes++
		}
		l.writers[s.number] = after
		if len(after) == 0 {
			s.sealed = true
			delete(l.writers, s.number)
		}
	}
}

// stillThere returns those of before that have not ended, as they are called now, and whether one has: a transaction that
// was prepared goes on under the name -1/txid. One whose txid was not known when it vanished may be any of the prepared ones.
// (A transaction with savepoints appears once for each of its txids.)
func stillThere(before, now []writer) (still []writer, ended bool) {
	for _, w := range before {
		found := false
		for _, n := range now {
			prepared, isPrepared := strings.CutPrefix(n.vxid, "-1/")
			if n.vxid == w.vxid || isPrepared && !strings.HasPrefix(w.vxid, "-1/") && (w.txid == "" || w.txid == prepared) {
				found = found || n.vxid == w.vxid
				if !slices.Contains(still, n) {
					still = append(still, n)
				}
			}
		}
		ended = ended || !found
	}
	return still, ended
}

// stir finds the segments left that the snapshot may show something new of: those with a writer that it does not
// show as running. A writer has a txid for each of its savepoints, of which a snapshot lists the topmost.
func (l *Log) stir(snapshot change.Snapshot) {
	for _, s := range l.segments {
		running := map[string]bool{}
		for _, w := range l.writers[s.number] {
			running[w.vxid] = running[w.vxid] || w.running(snapshot)
		}
		s.stirred = !s.active && !s.sealed && slices.Contains(slices.Collect(maps.Values(running)), false)
	}
}

// running says whether the snapshot, taken later, shows the writer as running. Locks know the lower 32 bits of a txid.
func (w writer) running(snapshot change.Snapshot) bool {
	xid, err := strconv.ParseUint(w.txid, 10, 32)
	if err != nil {
		return false // it had none yet
	}
	return int32(uint32(xid)-uint32(snapshot.Xmax)) >= 0 || slices.ContainsFunc(snapshot.Xip, func(xip uint64) bool { return uint32(xip) == uint32(xid) })
}

// Pending is how many bytes of deltas a batch would have to look through. In an active segment some of them may be applied
// already; what it says is how much work a read is, not how much is left to do.
func (l *Log) Pending() (bytes int64) {
	for _, s := range l.segments {
		if s.pending() {
			bytes += s.size
		}
	}
	return bytes
}

// Unread is how many bytes the segments have grown since they were last read.
func (l *Log) Unread() (bytes int64) {
	for _, s := range l.segments {
		if s.pending() {
			bytes += max(0, s.size-s.readSize)
		}
	}
	return bytes
}

// Emptiable says whether a segment waits to be emptied.
func (l *Log) Emptiable() bool {
	return slices.ContainsFunc(l.segments, func(s *segment) bool { return s.emptiable() && time.Now().After(s.retryAfter) })
}

// ActiveSize is the size in bytes of the segment that is written to.
func (l *Log) ActiveSize() int64 {
	for _, s := range l.segments {
		if s.active {
			return s.size
		}
	}
	return 0
}

// Switch makes another segment the active one, so that the one in use can be emptied once it is sealed and applied.
// The application does not notice: replacing a function takes no lock on the table.
func (c *Capture) Switch(ctx context.Context, conn *pg.Conn, l *Log) error {
	next := &segment{changes: 1, sealed: true}
	create := true
	for _, s := range l.segments {
		if !s.active && s.sealed && s.size == 0 {
			next, create = s, false
			break
		}
		next.number = max(next.number, s.number)
	}
	err := c.held(ctx, conn, func(ctx context.Context) error {
		if create {
			next.number++
			if err := c.addSegment(ctx, conn, l, next); err != nil {
				return err
			}
		}
		if err := c.redirect(ctx, conn, l.Number, next.number); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, c.script.sql("UPDATE {{schema}}.segment SET active = segment = $2 WHERE number = $1 AND active <> (segment = $2)"), l.Number, next.number)
		return err
	})
	if err != nil {
		return fmt.Errorf("switch the delta segment of %s: %w", l.Table.Name, err)
	}
	if create {
		l.segments = append(l.segments, next)
	}
	for _, s := range l.segments {
		if s.active {
			s.active, s.sealed = false, false
			s.changes++
		}
	}
	next.active, next.sealed = true, false
	// Only now, after the commit: whoever takes a lock from here on runs the new body.
	return c.LookForWriters(ctx, conn, map[int]*Log{l.Number: l})
}

// redirect has the table's function record in another segment, which takes no lock on the table.
func (c *Capture) redirect(ctx context.Context, conn *pg.Conn, number, segment int) error {
	query := pg.Fill(redirectSQL, "number", strconv.Itoa(number), "segment", strconv.Itoa(segment))
	var redirected string
	if err := conn.QueryRow(ctx, query, c.script.stream).Scan(&redirected); err != nil {
		return err
	}
	return conn.Run(ctx, redirected)
}

func (c *Capture) addSegment(ctx context.Context, conn *pg.Conn, l *Log, s *segment) error {
	like := "LIKE " + c.script.delta(l.Number, l.segments[0].number)
	if err := conn.Run(ctx, c.script.segment(l.Number, s.number, like)); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, c.script.sql("INSERT INTO {{schema}}.segment VALUES ($1, $2, false)"), l.Number, s.number); err != nil {
		return err
	}
	return conn.QueryRow(ctx, "SELECT $1::text::pg_catalog.regclass::pg_catalog.oid", c.script.delta(l.Number, s.number)).Scan(&s.oid)
}

// A segment is left alone for a while after somebody's lock (pg_dump's, for hours) kept it from being emptied, longer each time.
const (
	firstRetry = 5 * time.Second
	lastRetry  = time.Minute
)

func (s *segment) refused() {
	s.retryAfter = time.Now().Add(min(firstRetry<<min(s.refusals, 8), lastRetry))
	s.refusals++
}

// LookForReaders finds which of the segments to be emptied somebody has locked, and leaves those alone: each refusal
// would be an error in the server's log.
func (c *Capture) LookForReaders(ctx context.Context, conn *pg.Conn, logs map[int]*Log) error {
	byOID := map[uint32]*segment{}
	var oids []uint32
	for _, l := range logs {
		for _, s := range l.segments {
			if s.emptiable() && time.Now().After(s.retryAfter) {
				byOID[s.oid] = s
				oids = append(oids, s.oid)
			}
		}
	}
	if len(oids) == 0 {
		return nil
	}
	return conn.Each(ctx, `SELECT DISTINCT relation FROM pg_catalog.pg_locks WHERE locktype = 'relation' AND relation = ANY ($1::oid[])
		AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`, []any{oids}, func(rows pgx.Rows) error {
		var oid uint32
		err := rows.Scan(&oid)
		if err == nil {
			byOID[oid].refused()
		}
		return err
	})
}

// Empty gives the disk of applied segments back, as far as no lock stands in the way. None is dropped, however many there
// are: a pg_dump of the source lists all tables first and fails when one is gone as it comes to it. applied is the position
// committed on the target for this table: the source remembers it, and a target behind it is refused from then on.
func (c *Capture) Empty(ctx context.Context, conn *pg.Conn, l *Log, applied change.Snapshot) error {
	for _, s := range l.segments {
		if !s.emptiable() || time.Now().Before(s.retryAfter) {
			continue
		}
		if err := c.emptySegment(ctx, conn, l, s, applied); err != nil {
			return fmt.Errorf("empty segment %d of %s: %w", s.number, l.Table.Name, err)
		}
	}
	return nil
}

func (c *Capture) emptySegment(ctx context.Context, conn *pg.Conn, l *Log, s *segment, applied change.Snapshot) error {
	name := c.script.delta(l.Number, s.number)
	err := c.held(ctx, conn, func(ctx context.Context) error {
		if err := conn.Run(ctx, "LOCK TABLE ONLY "+name+" IN ACCESS EXCLUSIVE MODE NOWAIT"); err != nil {
			return err
		}
		// Nothing is purged that the target does not have: looked at once more, when nothing can change any more.
		var left bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM ONLY "+name+" WHERE "+unapplied(applied)+")").Scan(&left)
		if err != nil {
			return err
		}
		if left {
			return errUnapplied
		}
		if err := c.setPurged(ctx, conn, l.Number, applied); err != nil {
			return err
		}
		return conn.Run(ctx, "TRUNCATE ONLY "+name)
	})
	if errors.Is(err, errUnapplied) {
		s.changes++ // read it again
		return nil
	}
	if pg.State(err) == pg.LockNotAvailable {
		s.refused()
		return nil
	}
	if err != nil {
		return err
	}
	s.size, s.readSize, s.refusals = 0, 0, 0
	return nil
}

var errUnapplied = errors.New("deltas are not applied")

func (c *Capture) setPurged(ctx context.Context, conn *pg.Conn, number int, applied change.Snapshot) error {
	_, err := conn.Exec(ctx, c.script.sql("UPDATE {{schema}}.captured SET purged = $2 WHERE number = $1"), number, applied.String())
	return err
}

// unapplied is the condition on a segment's rows. The comparison with xmin spares the search in the list of
// running transactions for all but the latest rows.
func unapplied(position change.Snapshot) string {
	if position.IsZero() {
		return "true"
	}
	return fmt.Sprintf("txid >= %d AND NOT pg_catalog.txid_visible_in_snapshot(txid, '%s')", position.Xmin, position)
}

func sortedSegments(segments []*segment) []*segment {
	return slices.SortedFunc(slices.Values(segments), func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
}
