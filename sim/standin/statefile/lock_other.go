//go:build !unix

package statefile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// lockFor locks nothing: there is no flock, and two processes on one file are
// not told from each other.
func lockFor(path string) (*os.File, error) {
	_, err := os.Stat(filepath.Dir(path))
	return nil, err
}

// replace gives the new file the name of the old one. Files that are open
// cannot be renamed here.
func replace(f, old *os.File, path string) (*os.File, error) {
	err := f.Close()
	if old != nil {
		err = errors.Join(err, old.Close())
	}
	if err = errors.Join(err, os.Rename(f.Name(), path)); err != nil {
		return nil, err
	}
	if f, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekEnd)
	return f, err
}

// syncFolder does nothing: the rename is as durable as the system makes it.
func syncFolder(string) error { return nil }
