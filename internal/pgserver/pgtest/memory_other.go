//go:build !linux

package pgtest

func memoryDir() (dir string, ok bool) { return "", false }
