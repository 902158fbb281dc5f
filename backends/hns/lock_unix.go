//go:build !windows

package hns

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the file for this process until it is closed, by whatever. It
// reports false if another one has it.
func lock(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }
