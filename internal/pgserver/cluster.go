package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// newCluster puts a fresh data directory at dest. initdb takes a second or two, so it runs once for
// each installation, and a server gets a copy of what it made.
func newCluster(ctx context.Context, install Installation, dest string) error {
	root, err := cacheRoot()
	if err != nil {
		return err
	}
	where := sha256.Sum256([]byte(install.BinDir))
	template := filepath.Join(root, "clusters", fmt.Sprintf("%s-%x-uid%d", install.Version, where[:4], os.Geteuid()))
	err = makeOnce(ctx, template, func(temp string) error {
		if err := errors.Join(checkEnterable(filepath.Dir(temp)), giveToServerUser(temp)); err != nil {
			return err
		}
		return initdb(ctx, install, filepath.Join(temp, "data"))
	})
	if err != nil {
		return err
	}
	if err := copyTree(filepath.Join(template, "data"), dest); err != nil {
		return fmt.Errorf("copying a fresh data directory: %w", err)
	}
	return nil
}

func initdb(ctx context.Context, install Installation, dir string) error {
	args := []string{"-D", dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"}
	if atLeast(install.Version, "9.3") {
		args = append(args, "--nosync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(install.BinDir, "initdb"), args...)
	cmd.Env = install.Env()
	cmd.Dir = filepath.Dir(dir)
	if err := asServerUser(cmd); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb of PostgreSQL %s: %w: %s", install.Version, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			err = os.Mkdir(dest, info.Mode().Perm())
		} else {
			err = copyFile(path, dest, info.Mode().Perm())
		}
		if err != nil {
			return err
		}
		return giveToServerUser(dest)
	})
}

func copyFile(from, to string, mode os.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
