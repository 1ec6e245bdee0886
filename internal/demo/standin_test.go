package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
)

// standInMode names the environment variable that turns the test binary into a pgibex executable that moves
// nothing until catchup, and then in the way its value says.
const standInMode = "PGIBEX_TEST_STAND_IN"

func standIn(mode string, args []string) (exitCode int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := config.Load(args[slices.Index(args, "-c")+1])
	if err == nil {
		switch command := args[0]; command {
		case "run":
			return standInDaemon(ctx, mode, c)
		case "status":
			standInStatus(mode)
		case "catchup":
			err = standInCatchup(ctx, mode, c)
		case "verify":
			if mode == "cannot verify" {
				fmt.Println("not equal")
				return 1
			}
		default:
			err = errors.New("unexpected command " + command)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func standInDaemon(ctx context.Context, mode string, c *config.Config) (exitCode int) {
	if mode == "ends by itself" {
		fmt.Fprintln(os.Stderr, "out of luck")
		return 3
	}
	listener, err := net.Listen("tcp", c.Metrics.Listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	started := time.Now()
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "# TYPE pgibex_applied_rows_total counter\npgibex_applied_rows_total{table=\"a b\"} %d\npgibex_lag_seconds 0.25\n",
			int(time.Since(started).Seconds()*10))
	})}
	go func() { _ = server.Serve(listener) }()
	<-ctx.Done()
	if mode == "does not stop" {
		return 1
	}
	return 0
}

func standInStatus(mode string) {
	state := `"state":"streaming"`
	if mode == "quarantines" {
		state = `"state":"quarantined","reason":"a column was dropped"`
	}
	fmt.Printf(`{"stream":"demo","phase":"streaming","consistent":true,"position":"10:20:11","lag_seconds":1.5,"backlog_bytes":0,
		"tables":[{"number":1,"table":"public.orders",%s,"rows_copied":7}]}`, state)
}

func standInCatchup(ctx context.Context, mode string, c *config.Config) error {
	source, err := connect(ctx, c.Source.DSN)
	if err != nil {
		return err
	}
	defer closeConn(ctx, source)
	target, err := connect(ctx, c.Target.DSN)
	if err != nil {
		return err
	}
	defer closeConn(ctx, target)
	if mode != "right" {
		_, err := target.Exec(ctx, `INSERT INTO "we""ird" VALUES ('fires a trigger')`)
		return err
	}
	if _, err := target.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return err
	}
	contents, err := read(ctx, c.Source.DSN)
	if err != nil {
		return err
	}
	for table := range contents.tables {
		var rows bytes.Buffer
		from := "(SELECT * FROM ONLY " + pg.Ident(table) + ")"
		if _, err := source.PgConn().CopyTo(ctx, &rows, "COPY "+from+" TO STDOUT (FORMAT 'binary')"); err != nil {
			return err
		}
		if _, err := target.PgConn().CopyFrom(ctx, &rows, "COPY "+pg.Ident(table)+" FROM STDIN (FORMAT 'binary')"); err != nil {
			return err
		}
	}
	for name, s := range contents.sequences {
		if _, err := target.Exec(ctx, "SELECT setval($1::text::regclass, $2, $3)", pg.Ident(name), s.LastValue, s.IsCalled); err != nil {
			return err
		}
	}
	return nil
}
