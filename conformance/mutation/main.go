package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mutation is one way to break the model. Old must occur exactly once in
// File; a mutation whose text is gone is an error, not a pass.
type Mutation struct {
	Name string // area/what
	Rule string // the contract rule that it violates
	File string // relative to the module root
	Old  string
	New  string
}

type outcome struct {
	m     Mutation
	red   []string
	apart []string // of those that are compared, too: scenarios that differ
	err   error
	spent time.Duration
}

func main() {
	run := flag.String("run", "", "only mutations whose name contains this")
	list := flag.Bool("list", false, "list the mutations and stop")
	jobs := flag.Int("jobs", 2, "mutations at the same time")
	sample := flag.Int("sample", 0, "only so many mutations, from all areas; 0 is all")
	byDiff := flag.Bool("diff", false, "notice by comparing with a recording of the unbroken model, without what scenarios expect")
	flag.StringVar(&beside, "with", beside, "with -diff: the backend whose recording the broken model is compared with; sim is the unbroken model")
	byFuzz := flag.Bool("fuzz", false, "plant errors of the flow table alone, which hnsim fuzz must find")
	also := flag.Int("also-diff", 0, "compare with so many of the mutations as well, from all areas: nothing is built anew for that")
	flag.BoolVar(&single, "single", false, "a build for every mutation, as slow as that is: the shared build must show the same")
	flag.Parse()
	selectors = flag.Args()
	if *byDiff {
		notice, unbroken = differing, nil
	}
	if *byFuzz {
		notice, unbroken, mutations = fuzzed, nil, planted
	}
	picked := named(*run)
	if *byDiff {
		picked = comparable(picked)
	}
	if *sample > 0 {
		picked = spread(picked, *sample)
	}
	for _, m := range spread(comparable(picked), *also) {
		compared[m.Name] = true
	}
	os.Exit(mutate(picked, *run, *list, *jobs, os.Stdout))
}

// named are the mutations whose name contains a text.
func named(run string) []Mutation {
	return slices.DeleteFunc(slices.Clone(mutations), func(m Mutation) bool { return !strings.Contains(m.Name, run) })
}

// comparable leaves out what a comparison with a recording cannot see:
// recordings hold no requests to a network controller.
func comparable(ms []Mutation) []Mutation {
	return slices.DeleteFunc(slices.Clone(ms), func(m Mutation) bool { return strings.HasPrefix(m.Name, "sdn/") })
}

// spread are n of the mutations, evenly.
func spread(ms []Mutation, n int) []Mutation {
	var out []Mutation
	for i := range min(n, len(ms)) {
		out = append(out, ms[i*len(ms)/min(n, len(ms))])
	}
	return out
}

// single forbids mutations to share a build.
var single bool

// compared are the mutations that must be noticed by a comparison, too.
var compared = map[string]bool{}

// selectors narrow the suite that must notice; empty is all of it.
var selectors []string

func mutate(picked []Mutation, run string, list bool, jobs int, out io.Writer) int {
	root, err := moduleRoot()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		return 2
	}
	if len(picked) == 0 {
		fmt.Fprintf(os.Stderr, "mutation: no mutation's name contains %q; -list shows the names\n", run)
		return 2
	}
	if list {
		for _, m := range picked {
			fmt.Fprintf(out, "%-36s %-8s %s\n", m.Name, m.Rule, m.File)
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "hnsim-mutation-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		return 3
	}
	defer os.RemoveAll(dir)
	b := newBuilds(root, dir)
	if err := b.mustBeGreen(); err != nil {
		fmt.Fprintln(os.Stderr, "mutation: the unbroken model does not pass, so nothing can be learnt:", err)
		return 3
	}
	if !single {
		if err := b.share(picked); err != nil {
			fmt.Fprintln(os.Stderr, "mutation: the build for many mutations:", err)
			return 3
		}
		fmt.Fprintf(out, "%d of %d mutations share a build\n", len(b.shared), len(picked))
	}
	return report(out, picked, tryAll(b, picked, jobs))
}

// tryAll runs the mutations, jobs at a time. The channel of each delivers its
// outcome, so that they can be reported in order while others still run.
func tryAll(b *builds, ms []Mutation, jobs int) []chan outcome {
	res := make([]chan outcome, len(ms))
	for i := range res {
		res[i] = make(chan outcome, 1)
	}
	next := make(chan int)
	for range max(jobs, 1) {
		go func() {
			for i := range next {
				start := time.Now()
				o := outcome{m: ms[i]}
				o.red, o.apart, o.err = b.try(filepath.Join(b.dir, fmt.Sprint(i)), ms[i])
				o.spent = time.Since(start)
				res[i] <- o
			}
		}()
	}
	go func() {
		for i := range ms {
			next <- i
		}
		close(next)
	}()
	return res
}

func report(out io.Writer, ms []Mutation, res []chan outcome) int {
	unnoticed, broken := 0, 0
	for i := range ms {
		o := <-res[i]
		took := o.spent.Round(100 * time.Millisecond)
		switch {
		case o.err != nil:
			broken++
			fmt.Fprintf(out, "ERROR     %-38s %v\n", o.m.Name, o.err)
		case len(o.red) == 0:
			unnoticed++
			fmt.Fprintf(out, "UNNOTICED %-38s %s: no scenario went red (%v)\n", o.m.Name, o.m.Rule, took)
		case compared[o.m.Name] && len(o.apart) == 0:
			unnoticed++
			fmt.Fprintf(out, "UNNOTICED %-38s %s: no comparison differs (%v)\n", o.m.Name, o.m.Rule, took)
		case compared[o.m.Name]:
			fmt.Fprintf(out, "red       %-38s %s; apart %s (%v)\n", o.m.Name, shorten(o.red, 6), shorten(o.apart, 3), took)
		default:
			fmt.Fprintf(out, "red       %-38s %s (%v)\n", o.m.Name, shorten(o.red, 6), took)
		}
	}
	fmt.Fprintf(out, "%d mutations: %d noticed, %d unnoticed, %d could not be tried\n",
		len(ms), len(ms)-unnoticed-broken, unnoticed, broken)
	switch {
	case broken > 0:
		return 3
	case unnoticed > 0:
		return 1
	}
	return 0
}

func shorten(ids []string, n int) string {
	if len(ids) <= n {
		return strings.Join(ids, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:n], " "), len(ids)-n)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("run it inside the module")
	}
	return filepath.Dir(mod), nil
}
