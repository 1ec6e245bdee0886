// Command pgibex moves a live PostgreSQL database to a newer version while the application keeps writing.
//
// Each command is a file of its own and holds no logic: what it does is in the packages it calls.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/replicator"
)

// version is set when the binary is built.
var version = "unknown"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // the job failed, or found a difference
	exitUsage  = 2 // wrong use or configuration
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetOut(output{os.Stdout})
	root.SetErr(output{os.Stderr})
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if _, told := errors.AsType[*silentError](err); !told {
		sayError(output{os.Stderr}, err)
	}
	var usage *usageError
	var configuration *config.Error
	var refused *replicator.RefusedError
	var encoding *pg.EncodingError
	switch {
	case errors.As(err, &usage), errors.As(err, &configuration), errors.As(err, &encoding), errors.As(err, &refused) && refused.Config:
		return exitUsage
	}
	return exitFailed
}

// usageError is a wrong use of the command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// silentError is a failure that the command's own output has told already.
type silentError struct{ error }

func (e *silentError) Unwrap() error { return e.error }
