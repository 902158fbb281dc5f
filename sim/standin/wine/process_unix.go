//go:build unix

package wine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup keeps the signals of the terminal away from the program: they reach
// it through this process, once each.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func ownSession(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

// interrupt presses Ctrl-C for the program and all that it has started.
func interrupt(group int) { _ = syscall.Kill(-group, syscall.SIGINT) }

func killGroup(group int) { _ = syscall.Kill(-group, syscall.SIGKILL) }

// socketFolder is where the wineserver of a prefix has its socket.
func socketFolder(prefix string) string {
	info, err := os.Stat(prefix)
	if err != nil {
		return ""
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("/tmp/.wine-%d/server-%x-%x", os.Getuid(), uint64(st.Dev), st.Ino)
}

// lockFile waits for a lock. Closing the file gives it back, once every process
// that has inherited the file has closed it, too.
func lockFile(ctx context.Context, name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, &os.PathError{Op: "lock", Path: name, Err: err}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tryLockFile takes a lock unless somebody has it.
func tryLockFile(name string) (lock *os.File, ok bool) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, false
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil, false
	}
	return f, true
}
