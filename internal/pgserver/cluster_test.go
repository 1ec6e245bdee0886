package pgserver

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What the servers' user has put in a file's place is not followed: root would hand on what only root may read.
func TestOnlyRegularFilesOfTheOwnerAreCopied(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	me := uint32(os.Geteuid())
	for name, test := range map[string]struct {
		put   func(path string) error
		owner uint32
	}{
		"a link":              {func(path string) error { return os.Symlink(secret, path) }, me},
		"a link to nothing":   {func(path string) error { return os.Symlink("/nowhere", path) }, me},
		"a link to directory": {func(path string) error { return os.Symlink(filepath.Dir(secret), path) }, me},
		"a link in the tree":  {func(path string) error { return os.Symlink("../PG_VERSION", path) }, me},
		"a pipe":              {func(path string) error { return syscall.Mkfifo(path, 0o600) }, me},
		"another's file":      {func(path string) error { return os.Link(secret, path) }, me + 1},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
			if err := os.Mkdir(filepath.Join(from, "base"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(from, "PG_VERSION"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := test.put(filepath.Join(from, "base", "1")); err != nil {
				t.Fatal(err)
			}
			if err := copyTree(from, to, test.owner); !errors.Is(err, errForeign) {
				t.Errorf("copyTree: %v", err)
			}
			if _, err := os.Lstat(filepath.Join(to, "base", "1")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it was copied: %v", err)
			}
		})
	}
}

// And nothing is written to where somebody has put a link.
func TestCopiesGoNowhereElse(t *testing.T) {
	from, elsewhere := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.Symlink(elsewhere, to); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to, uint32(os.Geteuid())); !errors.Is(err, os.ErrExist) {
		t.Errorf("copyTree: %v", err)
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("it has written %v %v", left, err)
	}
}
