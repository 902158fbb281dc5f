package wine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Run is how programs are started. Prepare comes first; then Exec may be
// called any number of times, from several goroutines too.
type Run struct {
	DLLs    string   // folder with the DLLs; empty: built from the embedded sources
	OSBuild int      // what the program sees as the build of Windows
	Env     []string // for the program, beside this process's environment
	// Dir is the program's current folder, of this machine or with a drive of
	// Windows; empty is this process's.
	Dir string
	// Log is told about what takes long.
	Log func(format string, args ...any)
	// Ready is told the folder of a run before the program starts. Programs
	// have it in HNSIM_RUN; what is in it goes with the run.
	Ready func(dir string) error
	// Kill, once it is closed, ends what is left of the time that an interrupted
	// program has; nil never is.
	Kill <-chan struct{}
	// Start starts wine; nil is (*exec.Cmd).Start. Programs see the network of
	// the thread that starts them.
	Start func(*exec.Cmd) error

	wine, server, prefix, shimsDir, cache string
}

// stopDelay is how long a program may take to end after Ctrl-C.
const stopDelay = 10 * time.Second

// Interrupted is the exit code of a program that was ended by Ctrl-C and did
// not handle it (STATUS_CONTROL_C_EXIT), or that was killed when the context
// had ended.
const Interrupted = 0xC000013A

// ProgramError says that a program cannot be run, whoever tries.
type ProgramError struct{ Err error }

func (e *ProgramError) Error() string { return e.Err.Error() }

func (e *ProgramError) Unwrap() error { return e.Err }

func (r *Run) talk(format string, args ...any) {
	if r.Log != nil {
		r.Log(format, args...)
	}
}

// Missing says what programs need that is not here, and what to do about it;
// nil means that they can be started.
func (r *Run) Missing() error {
	w, err := Find()
	if err == nil {
		_, err = findServer(w)
	}
	if err != nil {
		return err
	}
	if r.DLLs != "" {
		return r.givenShims()
	}
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	if _, built, err := ShimsDir(cache); err != nil || built {
		return err
	}
	_, err = FindCompiler()
	return err
}

// Prepare finds wine, builds the DLLs, makes the prefix and installs the DLLs,
// as far as that has not been done before.
func (r *Run) Prepare(ctx context.Context) error {
	var err error
	if r.wine, err = Find(); err != nil {
		return err
	}
	if r.server, err = findServer(r.wine); err != nil {
		return err
	}
	if r.cache, err = CacheDir(); err != nil {
		return err
	}
	if err := os.MkdirAll(r.cache, 0o755); err != nil {
		return err
	}
	if r.shimsDir, err = r.shims(ctx, r.cache); err != nil {
		return err
	}
	if err := r.preparePrefix(ctx, r.cache); err != nil {
		return err
	}
	return install(r.shimsDir, filepath.Join(r.prefix, "drive_c"))
}

// Exec runs a program and returns its exit code, all 32 bits of it; an error
// means that it could not be run. When ctx ends, the program gets Ctrl-C, and
// after ten seconds, or when Kill is closed, it is killed. Whatever the program started ends with it.
//
// Terminals are not passed on: wine would put them into a mode of its own and
// paint them. The program finds pipes.
func (r *Run) Exec(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (code int, err error) {
	folder := localFolder(r.Dir, r.prefix)
	program, err := programPath(args[0], folder)
	if err != nil {
		return 0, &ProgramError{err}
	}
	dir, lock, guard, err := r.enter(ctx, r.cache)
	if err != nil {
		return 0, err
	}
	defer func() { lock.Close(); os.Remove(dir + ".lock") }()
	err = lend(r.prefix, dir, r.OSBuild)
	if err == nil && r.Ready != nil {
		err = r.Ready(dir)
	}
	if err != nil {
		return 0, errors.Join(err, guard.end())
	}
	result := filepath.Join(dir, "exit")
	line := append([]string{filepath.Join(r.shimsDir, starter), Path(result), program}, args[1:]...)
	cmd := exec.Command(r.wine, line...)
	cmd.Dir = folder
	cmd.Env = append(append(os.Environ(), environment(dir)...), "HNSIM_RUN="+Path(dir))
	cmd.Env = append(cmd.Env, r.Env...)
	ownGroup(cmd)
	std, err := connect(cmd, in, out, errOut)
	if err != nil {
		return 0, errors.Join(err, guard.end())
	}
	start := r.Start
	if start == nil {
		start = (*exec.Cmd).Start
	}
	err = guard.start(cmd, start)
	std.started()
	if err != nil {
		return 0, errors.Join(err, guard.end())
	}
	failure := wait(ctx, r.Kill, cmd)
	raw, _ := os.ReadFile(result)
	err = guard.end() // with it every other holder of the pipes goes
	std.wait()
	if err != nil {
		return 0, err
	}
	return outcome(program, string(raw), ctx.Err() != nil, failure)
}

// wait waits for the program, which gets Ctrl-C when ctx ends.
func wait(ctx context.Context, kill <-chan struct{}, cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	interrupt(cmd.Process.Pid)
	select {
	case err := <-done:
		return err
	case <-kill:
	case <-time.After(stopDelay):
	}
	killGroup(cmd.Process.Pid)
	return <-done
}

// outcome reads what the starter wrote: "x" and the exit code, or "e" and the
// error of Windows.
func outcome(program, said string, stopped bool, failure error) (int, error) {
	said = strings.TrimSpace(said)
	if len(said) == 9 {
		n, err := strconv.ParseUint(said[1:], 16, 32)
		switch {
		case err == nil && said[0] == 'x':
			return int(n), nil
		case err == nil && said[0] == 'e':
			return 0, &ProgramError{fmt.Errorf("%s cannot be started: %s", program, startError(n))}
		}
	}
	if stopped {
		return Interrupted, nil
	}
	if failure == nil {
		failure = errors.New("no exit code")
	}
	return 0, fmt.Errorf("wine ended before %s did: %w", program, failure)
}

func startError(n uint64) string {
	switch n {
	case 2, 3:
		return "there is no such program"
	case 193, 216:
		return "it is no 64-bit program of Windows"
	}
	return fmt.Sprintf("error %d of Windows", n)
}
