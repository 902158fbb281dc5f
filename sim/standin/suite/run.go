package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hnsim/hnsim/sim/standin/wine"
)

// runner builds and runs suites.
type runner struct {
	out   io.Writer
	work  string // folder for everything that is made
	jobs  int
	only  *regexp.Regexp
	hnsim string // program
}

// prepare builds hnsim, once for all suites.
func (r *runner) prepare(ctx context.Context) error {
	// hnsim would say the same, but only when a suite has been built.
	if err := new(wine.Run).Missing(); err != nil {
		return err
	}
	var err error
	if r.work, err = filepath.Abs(r.work); err != nil {
		return err
	}
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return err
	}
	r.hnsim = filepath.Join(r.work, "hnsim")
	if out, err := output(ctx, exec.CommandContext(ctx, "go", "build", "-o", r.hnsim, "./cmd/hnsim")); err != nil {
		return fmt.Errorf("cannot build hnsim: %w\n%s", err, out)
	}
	return nil
}

// output runs a command and returns what it said; interrupted, it and what it
// started get a signal and time to act on it.
func output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return both.Bytes(), err
}

// build compiles the suite for Windows where the module cache has it, and
// never writes there: -mod=readonly also overrides an incomplete vendor folder.
func (r *runner) build(ctx context.Context, s *suite) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.Module+"@"+s.Version)
	cmd.Dir = r.work // outside of a module nothing adds a requirement
	cmd.Env = append(os.Environ(), "GO111MODULE=on", "GOWORK=off", "GOFLAGS=-modcacherw")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	raw, err := cmd.Output()
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(raw, &module); err != nil || jsonErr != nil {
		return "", fmt.Errorf("cannot download %s %s: %w\n%s%s", s.Module, s.Version, errors.Join(err, jsonErr), module.Error, errOut.Bytes())
	}
	program := filepath.Join(r.work, s.Name+".test.exe")
	cmd = exec.CommandContext(ctx, "go", "test", "-c", "-mod=readonly", "-tags", strings.Join(s.Tags, ","), "-o", program, "./"+s.Dir)
	cmd.Dir = module.Dir
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := output(ctx, cmd); err != nil {
		return "", fmt.Errorf("cannot build %s/%s: %w\n%s", s.Module, s.Dir, err, out)
	}
	return program, nil
}

// run runs all cases of a suite both ways.
func (r *runner) run(ctx context.Context, s *suite) (*table, error) {
	program, err := r.build(ctx, s)
	if err != nil {
		return nil, unable{err}
	}
	e := &executor{runner: r, suite: s, program: program}
	listed, err := e.start(ctx, "list", s.Dialect.listArgs())
	if err != nil {
		return nil, unable{err}
	}
	e.prepared = true
	names, err := s.Dialect.list(listed.output, listed.dir)
	if err == nil && listed.code != 0 {
		err = fmt.Errorf("exit code %d", listed.code)
	}
	if err != nil {
		return nil, unable{fmt.Errorf("cannot list its cases: %w\n%s", err, listed.output)}
	}
	t := &table{suite: s, listed: len(names)}
	for _, n := range names {
		if r.only.MatchString(n) {
			t.rows = append(t.rows, row{name: n})
		}
	}
	if len(t.rows) == 0 {
		return nil, unable{fmt.Errorf("none of its %d cases was selected", len(names))}
	}
	err = e.both(ctx, t)
	t.restarts = int(e.restarts.Load())
	return t, err
}

// both fills the table: the run of all cases is one job among the others.
func (e *executor) both(ctx context.Context, t *table) error {
	errs := make([]error, len(t.rows)+1)
	var together map[string]outcome
	var whole process
	slots := make(chan bool, max(1, e.runner.jobs))
	var wg sync.WaitGroup
	job := func(i int, f func() error) {
		slots <- true
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f()
		})
	}
	var selected []string
	if len(t.rows) < t.listed {
		selected = t.names()
	}
	job(len(t.rows), func() (err error) {
		whole, together, err = e.cases(ctx, "together", selected...)
		return err
	})
	for i := range t.rows {
		job(i, func() error {
			name := t.rows[i].name
			p, got, err := e.cases(ctx, fmt.Sprintf("%03d", i+1), name)
			t.rows[i].alone = p.judge(got, name)
			if t.rows[i].alone.verdict != passed {
				t.rows[i].alone.said += p.refusals()
			}
			return err
		})
	}
	wg.Wait()
	for i := range t.rows {
		t.rows[i].together = whole.judge(together, t.rows[i].name)
	}
	return errors.Join(errs...)
}

// executor runs the program of a suite.
type executor struct {
	runner  *runner
	suite   *suite
	program string
	// prepared is that hnsim has made its wine prefix, which takes everything
	// that wine has.
	prepared bool
	restarts atomic.Int32
}

// noServices keeps wine from starting its services and devices for every case:
// the suites use HNS and the registry, and a case takes a tenth of the time.
const noServices = "wineboot.exe,services.exe,explorer.exe=d"

// process is a run of the program that has ended.
type process struct {
	dir    string // where it ran; its output and its calls stay there
	output []byte
	code   int
}

const (
	outputFile = "output.txt"
	callsFile  = "calls.ndjson"
)

// maxStarts is how often a program is started that wine did not start: under
// heavy load it sometimes does not, which says nothing about the case.
const maxStarts = 3

// start runs the program under wine against a fresh store in a folder of its
// own, and waits for it.
func (e *executor) start(ctx context.Context, label string, args []string) (process, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for starts := 1; ; starts++ {
		p, err := e.startOnce(ctx, label, args)
		if err != nil || p.code != exitNotTested {
			return p, err
		}
		if starts == maxStarts || ctx.Err() != nil {
			return p, unable{fmt.Errorf("hnsim could not run it:\n%s", p.output)}
		}
		e.restarts.Add(1)
	}
}

func (e *executor) startOnce(ctx context.Context, label string, args []string) (process, error) {
	p := process{dir: filepath.Join(e.runner.work, e.suite.Name, label)}
	if err := os.RemoveAll(p.dir); err != nil {
		return p, err
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return p, err
	}
	line := []string{"-q", "exec", "--profile", e.suite.Profile, "--calls", callsFile, "--", e.program}
	cmd := exec.CommandContext(ctx, e.runner.hnsim, append(line, args...)...)
	cmd.Dir = p.dir
	if e.prepared {
		cmd.Env = append(os.Environ(), "WINEDLLOVERRIDES="+noServices)
	}
	var err error
	p.output, err = output(ctx, cmd)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		p.code = exit.ExitCode()
	case err != nil:
		return p, fmt.Errorf("%s: %w", label, err)
	}
	return p, os.WriteFile(filepath.Join(p.dir, outputFile), p.output, 0o644)
}

// cases runs the named cases in one process, or all.
func (e *executor) cases(ctx context.Context, label string, names ...string) (process, map[string]outcome, error) {
	p, err := e.start(ctx, label, e.suite.Dialect.runArgs(names...))
	if err != nil {
		return p, nil, err
	}
	got, err := e.suite.Dialect.results(p.output, p.dir)
	if err != nil { // the process died before it could write them
		return p, nil, nil
	}
	return p, got, nil
}

// judge picks the outcome of a case. A process that failed although the case
// passed did something wrong outside of it, which counts against a case that
// ran alone.
func (p *process) judge(got map[string]outcome, name string) outcome {
	o, ok := got[name]
	if !ok || o.verdict == missing {
		o.verdict = missing
		o.said = fmt.Sprintf("no result; the process ended with exit code %d\n%s", p.code, p.output)
	}
	if o.verdict == passed && p.code != 0 && len(got) == 1 {
		o.verdict = failed
		o.said += fmt.Sprintf("the case passed, and then the process ended with exit code %d\n%s", p.code, p.output)
	}
	o.said = strings.ReplaceAll(o.said, mark, "")
	return o
}
