package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// The exit codes of hnsim, as far as they occur here.
const (
	exitOK         = 0
	exitUnexpected = 1
	exitUsage      = 2
	exitNotTested  = 3
	exitInterrupt  = 130
)

// unable says that a suite could not be run at all.
type unable struct{ error }

func (u unable) Unwrap() error { return u.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func command(ctx context.Context, args []string, out, errOut io.Writer) int {
	r := &runner{out: out}
	flags := flag.NewFlagSet("suite", flag.ContinueOnError)
	flags.SetOutput(errOut)
	list := flags.Bool("list", false, "list the suites and stop")
	only := flags.String("run", "", "only the cases that match this regular expression")
	flags.IntVar(&r.jobs, "jobs", runtime.NumCPU(), "cases that run at the same time")
	flags.StringVar(&r.work, "work", filepath.Join("hnsim-out", "suites"), "folder for what is built, and for what every case said and called")
	flags.Usage = func() {
		fmt.Fprintln(errOut, "usage: suite [flags] NAME...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if *list {
		for _, s := range suites {
			fmt.Fprintf(out, "%-8s %s/%s %s\n         %s\n", s.Name, s.Module, s.Dir, s.Version, s.About)
		}
		return exitOK
	}
	var err error
	if r.only, err = regexp.Compile(*only); err != nil {
		fmt.Fprintln(errOut, "suite: -run:", err)
		return exitUsage
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return exitUsage
	}
	var wanted []*suite
	for _, name := range flags.Args() {
		s := find(name)
		if s == nil {
			fmt.Fprintf(errOut, "suite: no suite %q: -list shows their names\n", name)
			return exitUsage
		}
		wanted = append(wanted, s)
	}
	return r.all(ctx, wanted, errOut)
}

// all runs suites one after another and returns the exit code.
func (r *runner) all(ctx context.Context, wanted []*suite, errOut io.Writer) int {
	if err := r.prepare(ctx); err != nil {
		fmt.Fprintln(errOut, "suite:", err)
		return exitNotTested
	}
	code := exitOK
	for _, s := range wanted {
		start := time.Now()
		t, err := r.run(ctx, s)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(errOut, "suite: interrupted")
			return exitInterrupt
		case errors.As(err, new(unable)):
			fmt.Fprintf(errOut, "suite: %s: %v\n", s.Name, err)
			code = exitNotTested
			continue
		case err != nil:
			fmt.Fprintf(errOut, "suite: %s: %v\n", s.Name, err)
			return exitNotTested
		}
		t.print(r.out, time.Since(start))
		if !t.ok() && code == exitOK {
			code = exitUnexpected
		}
	}
	return code
}
