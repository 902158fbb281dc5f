package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// program is the file name of every build.
const program = "hnsim"

// model is the program as some mutation has it.
type model struct {
	bin    string
	mutant string // the mutation, if bin holds several
}

// suite runs the scenarios with one model.
type suite struct {
	model
	dir      string
	unbroken *model // the one without a mutation; nil if this is it
}

// notice runs the suite with a broken model and lists scenarios that show it.
// Those of the rule that was broken come first: they mostly suffice, and are
// few.
var notice = func(s *suite, m Mutation) ([]string, error) {
	if len(selectors) == 0 {
		if red, err := s.failing([]string{"rule:" + m.Rule}); err != nil || len(red) > 0 {
			return red, err
		}
	}
	return s.failingAnywhere()
}

// unbroken checks that the unbroken model shows nothing. A comparison needs no
// check: it is with whatever the unbroken model does.
var unbroken = func(s *suite) ([]string, error) {
	red, _, err := s.firstRed(stages()[:eager()])
	return red, err
}

// profiles are tried in this order until one shows a mutation: some scenarios
// are for newer or older builds than the usual one.
var profiles = []string{"ws2022", "ws2025", "ws2019"}

// stage is one run of the suite.
type stage struct {
	profile string
	flags   []string // which scenarios
}

func (g stage) args() []string { return append([]string{"--profile", g.profile}, g.flags...) }

// stages are the runs of which one must show a mutation. A handful of scenarios
// takes most of the time; they come last.
func stages() (all []stage) {
	which := [][]string{{"--skip", "label:slow"}, {"--label", "slow"}}
	if len(selectors) > 0 {
		which = [][]string{nil}
	}
	for _, flags := range which {
		for _, p := range profiles {
			all = append(all, stage{p, flags})
		}
	}
	return all
}

// eager is how many of the stages the unbroken model must pass beforehand:
// those with each profile's quick scenarios and all of the usual profile. The
// others are hardly ever reached; it must pass them when one is red.
func eager() int { return min(len(profiles)+1, len(stages())) }

func (s *suite) failingAnywhere() ([]string, error) {
	red, at, err := s.firstRed(stages())
	if err != nil || at < eager() {
		return red, err
	}
	u := &suite{model: *s.unbroken, dir: s.dir}
	if bad, err := u.failing(selectors, stages()[at].args()...); err != nil || len(bad) > 0 {
		return nil, fmt.Errorf("the unbroken model does not pass %v: %s, %v", stages()[at], shorten(bad, 10), err)
	}
	return red, nil
}

// firstRed runs stages until scenarios fail, and says in which.
func (s *suite) firstRed(stages []stage) (red []string, at int, err error) {
	for i, g := range stages {
		if red, err = s.failing(selectors, g.args()...); len(red) > 0 || err != nil {
			return red, i, err
		}
	}
	return nil, 0, nil
}

// summary is what the program says about a run of the suite.
type summary struct {
	EventHash string
	Results   []struct{ ID, Status string }
}

// summarize runs the suite.
func (s *suite) summarize(what []string, more ...string) (sum summary, crash []string, err error) {
	args := append([]string{"run", "--format", "json", "--out", filepath.Join(s.dir, "out")}, append(more, what...)...)
	crash, err = s.output(&sum, args)
	return sum, crash, err
}

// failing runs the suite and lists the scenarios that did not pass.
func (s *suite) failing(what []string, more ...string) ([]string, error) {
	sum, crash, err := s.summarize(what, more...)
	if err != nil || crash != nil {
		return crash, err
	}
	var red []string
	for _, r := range sum.Results {
		if r.Status != "passed" && r.Status != "skipped" && r.Status != "xfail" {
			red = append(red, r.ID)
		}
	}
	sort.Strings(red)
	return red, nil
}

// differing compares the broken model with a recording of the unbroken one, or
// of another backend, and lists the scenarios in which something else was
// observed. The scenarios of the rule that was broken come first: they mostly
// suffice, and are few.
func differing(s *suite, m Mutation) ([]string, error) {
	if len(selectors) == 0 {
		for _, p := range profiles {
			if red, err := s.differing([]string{"rule:" + m.Rule}, stage{profile: p}); err != nil || len(red) > 0 {
				return red, err
			}
		}
	}
	for _, g := range stages() {
		if red, err := s.differing(selectors, g); err != nil || len(red) > 0 {
			return red, err
		}
	}
	return nil, nil
}

// beside is the backend whose recordings are compared with.
var beside = simulated

const simulated = "sim"

// alike are normalisations that two runs of one model with one seed need not:
// when something is seen and which port is taken are the model's doing, too.
var alike = []string{"--strict", "timestamps", "--strict", "ports"}

func (s *suite) differing(what []string, g stage) ([]string, error) {
	red, err := s.apart(what, g)
	if err != nil || len(red) == 0 || beside == simulated {
		return red, err
	}
	// The unbroken model may differ from another backend, too.
	before, err := (&suite{model: *s.unbroken, dir: s.dir, unbroken: s.unbroken}).apart(what, g)
	return slices.DeleteFunc(red, func(id string) bool { return slices.Contains(before, id) }), err
}

// apart lists the scenarios in which a build of the model is not like the
// recording.
func (s *suite) apart(what []string, g stage) ([]string, error) {
	file, err := s.recorded(what, g)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", beside, err)
	}
	args := append([]string{"diff", "--format", "json", "--left", file, "--right", "sim@" + g.profile}, slices.Concat(g.flags, what)...)
	if beside == simulated {
		args = append(args, alike...)
	}
	var diff struct {
		Scenarios []struct{ ID, Verdict string }
	}
	crash, err := s.output(&diff, args)
	if err != nil || crash != nil {
		return crash, err
	}
	var red []string
	for _, c := range diff.Scenarios {
		if c.Verdict == "differ" {
			red = append(red, c.ID)
		}
	}
	sort.Strings(red)
	return red, nil
}

// recordings are those of the unbroken model so far, by file: mutations share
// them.
var recordings sync.Map

// recorded is a recording of the unbroken model, beside it.
func (s *suite) recorded(what []string, g stage) (string, error) {
	dir := filepath.Dir(s.unbroken.bin)
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\*:`, r) {
			return '-'
		}
		return r
	}, strings.Join(slices.Concat([]string{"unbroken", g.profile}, g.flags, what), "-"))
	file := filepath.Join(dir, name+".hnsrec")
	once, _ := recordings.LoadOrStore(file, sync.OnceValue(func() error {
		// Whether the unbroken model passes does not matter here.
		unbroken := suite{model: *s.unbroken, dir: dir}
		_, err := unbroken.failing(what, append(g.args(), "--record", file, "--backend", beside)...)
		return err
	}))
	return file, once.(func() error)()
}

// runTimeout bounds one run of the suite: a broken model may loop. The unbroken
// one must be fasterBy times as fast for that to mean anything.
var runTimeout = 5 * time.Minute

const fasterBy = 4

// output runs the program on the suite and reads the JSON that it prints. A
// model that crashes or hangs has been noticed too. A program that only says
// what it does not like (its usage, a file, the machine) says nothing about the
// model.
func (s *suite) output(into any, args []string) (crash []string, err error) {
	ran, err := s.run(s.model, args)
	if err != nil {
		return nil, err
	}
	if ran.hung {
		return s.hung(args)
	}
	bad := json.Unmarshal([]byte(ran.stdout), into)
	switch {
	case bad == nil:
		return nil, nil
	case ran.panicked() && s.unbroken != nil:
		return []string{"(the suite crashed)"}, nil
	case ran.exit == nil:
		return nil, fmt.Errorf("the suite's JSON: %w", bad)
	}
	return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), ran.exit, strings.TrimSpace(ran.stderr))
}

// hung tells a model that loops from a machine that is busy: the unbroken model
// does the same at once, with time to spare.
func (s *suite) hung(args []string) ([]string, error) {
	if s.unbroken == nil {
		return nil, fmt.Errorf("the unbroken model takes longer than %v", runTimeout)
	}
	ran, err := s.run(*s.unbroken, args)
	switch {
	case err != nil:
		return nil, err
	case ran.hung || ran.took > runTimeout/fasterBy:
		return nil, fmt.Errorf("no end after %v, and the unbroken model took %v: too slow a machine to tell", runTimeout, ran.took.Round(time.Millisecond))
	}
	return []string{"(the suite hung)"}, nil
}

// ran is what came of one run.
type ran struct {
	stdout, stderr string
	exit           *exec.ExitError // nil: success
	hung           bool
	took           time.Duration
}

func (m model) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.bin, args...)
	cmd.Env = append(os.Environ(), mutantEnv+"="+m.mutant)
	return cmd
}

func (s *suite) run(m model, args []string) (*ran, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	cmd := m.command(ctx, args)
	cmd.Dir, cmd.WaitDelay = s.dir, time.Second
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := &ran{stdout: stdout.String(), stderr: stderr.String(), hung: ctx.Err() != nil, took: time.Since(start)}
	if err != nil && !r.hung && !errors.As(err, &r.exit) {
		return nil, err
	}
	return r, nil
}

// panicked reports whether the Go runtime ended the program: its exit code is
// that of bad usage, but it lists goroutines.
func (r *ran) panicked() bool {
	return r.exit != nil && strings.Contains("\n"+r.stderr, "\ngoroutine ")
}
