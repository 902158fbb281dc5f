package hns

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock takes the file for this process until it is closed, by whatever. It
// reports false if another one has it. Locked bytes cannot be read by others: the
// one that is locked lies behind everything that is ever written.
func lock(f *os.File) bool {
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at) == nil
}
