package pgtest

import "syscall"

const (
	memory     = "/dev/shm"
	memoryFree = 8 << 30 // what all test binaries of a run need at once, with room to spare
	tmpfsMagic = 0x01021994
)

// memoryDir is a directory in memory for the servers' files, where this machine has one that is large enough. A database is made of some
// three hundred files, and every test makes two: on a disk that takes longer than most tests do.
func memoryDir() (dir string, ok bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err != nil || fs.Type != tmpfsMagic {
		return "", false
	}
	return memory, fs.Bavail*uint64(fs.Bsize) >= memoryFree
}
