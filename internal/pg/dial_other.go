//go:build !linux

package pg

// setUserTimeout does nothing: other systems have their own bound, of some minutes.
func setUserTimeout(uintptr, int) error { return nil }
