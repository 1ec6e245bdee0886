package pg

import (
	"os"
	"syscall"
	"testing"
)

// like gives a file the owner of another: the server runs as another user where the tests run as root.
func like(t *testing.T, path, other string) {
	t.Helper()
	info, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
}
