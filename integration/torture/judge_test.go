package torture

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// The judge compares by means of its own, which share nothing with package verify.

// sameText has both versions write values in the same way.
const sameText = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 3; SET client_encoding = 'UTF8'; SET enable_nestloop = off`

// compare fails the test for each table whose rows are not the same on both sides.
func (m *machine) compare(ctx context.Context) (equal bool) {
	tables, err := ask[[]string](ctx, m.source, `SELECT ARRAY(SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1)`)
	m.must(err)
	rows := 0
	equal = true
	for _, table := range tables {
		n, err := m.compareTable(ctx, table)
		if err != nil {
			m.hurt("compare %s: %v", table, err)
			equal = false
		}
		rows += n
	}
	m.event("judge: %d tables, %d rows compared", len(tables), rows)
	return equal
}

// compareTable reads the sorted rows of both sides side by side.
func (m *machine) compareTable(ctx context.Context, table string) (rows int, err error) {
	fields, err := ask[[]string](ctx, m.source, `SELECT ARRAY(SELECT CASE atttypid WHEN 'float8'::regtype THEN 'encode(float8send(' || quote_ident(attname) || '), ''hex'')' ELSE quote_ident(attname) || '::text' END
		FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname)`, table)
	if err != nil {
		return 0, err
	}
	query := fmt.Sprintf(`COPY (SELECT * FROM (SELECT md5(r::text) AS sum, r FROM (SELECT %s FROM ONLY %s) r OFFSET 0) s ORDER BY sum COLLATE "C") TO STDOUT`, strings.Join(fields, ", "), table)
	group, ctx := errgroup.WithContext(ctx)
	source, target := m.read(ctx, group, m.source, query), m.read(ctx, group, m.target, query)
	defer func() { _, _ = source.close(), target.close() }()
	var only [2][]string
	a, moreA := source.next()
	b, moreB := target.next()
	for moreA || moreB {
		switch {
		case moreA && moreB && a == b:
			rows++
			a, moreA = source.next()
			b, moreB = target.next()
		case moreA && (!moreB || a < b):
			only[0] = append(only[0], a)
			a, moreA = source.next()
		default:
			only[1] = append(only[1], b)
			b, moreB = target.next()
		}
	}
	if err := group.Wait(); err != nil {
		return rows, err
	}
	if len(only[0])+len(only[1]) > 0 {
		return rows, fmt.Errorf("DIFFERENCE: %d rows are the same, %d are only on the source, %d only on the target\n%s\n%s",
			rows, len(only[0]), len(only[1]), some("source", only[0]), some("target", only[1]))
	}
	return rows, nil
}

func some(side string, rows []string) string {
	var b strings.Builder
	for _, row := range rows[:min(len(rows), 5)] {
		fmt.Fprintf(&b, "  %s: %.400s\n", side, row)
	}
	return b.String()
}

// lines are what a COPY writes, as it comes.
type lines struct {
	pipe   *io.PipeReader
	reader *bufio.Reader
}

func (m *machine) read(ctx context.Context, group *errgroup.Group, s *server, query string) *lines {
	from, to := io.Pipe()
	group.Go(func() error {
		conn, err := s.connect(ctx, "torture/judge")
		if err == nil {
			defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
			_, err = conn.PgConn().Exec(ctx, sameText).ReadAll()
		}
		if err == nil {
			_, err = conn.PgConn().CopyTo(ctx, to, query)
		}
		_ = to.CloseWithError(err) // never fails
		if err != nil {
			return fmt.Errorf("%s: %w in: %s", s.side, err, query)
		}
		return nil
	})
	return &lines{from, bufio.NewReaderSize(from, 1<<16)}
}

func (l *lines) next() (line string, ok bool) {
	line, err := l.reader.ReadString('\n')
	return line, err == nil
}

func (l *lines) close() error { return l.pipe.Close() }

// compareSequences: catchup has set them.
func (m *machine) compareSequences(ctx context.Context) {
	names, err := ask[[]string](ctx, m.source, "SELECT ARRAY(SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'S' AND nspname = 'public' ORDER BY 1)")
	m.must(err)
	for _, name := range names {
		query := "SELECT last_value || ' ' || is_called FROM " + name
		source, err := ask[string](ctx, m.source, query)
		m.must(err)
		target, err := ask[string](ctx, m.target, query)
		m.must(err)
		if source != target {
			m.hurt("DIFFERENCE: sequence %s is at %s on the source, at %s on the target", name, source, target)
		}
	}
}

// audit compares the ledger with what the sessions know: what was acknowledged must be in it, what was never committed must not.
func (m *machine) audit(ctx context.Context) {
	for _, s := range []*server{m.source, m.target} {
		there, err := ask[[]string](ctx, s, "SELECT ARRAY(SELECT session || ' ' || seq FROM ledger)")
		m.must(err)
		in := map[string]bool{}
		for _, line := range there {
			in[line] = true
		}
		all := 0
		for _, session := range m.app.sessions {
			for seq, entry := range session.book.all() {
				name := fmt.Sprintf("%d %d", session.id, seq)
				switch {
				case entry == committed && !in[name]:
					m.hurt("LOST on the %s: transaction %s was acknowledged", s.side, name)
				case entry == absent && in[name]:
					m.hurt("PHANTOM on the %s: transaction %s was never committed", s.side, name)
				}
				all++
			}
		}
		m.event("judge: %s: %d of %d transactions are in the ledger", s.side, len(in), all)
	}
}

// definitions are the indexes and constraints of the target.
func (m *machine) definitions(ctx context.Context) ([]string, error) {
	return ask[[]string](ctx, m.target, `SELECT ARRAY(SELECT indexdef || ' ' || i.indisvalid FROM pg_indexes JOIN pg_index i ON i.indexrelid = ('public.' || quote_ident(indexname))::regclass WHERE schemaname = 'public'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1)`)
}

// compareDefinitions: a copy drops the target's indexes and foreign keys, and must make them again.
func (m *machine) compareDefinitions(ctx context.Context) {
	var now []string
	if m.eventually(ctx, 10*time.Second, func() bool {
		var err error
		now, err = m.definitions(ctx)
		return err == nil && equalSets(now, m.indexes)
	}) {
		return
	}
	have := map[string]bool{}
	for _, d := range now {
		have[d] = true
	}
	for _, d := range m.indexes {
		if !have[d] {
			m.hurt("the target lacks %s", d)
		}
	}
}

// judge stops the application, catches up, and compares.
func (m *machine) judge(ctx context.Context) {
	start := time.Now()
	m.app.end(ctx)
	m.beat.writing.Lock()
	defer m.beat.writing.Unlock()
	m.event("judge: the application is at rest")
	m.catchUp(ctx)
	equal := m.compare(ctx)
	m.compareSequences(ctx)
	m.audit(ctx)
	m.compareDefinitions(ctx)
	m.verify(ctx, equal)
	m.watcher.judge()
	m.searchLogs()
	m.event("judge: done in %s; %s", time.Since(start).Round(time.Millisecond), m.beat)
}

// catchUp repeats pgibex catchup until it is through.
func (m *machine) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		start := time.Now()
		code, out := m.call(ctx, "", "catchup")
		m.event("judge: catchup took %s, code %d: %s", time.Since(start).Round(time.Millisecond), code, lastLine(out))
		if code == 0 {
			return
		}
		if cured, err := m.cure(ctx); err == nil && cured {
			continue
		}
		if strings.Contains(out, "quarantine") {
			m.hurt("tables are in quarantine:\n%s", out)
			return
		}
		if ctx.Err() != nil {
			m.hurt("pgibex catchup does not come to an end:\n%s", out)
			return
		}
		m.count("catchup had to be repeated")
		pause(ctx, 500*time.Millisecond)
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
