//go:build linux

// Command peers measures forwarding paths of the model and of other systems
// side by side, in one run: many short rounds in turn, so that what the machine
// does meanwhile meets all of them, and prints ratios. README.md says what each
// figure includes.
//
// It is a module of its own, so that users of hnsim do not inherit what the
// peers need.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2:], os.Stdin, os.Stdout))
	}
	// Children belong to this thread, and die with it.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case interrupted:
		fmt.Fprintln(os.Stderr, "peers: interrupted; what is printed is what was measured")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(map[bool]int{true: 2, false: 3}[errors.Is(err, errUsage)])
	}
}

var errUsage = errors.New("usage")

type options struct {
	rounds        int
	round         time.Duration
	rows, systems []string
	flows         int
	quick         bool
	format        string
	profile       string
}

func parse(args []string, talk io.Writer) (o options, err error) {
	var rows, systems string
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.SetOutput(talk)
	fs.IntVar(&o.rounds, "rounds", 15, "rounds of each system, in turn")
	fs.DurationVar(&o.round, "round", 20*time.Millisecond, "time of a round")
	fs.IntVar(&o.flows, "flows", 0, "flows of every workload, in place of its own")
	fs.StringVar(&rows, "rows", "", "workloads to measure, separated by commas; all if empty")
	fs.StringVar(&systems, "systems", "", "systems to measure, separated by commas; all if empty")
	fs.BoolVar(&o.quick, "quick", false, "measure next to nothing: shows that it works")
	fs.StringVar(&o.format, "format", "text", "text or json")
	fs.StringVar(&o.profile, "profile", "", "write a CPU profile of the model's process to a file; the last workload's remains")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.quick {
		o.rounds, o.round, o.flows = 1, time.Millisecond, 1000
	}
	known := map[string]bool{}
	for _, w := range workloads {
		known[w.name] = true
	}
	if o.rows, err = words(rows, func(s string) bool { return known[s] }); err == nil {
		o.systems, err = words(systems, func(s string) bool { return openers[s] != nil })
	}
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("%q: expected flags only", fs.Arg(0))
	case o.rounds < 1 || o.round <= 0 || o.flows < 0:
		err = errors.New("expected at least one round, of a positive time, and no negative number of flows")
	case o.format != "text" && o.format != "json":
		err = fmt.Errorf("-format %s: expected text or json", o.format)
	}
	if err != nil {
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	return o, nil
}

func words(list string, known func(string) bool) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	out := strings.Split(list, ",")
	for _, w := range out {
		if !known(w) {
			return nil, fmt.Errorf("nothing is called %q", w)
		}
	}
	return out, nil
}

// wants says whether a list names something, or is empty.
func wants(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }

func run(ctx context.Context, args []string, out, talk io.Writer) error {
	o, err := parse(args, talk)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hnsim-peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cpu, err := oneCore()
	if err != nil {
		return err
	}
	doc := newDocument(cpu)
	text := o.format == "text"
	if text {
		doc.head(out)
	}
	m := meter{o: o, dir: dir}
	for _, w := range workloads {
		if !wants(o.rows, w.name) {
			continue
		}
		flows := w.flows
		if o.flows > 0 {
			flows = []int{o.flows}
		}
		for _, n := range flows {
			if ctx.Err() != nil {
				break
			}
			g := m.group(ctx, w, n)
			doc.Groups = append(doc.Groups, g)
			if text {
				g.print(out)
			}
		}
	}
	doc.Interrupted = ctx.Err() != nil
	doc.judge(o)
	if text {
		doc.foot(out)
		return nil
	}
	return doc.encode(out)
}
