//go:build unix

package statefile

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFor takes the state file at path for this process, whether it is there or
// not. What is locked is a file beside it, which is never removed or replaced,
// as the state file is: whoever opens it finds the lock that is held.
func lockFor(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: another process is using this state file: stop it, or name another file", path)
	}
	return nil, fmt.Errorf("%s: flock: %w", f.Name(), err)
}

// replace gives the new file the name of the old one, which may be nil, and
// returns the one that is in use then.
func replace(f, old *os.File, path string) (*os.File, error) {
	if err := os.Rename(f.Name(), path); err != nil {
		return old, errors.Join(err, f.Close())
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
