package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is one of the application's. Its transactions are numbered; each writes its number into the ledger.
type session struct {
	app     *application
	id      int
	random  *rand.Rand
	replica bool // session_replication_role = replica: no triggers but ours

	conn *pgx.Conn
	book book
}

// statementTimeout is long: nothing should come near it but what waits for another of the application's own.
const statementTimeout = "8s"

func (s *session) run(ctx context.Context) {
	for ctx.Err() == nil {
		if s.conn == nil || s.conn.IsClosed() {
			if err := s.connect(ctx); err != nil {
				s.app.m.errors.judge(s.name(), "connect", err)
				pause(ctx, 100*time.Millisecond)
				continue
			}
		}
		p, wait := s.decide(), time.Duration(s.random.IntN(20))*time.Millisecond
		if s.app.calm.Load() || !s.app.m.beat.since(time.Time{}) {
			p = p.short()
		}
		s.transaction(ctx, p)
		pause(ctx, wait)
	}
}

func (s *session) name() string { return fmt.Sprintf("app/%d", s.id) }

func (s *session) close(ctx context.Context) {
	if s.conn != nil {
		_ = s.conn.Close(ctx) // the server may be down
	}
	s.conn = nil
}

// connect opens the session with its prepared statements, which it keeps until the connection is lost.
func (s *session) connect(ctx context.Context) error {
	s.close(ctx)
	conn, err := s.app.m.source.connect(ctx, s.name())
	if err != nil {
		return err
	}
	s.conn = conn
	setup := "SET statement_timeout = '" + statementTimeout + "';"
	if s.replica {
		setup += "SET session_replication_role = replica;"
	} else {
		setup += "SET ROLE app;"
	}
	if _, err := conn.PgConn().Exec(ctx, setup).ReadAll(); err != nil {
		return err
	}
	for _, t := range s.app.schema.keyed {
		var terms []string
		for i, k := range t.key {
			terms = append(terms, fmt.Sprintf("k%d = %s", i+1, fmt.Sprintf(k.variants[0], "$1::int")))
		}
		if _, err := conn.Prepare(ctx, t.name, fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE %s", t.name, strings.Join(terms, " AND "))); err != nil {
			return err
		}
	}
	return nil
}

// transaction runs one, and books how it ended. Only its pauses heed ctx: the application is not stopped in the middle of a statement.
func (s *session) transaction(ctx context.Context, p plan) {
	seq := s.book.next()
	// Not by ctx: nothing shall be broken off but by a fault.
	work := context.WithoutCancel(ctx)
	err := s.exec(work, "BEGIN ISOLATION LEVEL "+p.isolation)
	for _, part := range p.parts {
		if err == nil {
			err = s.part(work, ctx, part)
		}
	}
	if err == nil {
		err = s.exec(work, fmt.Sprintf("INSERT INTO ledger VALUES (%d, %d, '%s')", s.id, seq, strings.ToLower(p.isolation)))
	}
	if err == nil && p.pause > 0 {
		pause(ctx, p.pause)
	}
	if err == nil {
		s.finish(work, seq, p.outcome)
		return
	}
	if !s.conn.IsClosed() {
		_ = s.exec(work, "ROLLBACK") // judged by exec
	}
}

func (s *session) finish(ctx context.Context, seq int, how outcome) {
	switch how {
	case rollback:
		_ = s.exec(ctx, "ROLLBACK") // judged by exec
	case commit:
		s.book.set(seq, unknown)
		s.book.set(seq, outcomeOf(s.exec(ctx, "COMMIT"), committed))
	case prepare:
		s.app.prepared.begin(s, seq)
		err := s.exec(ctx, fmt.Sprintf("PREPARE TRANSACTION '%s'", gid(s.id, seq)))
		s.app.prepared.made(s, seq, err)
	}
}

// outcomeOf a command that ends a transaction: where the server has refused it, nothing was done; where the connection broke or
// the server went down, nobody knows.
func outcomeOf(err error, done entry) entry {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return done
	case asPg(err, &pgErr) && pgErr.Severity != "FATAL" && pgErr.Severity != "PANIC" && !strings.HasPrefix(pgErr.Code, "57P"):
		return absent
	}
	return unknown
}

func (s *session) part(work, pauses context.Context, p part) error {
	if p.savepoint != noSavepoint {
		if err := s.exec(work, "SAVEPOINT half"); err != nil {
			return err
		}
	}
	for _, step := range p.steps {
		if err := s.step(work, step); err != nil {
			if p.savepoint == noSavepoint || s.conn.IsClosed() {
				return err
			}
			return s.exec(work, "ROLLBACK TO half")
		}
		if step.pause > 0 {
			pause(pauses, step.pause)
		}
	}
	switch p.savepoint {
	case released:
		return s.exec(work, "RELEASE half")
	case rolledBack:
		return s.exec(work, "ROLLBACK TO half")
	}
	return nil
}

func (s *session) step(ctx context.Context, step step) error {
	if step.prepared == nil {
		return s.exec(ctx, step.sql)
	}
	return s.timed(step.prepared.name, func(ctx context.Context) error {
		_, err := s.conn.Exec(ctx, step.prepared.name, step.args...)
		return err
	})(ctx)
}

// exec runs statements; whatever goes wrong is judged.
func (s *session) exec(ctx context.Context, sql string) error {
	return s.timed(sql, func(ctx context.Context) error {
		results, err := s.conn.PgConn().Exec(ctx, sql).ReadAll()
		if err == nil && sql == "COMMIT" && results[0].CommandTag.String() != "COMMIT" {
			return fmt.Errorf("COMMIT answered %s", results[0].CommandTag)
		}
		return err
	})(ctx)
}

// hung is after what time a statement without an answer counts as a hurt: longer than statement_timeout.
const hung = 90 * time.Second

func (s *session) timed(sql string, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, hung)
		defer cancel()
		start := time.Now()
		err := run(ctx)
		s.app.m.errors.timed(s.name(), sql, time.Since(start))
		if err != nil {
			s.app.m.errors.judge(s.name(), sql, err)
		}
		return err
	}
}
