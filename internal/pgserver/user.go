package pgserver

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// serverUser is who runs the servers when this process is root, which postgres and initdb refuse to
// be run by; nil for anybody else, who runs them himself. initdb wants a user with a name.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"nobody", "postgres"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("running PostgreSQL as root: it refuses to, and there is neither a user nobody nor postgres to run it: run as another user")
}

// serverUID is that of the user who runs the servers.
func serverUID() (uint32, error) {
	cred, err := serverUser()
	if err != nil || cred == nil {
		return uint32(os.Geteuid()), err
	}
	return cred.Uid, nil
}

func asServerUser(cmd *exec.Cmd) error {
	cred, err := serverUser()
	if err != nil {
		return err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = cred
	return nil
}

// giveToServerUser makes one file or directory the server user's own.
func giveToServerUser(path string) error {
	cred, err := serverUser()
	if err != nil || cred == nil {
		return err
	}
	return os.Lchown(path, int(cred.Uid), int(cred.Gid))
}

// checkEnterable says which directory above dir keeps the server user out.
func checkEnterable(dir string) error {
	cred, err := serverUser()
	if err != nil || cred == nil {
		return err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 && info.Sys().(*syscall.Stat_t).Uid != cred.Uid {
			return fmt.Errorf("the user who runs PostgreSQL may not enter %s (%v): use another directory", dir, fs.FileMode.Perm(info.Mode()))
		}
	}
	return nil
}
