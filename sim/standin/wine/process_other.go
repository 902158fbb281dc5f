//go:build !unix

package wine

import (
	"context"
	"errors"
	"os/exec"
)

// Nothing of this is reached: Find knows no wine here.

func ownGroup(*exec.Cmd)   {}
func ownSession(*exec.Cmd) {}
func interrupt(int)        {}
func killGroup(int)        {}

func socketFolder(string) string { return "" }

func lockFile(context.Context, string) (func(), error) {
	return nil, errors.ErrUnsupported
}

func tryLockFile(string) (func(), bool) { return nil, false }
