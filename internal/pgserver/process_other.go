//go:build !linux

package pgserver

import "syscall"

// endWithParent does nothing: only Linux can do it. A server outlives a killed process here.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}
