//go:build unix

package statefile

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes the file for this process.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s: another process is using this state file: stop it, or name another file", f.Name())
	}
	return err
}

// openLocked opens and locks the file that path names at that moment: another
// process may be replacing it.
func openLocked(path string) (*os.File, error) {
	for range 100 {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = lock(f)
		if err == nil {
			mine, err1 := f.Stat()
			named, err2 := os.Stat(path)
			if err1 == nil && err2 == nil && os.SameFile(mine, named) {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: the file is being replaced all the time", path)
}

// replaceLocked gives the new file the name of the old one, which may be nil.
// The lock goes over without a gap.
func replaceLocked(f, old *os.File, path string) (*os.File, error) {
	if err := os.Rename(f.Name(), path); err != nil {
		f.Close()
		return nil, err
	}
	if old != nil {
		old.Close()
	}
	return f, nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
