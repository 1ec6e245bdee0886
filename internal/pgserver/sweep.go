package pgserver

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// homePrefix is followed by the process id of the owner.
const homePrefix = "pgibex-server-"

// sweep removes what killed processes left under parent: their servers have ended with them. It is
// a courtesy, so its errors do not count.
func sweep(parent string) {
	homes, _ := filepath.Glob(filepath.Join(parent, homePrefix+"*"))
	for _, home := range homes {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(home), homePrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(home)
		}
	}
}
