package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver"
)

//go:embed sql
var sqlFiles embed.FS

// script returns sql/NAME.sql, which is part of the binary: a name that is wrong is a mistake in this package.
func script(name string) string {
	text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// database is a database on a server of its own.
type database struct {
	server *pgserver.Server
	name   string
	dsn    string
}

func startDatabase(ctx context.Context, install pgserver.Installation, name string) (*database, error) {
	server, err := install.Start(ctx)
	if err != nil {
		return nil, err
	}
	if err := server.CreateDatabase(ctx, name); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &database{server: server, name: name, dsn: server.DSN(name)}, nil
}

// close drops the database too: the server may be one that only lent its address.
func (db *database) close(ctx context.Context) error {
	if db == nil {
		return nil
	}
	return errors.Join(db.server.DropDatabase(ctx, db.name), db.server.Close())
}

// createSource makes the shop with its rows and returns their number.
func createSource(ctx context.Context, dsn string) (rows int64, err error) {
	// Indexes and foreign keys come after the rows: that is faster.
	rows, err = run(ctx, dsn, "tables", "data", "constraints", "analyze")
	if err != nil {
		return 0, fmt.Errorf("creating the shop on the source: %w", err)
	}
	return rows, nil
}

func createTarget(ctx context.Context, dsn string) error {
	if _, err := run(ctx, dsn, "tables", "constraints", "target"); err != nil {
		return fmt.Errorf("creating the shop on the target: %w", err)
	}
	return nil
}

// run runs scripts in one session and returns the number of rows they wrote.
func run(ctx context.Context, dsn string, scripts ...string) (rows int64, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer closeConn(ctx, conn)
	for _, name := range scripts {
		results, err := conn.PgConn().Exec(ctx, script(name)).ReadAll()
		if err != nil {
			return rows, fmt.Errorf("%s.sql: %w", name, err)
		}
		for _, result := range results {
			rows += result.CommandTag.RowsAffected()
		}
	}
	return rows, nil
}

// connect opens a session in which values read the same whatever the server's version and configuration.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	maps.Copy(config.RuntimeParams, map[string]string{
		"application_name": "shop", "client_encoding": "UTF8", "DateStyle": "ISO", "TimeZone": "UTC",
		"bytea_output": "hex", "standard_conforming_strings": "on", "search_path": "public",
	})
	return pgx.ConnectConfig(ctx, config)
}

func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // a goodbye; nothing hangs on it
}
