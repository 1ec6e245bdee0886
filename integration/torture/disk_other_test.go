//go:build !linux

package torture

import (
	"context"
	"testing"
)

type disk struct{}

func newDisk(tb testing.TB, _ string) *disk {
	tb.Helper()
	tb.Log("NOT TESTED: a full disk of the target; only on Linux")
	return nil
}

func (d *disk) giveTo(context.Context, *server) error { return nil }
func (d *disk) fill() error                           { return nil }
func (d *disk) free() error                           { return nil }
