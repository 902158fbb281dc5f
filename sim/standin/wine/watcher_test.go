//go:build unix

package wine

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The tests of this file need no wine: their server has nothing to end.

// mkWatcher watches a folder of its own.
func mkWatcher(t *testing.T) (w *watcher, dir string, lock *os.File) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, ok := tryLockFile(dir + ".lock")
	if !ok {
		t.Fatal("the lock is taken")
	}
	w, err := newWatcher("true", dir, lock)
	if err != nil {
		t.Fatal(err)
	}
	return w, dir, lock
}

func TestTheWatcherEndsProcessesThatNobodyTold(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("the system does not show environments:", err)
	}
	w, dir, _ := mkWatcher(t)
	stray := exec.Command("sleep", "60")
	stray.Env = append(os.Environ(), "WINEPREFIX="+dir)
	ownSession(stray)
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	w.in.Close() // as if this process had been killed
	start := time.Now()
	if err := stray.Wait(); err == nil || time.Since(start) > 30*time.Second {
		t.Errorf("it ended by itself: %v", err)
	}
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(dir + "*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTheWatcherHoldsTheLockUntilItHasEnded(t *testing.T) {
	w, dir, lock := mkWatcher(t)
	lock.Close() // so does the kernel when this process is killed
	if other, ok := tryLockFile(dir + ".lock"); ok {
		other.Close()
		t.Error("the lock is free while the watcher can still remove things")
	}
	w.in.Close()
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	other, ok := tryLockFile(dir + ".lock")
	if !ok {
		t.Fatal("the lock stays taken")
	}
	other.Close()
}

func TestAProgramWaitsForItsWatcher(t *testing.T) {
	for _, dies := range []bool{false, true} {
		w, _, _ := mkWatcher(t)
		mark := filepath.Join(t.TempDir(), "ran")
		var errOut bytes.Buffer
		cmd := exec.Command("sh", "-c", `echo "$1" >"$2"; true <&3`, "name", "a  b", mark)
		cmd.Stderr = &errOut
		ownGroup(cmd)
		err := w.start(cmd, func(c *exec.Cmd) error {
			if err := c.Start(); err != nil || !dies {
				return err
			}
			return errors.New("killed before the watcher knew") // the gate closes, as it would then
		})
		if (err != nil) != dies {
			t.Error(err)
		}
		_ = cmd.Wait()
		text, err := os.ReadFile(mark)
		if dies && err == nil {
			t.Error("the program ran, and nobody watched")
		}
		if !dies && (string(text) != "a  b\n" || !strings.Contains(errOut.String(), "3")) {
			t.Errorf("the program wrote %q, %v; of file 3, which is not for it, it said %q", text, err, errOut.String())
		}
		if err := w.end(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnfinishedPrefixesHaveNamesOfTheirOwn(t *testing.T) {
	r := Run{server: "true", prefix: filepath.Join(t.TempDir(), "prefix-0123")}
	lock, ok := tryLockFile(r.prefix + ".lock")
	if !ok {
		t.Fatal("the lock is taken")
	}
	defer lock.Close()
	for _, old := range []string{".new", ".new-1"} {
		if err := os.MkdirAll(filepath.Join(r.prefix+old, "drive_c"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	first, killed, err := r.unfinished(lock)
	if err != nil {
		t.Fatal(err)
	}
	if all, _ := filepath.Glob(r.prefix + ".new*"); len(all) != 1 || all[0] != first {
		t.Errorf("there are %q, want %s alone", all, first)
	}
	killed.in.Close() // it cleans up, but a little later
	second, guard, err := r.unfinished(lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(second); err != nil || second == first {
		t.Errorf("the watcher of %s has removed %s: %v", first, second, err)
	}
	if err := guard.end(); err != nil {
		t.Error(err)
	}
}
