//go:build !linux

package hostnet

import "errors"

// Reexec fails.
func Reexec() error { return errors.ErrUnsupported }
