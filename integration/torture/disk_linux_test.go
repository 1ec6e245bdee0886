package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// disk is a small file system for the target's tables. Its log of what is to be written stays on the large one, as that
// running full ends the server rather than a statement.
type disk struct{ path string }

const diskSize = 1 << 30

// device is what such a file system is called in the list of mounts, with the number of its process.
const device = "pgibex-torture-"

// sweepDisks removes those of runs that were killed.
func sweepDisks() {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		pid, ours := strings.CutPrefix(fields[0], device)
		if !ours {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			_ = syscall.Unmount(fields[1], syscall.MNT_DETACH) // somebody else may have been quicker
		}
	}
}

// newDisk returns nil, and says so, where the system does not let this process mount anything.
func newDisk(tb testing.TB, dir string) *disk {
	tb.Helper()
	d := &disk{filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.path, 0o755); err != nil {
		tb.Fatal(err)
	}
	sweepDisks()
	if err := syscall.Mount(device+strconv.Itoa(os.Getpid()), d.path, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		tb.Logf("NOT TESTED: a full disk of the target; no file system can be mounted here: %v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			tb.Errorf("unmount %s: %v", d.path, err)
		}
	})
	return d
}

// giveTo makes it the server's tablespace small.
func (d *disk) giveTo(ctx context.Context, s *server) error {
	info, err := os.Stat(s.DataDir())
	if err != nil {
		return err
	}
	owner, _ := info.Sys().(*syscall.Stat_t)
	place := filepath.Join(d.path, "tables")
	if err := os.Mkdir(place, 0o700); err != nil {
		return err
	}
	if err := os.Chown(place, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	s.dsn = s.DSN("")
	return s.run(ctx, "torture", fmt.Sprintf("CREATE TABLESPACE small LOCATION '%s'", place))
}

// fill leaves no room beyond what is in use now.
func (d *disk) fill() error {
	var now syscall.Statfs_t
	if err := syscall.Statfs(d.path, &now); err != nil {
		return err
	}
	return d.resize(int64(now.Blocks-now.Bfree) * now.Bsize)
}

func (d *disk) free() error { return d.resize(diskSize) }

func (d *disk) resize(bytes int64) error {
	return syscall.Mount(device+strconv.Itoa(os.Getpid()), d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", bytes))
}
