//go:build !linux

package demo

import "syscall"

// endWithParent does nothing: only Linux can do it.
func endWithParent(*syscall.SysProcAttr) {}

// memory is not known here.
func memory(int) (now, peak int64) { return 0, 0 }
