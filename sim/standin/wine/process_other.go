//go:build !unix

package wine

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// Nothing of this is reached: Find knows no wine here.

func ownGroup(*exec.Cmd)   {}
func ownSession(*exec.Cmd) {}
func interrupt(int)        {}
func killGroup(int)        {}

func socketFolder(string) string { return "" }

func lockFile(context.Context, string) (*os.File, error) {
	return nil, errors.ErrUnsupported
}

func tryLockFile(string) (*os.File, bool) { return nil, false }
