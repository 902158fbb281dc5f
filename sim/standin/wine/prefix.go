package wine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// CacheDir is where the prefix, the DLLs and the runs are.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "hnsim"), err
}

// registryFiles are what a run gets a copy of.
var registryFiles = []string{"system.reg", "user.reg", "userdef.reg"}

// readyMark is written when a prefix is complete.
const readyMark = "hnsim-ready"

// PrefixDir is the folder in cache of the prefix for a version of wine; ready
// tells whether it has been prepared.
func PrefixDir(cache, version string) (dir string, ready bool) {
	sum := sha256.Sum256([]byte(version))
	dir = filepath.Join(cache, "prefix-"+hex.EncodeToString(sum[:4]))
	_, err := os.Stat(filepath.Join(dir, readyMark))
	return dir, err == nil
}

// preparePrefix makes the prefix unless it is there. Of several processes one
// does it and the others wait. It is made beside its place and renamed, so
// that an interrupted preparation is done again.
func (r *Run) preparePrefix(ctx context.Context, cache string) error {
	version, err := Version(ctx, r.wine)
	if err != nil {
		return fmt.Errorf("%s --version: %w", r.wine, err)
	}
	var ready bool
	if r.prefix, ready = PrefixDir(cache, version); ready {
		return nil
	}
	lock, err := lockFile(ctx, r.prefix+".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, ready = PrefixDir(cache, version); ready {
		return nil
	}
	r.talk("preparing wine in %s, once\n", r.prefix)
	tmp, guard, err := r.unfinished(lock)
	if err != nil {
		return err
	}
	if err = r.boot(ctx, tmp, guard); err == nil {
		err = publish(tmp, r.prefix, version)
	}
	return errors.Join(err, guard.end())
}

// unfinished makes the folder in which a prefix is prepared. Those of earlier
// preparations that were killed together with their watchers go. No two have
// the same name: nobody cleans up where somebody else is at work.
func (r *Run) unfinished(lock *os.File) (tmp string, guard *watcher, err error) {
	old, err := filepath.Glob(r.prefix + ".new*")
	for _, o := range old {
		if w, err := newWatcher(r.server, o, lock); err == nil {
			_ = w.end()
		}
	}
	if err == nil {
		tmp, err = os.MkdirTemp(filepath.Dir(r.prefix), filepath.Base(r.prefix)+".new-*")
	}
	if err != nil {
		return "", nil, err
	}
	if guard, err = newWatcher(r.server, tmp, lock); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(tmp))
	}
	return tmp, guard, nil
}

// publish moves a complete prefix to its place. The name of the folder for
// sockets stays behind, for the watcher.
func publish(tmp, prefix, version string) error {
	err := os.WriteFile(filepath.Join(tmp, readyMark), []byte(version+"\n"), 0o644)
	if err == nil {
		err = os.RemoveAll(prefix)
	}
	if err == nil {
		err = os.Rename(tmp, prefix)
	}
	if err == nil {
		err = os.Mkdir(tmp, 0o755)
		_ = os.Rename(filepath.Join(prefix, "wineserver"), filepath.Join(tmp, "wineserver")) // Debian's
	}
	return err
}

// boot lets wine fill a prefix and waits until it has written the registry.
func (r *Run) boot(ctx context.Context, prefix string, guard *watcher) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, r.wine, "wineboot", "-i")
	ownGroup(cmd) // an interruption is for this process to handle
	cmd.Env = append(os.Environ(), environment(prefix)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = stopDelay
	err := guard.start(cmd, (*exec.Cmd).Start)
	if err == nil {
		err = cmd.Wait()
	}
	server := exec.CommandContext(ctx, r.server, "-w")
	server.Env = cmd.Env
	if err == nil {
		err = server.Run()
	}
	if err == nil {
		for _, n := range registryFiles {
			_, missing := os.Stat(filepath.Join(prefix, n))
			err = errors.Join(err, missing)
		}
	}
	if err != nil {
		return fmt.Errorf("wineboot: %w\n%s", err, out.Bytes())
	}
	return nil
}

// environment is what wine is told about a prefix.
func environment(prefix string) []string {
	env := []string{"WINEPREFIX=" + prefix, "WINEARCH=win64",
		// Programs have no windows here, and a display would only be waited for.
		"DISPLAY=", "WAYLAND_DISPLAY="}
	// mscoree and mshtml would offer to download themselves; winemenubuilder
	// writes into the user's desktop.
	overrides := "mscoree,mshtml=;winemenubuilder.exe=d"
	if o := os.Getenv("WINEDLLOVERRIDES"); o != "" {
		overrides += ";" + o
	}
	env = append(env, "WINEDLLOVERRIDES="+overrides)
	if os.Getenv("WINEDEBUG") == "" {
		env = append(env, "WINEDEBUG=-all")
	}
	return env
}

// lend makes the folder of a run: a prefix with drive C of the prepared one
// and a registry of its own, in which the build is set.
func lend(prefix, dir string, build int) error {
	for _, n := range append(registryFiles, ".update-timestamp") {
		text, err := os.ReadFile(filepath.Join(prefix, n))
		if err != nil {
			return err
		}
		if n == "system.reg" {
			text = []byte(setBuild(string(text), build))
		}
		if err := os.WriteFile(filepath.Join(dir, n), text, 0o644); err != nil {
			return err
		}
	}
	drives := filepath.Join(dir, "dosdevices")
	return errors.Join(os.Mkdir(drives, 0o755),
		os.Symlink(filepath.Join(prefix, "drive_c"), filepath.Join(drives, "c:")),
		os.Symlink("/", filepath.Join(drives, "z:")))
}

// enter makes the folder of a run in cache, and removes those of runs that
// have ended without it. From here on the watcher removes it; it holds the lock,
// too, so that nobody else does until it has.
func (r *Run) enter(ctx context.Context, cache string) (dir string, lock *os.File, guard *watcher, err error) {
	runs := filepath.Join(cache, "runs")
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return "", nil, nil, err
	}
	all, err := lockFile(ctx, filepath.Join(cache, "runs.lock"))
	if err != nil {
		return "", nil, nil, err
	}
	defer all.Close()
	old, err := os.ReadDir(runs)
	if err != nil {
		return "", nil, nil, err
	}
	for _, o := range old {
		r.sweep(filepath.Join(runs, strings.TrimSuffix(o.Name(), ".lock")))
	}
	if dir, err = os.MkdirTemp(runs, ""); err != nil {
		return "", nil, nil, err
	}
	lock, ok := tryLockFile(dir + ".lock")
	if !ok {
		return "", nil, nil, fmt.Errorf("%s.lock is held by somebody else", dir)
	}
	if guard, err = newWatcher(r.server, dir, lock); err != nil {
		return "", nil, nil, errors.Join(err, os.RemoveAll(dir), lock.Close())
	}
	return dir, lock, guard, nil
}

// sweep removes the folder of a run that nobody holds.
func (r *Run) sweep(dir string) {
	lock, ok := tryLockFile(dir + ".lock")
	if !ok {
		return
	}
	defer lock.Close()
	if _, err := os.Stat(dir); err == nil {
		if w, err := newWatcher(r.server, dir, lock); err == nil {
			_ = w.end()
		}
	}
	_ = os.Remove(dir + ".lock")
}
