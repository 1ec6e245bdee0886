package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// CreateDatabase creates a database. Options are in SQL's words: "TEMPLATE template0",
// "ENCODING 'SQL_ASCII'", "LC_COLLATE 'C'".
func (s *Server) CreateDatabase(ctx context.Context, name string, opts ...string) error {
	statement := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " " + strings.Join(opts, " ")
	if err := s.exec(ctx, "", statement); err != nil {
		return fmt.Errorf("creating database %s on PostgreSQL %s: %w", name, s.Version(), err)
	}
	return nil
}

const objectInUse = "55006"

// DropDatabase drops a database, whoever is connected to it and whatever is prepared in it.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	if err := s.rollbackPrepared(ctx, name); err != nil {
		return fmt.Errorf("rolling back what is prepared in database %s: %w", name, err)
	}
	err := s.query(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "UPDATE pg_database SET datallowconn = false WHERE datname = $1", name); err != nil {
			return err
		}
		for {
			if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
				return err
			}
			// Before 13 there is no WITH (FORCE); a backend needs a moment to end, and the server waits 5 s for it.
			_, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize())
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) || pgErr.Code != objectInUse || ctx.Err() != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("dropping database %s on PostgreSQL %s: %w", name, s.Version(), err)
	}
	return nil
}

func (s *Server) rollbackPrepared(ctx context.Context, name string) error {
	var statements []string
	err := s.query(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT 'ROLLBACK PREPARED ' || quote_literal(gid) FROM pg_prepared_xacts WHERE database = $1", name)
		if err != nil {
			return err
		}
		statements, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil || len(statements) == 0 {
		return err
	}
	return s.exec(ctx, name, statements...)
}

func (s *Server) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.DSN(database))
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) query(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.DSN(""))
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	return do(conn)
}

// closeConn says goodbye to the server also when ctx is over.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// withDatabase names another database in an address, whichever of libpq's two forms it has.
func withDatabase(dsn, database string) string {
	if database == "" {
		return dsn
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		if address, err := url.Parse(dsn); err == nil {
			address.Path = "/" + database
			return address.String()
		}
	}
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database)
	return dsn + " dbname='" + quoted + "'"
}
