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
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// newCluster puts a fresh data directory at dest, which is this process's own until giveAway. initdb takes a second or two, so it runs
// once for each installation, and a server gets a copy of what it made.
//
// What the user who runs the servers may write to, others may have changed: whoever is a superuser of one of them acts as that user. So
// nothing is read there but regular files of that user's, and the copy that is kept belongs to this process, as nothing else does.
func newCluster(ctx context.Context, install Installation, dest string) error {
	root, err := cacheRoot()
	if err != nil {
		return err
	}
	where := sha256.Sum256([]byte(install.BinDir))
	template := filepath.Join(root, "templates", fmt.Sprintf("%s-%x-uid%d", install.Version, where[:4], os.Geteuid()))
	err = makeOnce(ctx, template, func(temp string) error {
		scratch, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", homePrefix, os.Getpid())) // swept with the servers' homes
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(scratch) }()
		if err := errors.Join(checkEnterable(filepath.Dir(scratch)), giveToServerUser(scratch)); err != nil {
			return err
		}
		if err := initdb(ctx, install, filepath.Join(scratch, "data")); err != nil {
			return err
		}
		maker, err := serverUID()
		if err != nil {
			return err
		}
		return errors.Join(os.Chmod(temp, 0o700), copyTree(filepath.Join(scratch, "data"), filepath.Join(temp, "data"), maker))
	})
	if err != nil {
		return err
	}
	if err := copyTree(filepath.Join(template, "data"), dest, uint32(os.Geteuid())); err != nil {
		return fmt.Errorf("copying a fresh data directory: %w", err)
	}
	return nil
}

// initdb makes a cluster that is never served as it is: authenticate says who may connect.
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

// copyTree makes the directory to, and copies into it what is in from: directories and regular files of one owner, and nothing by a link.
func copyTree(from, to string, owner uint32) (err error) {
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	dest, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dest.Close()) }()
	return fs.WalkDir(source.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case entry.IsDir():
			return dest.Mkdir(name, 0o700)
		}
		if err := copyFile(source, dest, name, owner); err != nil {
			return fmt.Errorf("%s: %w", path.Join(from, name), err)
		}
		return nil
	})
}

// errForeign: a server's files are its own.
var errForeign = errors.New("is no regular file of the user who runs the servers: it is not taken")

func copyFile(source, dest *os.Root, name string, owner uint32) (err error) {
	info, err := source.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errForeign
	}
	in, err := source.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err = in.Stat() // of what was opened: it may have taken the place of what was looked at
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Sys().(*syscall.Stat_t).Uid != owner {
		return errForeign
	}
	out, err := dest.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// giveAway makes a tree the server user's. The directory itself comes last: until then that user cannot enter it and change what is in it.
func giveAway(dir string) (err error) {
	cred, err := serverUser()
	if err != nil || cred == nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	err = fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return root.Lchown(name, int(cred.Uid), int(cred.Gid))
	})
	if err != nil {
		return err
	}
	return os.Lchown(dir, int(cred.Uid), int(cred.Gid))
}
