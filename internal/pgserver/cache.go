package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// cacheRoot is PGIBEX_CACHE, else the user's cache directory. For root it is one under /var, since
// the unprivileged user who runs the servers may not enter root's home.
func cacheRoot() (string, error) {
	if dir := os.Getenv("PGIBEX_CACHE"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("using PGIBEX_CACHE: %w", err)
		}
		return abs, nil
	}
	if os.Geteuid() == 0 {
		return "/var/cache/pgibex", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for downloaded servers, set HOME or PGIBEX_CACHE: %w", err)
	}
	return filepath.Join(dir, "pgibex"), nil
}

// makeOnce makes the directory dest by fill, unless it is there. However many processes come at
// once, one of them fills, beside dest and then renamed, so that dest is there whole or not at all.
func makeOnce(ctx context.Context, dest string, fill func(temp string) error) error {
	if isDir(dest) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	unlock, err := lockFile(ctx, dest+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if isDir(dest) {
		return nil
	}
	temp := dest + ".part" // only the lock's holder is here: what is left of a dead one is cleared
	if err := os.RemoveAll(temp); err != nil {
		return fmt.Errorf("clearing what an interrupted download left: %w", err)
	}
	if err := errors.Join(os.Mkdir(temp, 0o755), os.Chmod(temp, 0o755)); err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	if err := fill(temp); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, dest); err != nil {
		return fmt.Errorf("putting %s in its place: %w", dest, err)
	}
	return nil
}

const lockPoll = 50 * time.Millisecond

// lockFile waits for an exclusive lock, which ends with the process at the latest.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for %s: %w", path, ctx.Err()), file.Close())
		case <-time.After(lockPoll):
		}
	}
}
