package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// sessions is also in the SQL: session n works on the rows whose number modulo 4 is n. So no two ever
	// wait for each other's rows in two orders, and any error is somebody else's doing. Only carts are shared.
	sessions   = 4
	wantedRate = 300 // transactions a second, all sessions together

	patience = 30 * time.Second // what an application's transaction may take before it counts as an error
)

// action is one kind of transaction, its statements in sql/application/NAME.sql.
type action struct {
	name   string
	weight int           // how often, against the others
	every  time.Duration // if set: in session 0 only, at this interval
}

var actions = []action{
	{name: "order", weight: 25},
	{name: "click", weight: 20},
	{name: "pay", weight: 15},
	{name: "ship", weight: 10},
	{name: "profile", weight: 10},
	{name: "cart", weight: 8},
	{name: "swap", weight: 6},
	{name: "keys", weight: 6},
	{name: "savepoint", weight: 6},
	{name: "register", weight: 5},
	{name: "rename", weight: 3},
	{name: "assortment", weight: 2},
	{name: "season", weight: 2},
	{name: "clicks", weight: 2},
	{name: "leave", weight: 2},
	{name: "empty_carts", every: 3 * time.Second},
	{name: "discount", every: 4 * time.Second},
}

// statements are what the action runs in one transaction.
func (a action) statements() []string {
	return strings.Split(strings.TrimSpace(script("application/"+a.name)), ";\n")
}

// application writes to the source until it is stopped.
type application struct {
	transactions atomic.Int64 // committed
	rows         atomic.Int64 // written by their statements; cascades and triggers not counted
	failures     atomic.Int64 // transactions that failed

	mu         sync.Mutex
	firstError error

	quit     chan struct{}
	stopOnce sync.Once
	running  sync.WaitGroup
}

// startApplication connects all sessions and lets them write.
func startApplication(ctx context.Context, dsn string) (*application, error) {
	app := &application{quit: make(chan struct{})}
	var all []*session
	for n := range sessions {
		s, err := newSession(ctx, dsn, n)
		if err != nil {
			for _, s := range all {
				closeConn(ctx, s.conn)
			}
			return nil, fmt.Errorf("starting the application: %w", err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		app.running.Go(func() {
			defer closeConn(ctx, s.conn)
			app.work(context.WithoutCancel(ctx), s)
		})
	}
	return app, nil
}

// stop lets each session finish its transaction and returns when all have ended.
func (app *application) stop() {
	app.stopOnce.Do(func() { close(app.quit) })
	app.running.Wait()
}

// err is nil when no transaction failed.
func (app *application) err() error {
	app.mu.Lock()
	defer app.mu.Unlock()
	if app.firstError == nil {
		return nil
	}
	return fmt.Errorf("%d transactions of the application failed; the first: %w", app.failures.Load(), app.firstError)
}

func (app *application) work(ctx context.Context, s *session) {
	pace := time.NewTicker(time.Second * sessions / wantedRate)
	defer pace.Stop()
	for {
		select {
		case <-app.quit:
			return
		case <-pace.C:
		}
		a := s.next()
		rows, err := s.transact(ctx, a)
		if err == nil {
			app.transactions.Add(1)
			app.rows.Add(rows)
			continue
		}
		app.fail(fmt.Errorf("%s of session %d: %w", a.name, s.number, err))
		if s.conn.IsClosed() {
			return
		}
	}
}

func (app *application) fail(err error) {
	app.failures.Add(1)
	app.mu.Lock()
	defer app.mu.Unlock()
	if app.firstError == nil {
		app.firstError = err
	}
}

// session is one connection of the application.
type session struct {
	number int
	conn   *pgx.Conn
	draw   []action // each as often as its weight says
	timed  []action
	due    map[string]time.Time
}

func newSession(ctx context.Context, dsn string, number int) (*session, error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	s := &session{number: number, conn: conn, due: map[string]time.Time{}}
	for _, a := range actions {
		for range a.weight {
			s.draw = append(s.draw, a)
		}
		if a.every > 0 && number == 0 {
			s.timed = append(s.timed, a)
			s.due[a.name] = time.Now().Add(a.every)
		}
	}
	return s, nil
}

func (s *session) next() action {
	now := time.Now()
	for _, a := range s.timed {
		if now.After(s.due[a.name]) {
			s.due[a.name] = now.Add(a.every)
			return a
		}
	}
	return s.draw[rand.IntN(len(s.draw))]
}

// transact runs one transaction and returns the rows its statements wrote.
func (s *session) transact(ctx context.Context, a action) (rows int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := pgx.NamedArgs{"session": s.number, "pick": rand.Float64()}
	err = pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		for _, statement := range a.statements() {
			tag, err := tx.Exec(ctx, statement, args)
			if err != nil {
				return err
			}
			rows += tag.RowsAffected()
		}
		return nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("not done after %v: %w", patience, err)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Detail != "" {
		err = fmt.Errorf("%w: %s", err, pgErr.Detail) // of a deadlock: who waited for whom
	}
	return rows, err
}
