package wine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Run is how a program is started.
type Run struct {
	DLLs    string // folder with the DLLs to install
	OSBuild int    // what the program sees as the build of Windows
	Env     []string
	Dir     string // the program's current folder; empty: this process's
	Prefix  string // empty: in the user's cache folder, one for each build
	Log     func(format string, args ...any)

	wine string
}

// names are the DLLs that go into system32, the only folder where clients
// look for them.
var names = []string{"computenetwork.dll", "vmcompute.dll", "bcryptprimitives.dll"}

// Find looks for wine. The error says what to install.
func Find() (string, error) {
	for _, name := range []string{"wine64", "wine", "/usr/lib/wine/wine64"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("no wine: install the package wine64 (Debian, Ubuntu) or wine (Fedora, Arch)")
}

// Path is what programs call a file of this machine: wine shows its root as
// drive Z. Slashes lean forward, which Windows takes and JSON needs no escape
// for.
func Path(file string) string { return "Z:" + filepath.ToSlash(file) }

// Missing says what programs need that is not here, and what to do about it;
// nil means that they can be started.
func (r *Run) Missing() error {
	_, err := r.find()
	return err
}

func (r *Run) find() (wine string, err error) {
	if runtime.GOOS == "windows" {
		return "", errors.New("this is Windows: start the program itself")
	}
	if wine, err = Find(); err != nil {
		return "", err
	}
	for _, n := range names {
		if _, err := os.Stat(filepath.Join(r.DLLs, n)); err != nil {
			return "", fmt.Errorf("%w: build the DLLs with make standin, or name their folder with --dlls", err)
		}
	}
	return wine, nil
}

// Prepare makes the prefix unless it exists, and installs the DLLs.
func (r *Run) Prepare(ctx context.Context) error {
	var err error
	if r.wine, err = r.find(); err != nil {
		return err
	}
	if r.Prefix == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		// The build is part of the registry; programs that run at once may
		// want different ones.
		r.Prefix = filepath.Join(cache, "hnsim", "wine-"+strconv.Itoa(r.OSBuild))
	}
	if r.Prefix, err = filepath.Abs(r.Prefix); err != nil {
		return err
	}
	if err := r.makePrefix(ctx); err != nil {
		return err
	}
	return r.install()
}

// makePrefix prepares a prefix once. The mark is written last, so that an
// interrupted preparation is done again.
func (r *Run) makePrefix(ctx context.Context) error {
	mark := filepath.Join(r.Prefix, "hnsim-ready")
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if r.Log != nil {
		r.Log("preparing wine in %s, once\n", r.Prefix)
	}
	if err := os.MkdirAll(r.Prefix, 0o755); err != nil {
		return err
	}
	if err := r.tool(ctx, "wineboot", "-i"); err != nil {
		return err
	}
	// Programs read the build here; wine's version setting does not reach it.
	for _, value := range []string{"CurrentBuildNumber", "CurrentBuild"} {
		if err := r.tool(ctx, "reg", "add", `HKLM\Software\Microsoft\Windows NT\CurrentVersion`, "/v", value, "/d", strconv.Itoa(r.OSBuild), "/f"); err != nil {
			return err
		}
	}
	return os.WriteFile(mark, nil, 0o644)
}

func (r *Run) tool(ctx context.Context, args ...string) error {
	cmd := r.command(ctx, args)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("wine %s: %w\n%s", args[0], err, out.Bytes())
	}
	return nil
}

func (r *Run) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.wine, args...)
	// The program gets the signal itself and time to act on it.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	// mscoree and mshtml would offer to download themselves.
	cmd.Env = append(os.Environ(), "WINEPREFIX="+r.Prefix, "WINEARCH=win64", "WINEDLLOVERRIDES=mscoree,mshtml=")
	if os.Getenv("WINEDEBUG") == "" {
		cmd.Env = append(cmd.Env, "WINEDEBUG=-all")
	}
	cmd.Env = append(cmd.Env, r.Env...)
	return cmd
}

// install copies the DLLs that differ. A copy is renamed into place: a program
// that runs in the prefix keeps what it has.
func (r *Run) install() error {
	system32 := filepath.Join(r.Prefix, "drive_c", "windows", "system32")
	for _, n := range names {
		want, err := os.ReadFile(filepath.Join(r.DLLs, n))
		if err != nil {
			return err
		}
		to := filepath.Join(system32, n)
		if have, err := os.ReadFile(to); err == nil && bytes.Equal(have, want) {
			continue
		}
		tmp := to + "." + strconv.Itoa(os.Getpid())
		if err := os.WriteFile(tmp, want, 0o755); err != nil {
			return err
		}
		if err := os.Rename(tmp, to); err != nil {
			return err
		}
	}
	return nil
}

// Exec runs a program in the prepared prefix and returns its exit code; an
// error means that it could not be started.
func (r *Run) Exec(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (int, error) {
	cmd := r.command(ctx, args)
	cmd.Dir = r.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errOut
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.ExitCode() >= 0:
		return failed.ExitCode(), nil
	case errors.As(err, &failed):
		return 130, nil // ended by a signal
	}
	return 0, err
}
