//go:build !linux

package hostnet

import "errors"

// Possible fails.
func Possible() (string, error) {
	_, err := New()
	return "", err
}

// Reexec fails.
func Reexec() error { return errors.ErrUnsupported }
