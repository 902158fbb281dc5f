package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/reports"
)

// Rival is a baseline that is measured in turn with the run itself: another
// build of the program. Both sides see the same machine at the same time, and
// both are fresh processes for every sample: where a process happens to have
// its tables in memory makes a difference of several per cent, which belongs
// to the noise and not to either side.
type Rival struct {
	Program string   // the other build
	Self    string   // this one
	Args    []string // of both, in front of the verb's own
	Profile string   // build profile
	Length  time.Duration

	paths []string // of the other build, after Check
}

// Check asks the other build for its paths, so that a file that is something
// else is found before anything is measured.
func (r *Rival) Check(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	out, err := exec.CommandContext(ctx, r.Program, append(slices.Clone(r.Args), "bench", "--list", "--format", "json")...).Output()
	var list []reports.BenchPath
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil || len(list) == 0 {
		return fmt.Errorf("%s is no build of hnsim that lists its paths (bench --list --format json): %w", r.Program, cmp.Or(err, errors.New("it lists none")))
	}
	for _, p := range list {
		r.paths = append(r.paths, p.Name)
	}
	return nil
}

// knows says whether the other build has a path, as far as it was asked.
func (r *Rival) knows(path string) bool { return len(r.paths) == 0 || slices.Contains(r.paths, path) }

// trio is a pair of this program's samples and one of the other's.
type trio struct {
	self, again, other *reports.BenchCell
}

// Trio takes three samples. Which side comes first alternates with i. A cell
// that a side does not have is nil.
func (r *Rival) trio(ctx context.Context, c *reports.BenchCell, i int) (t trio, err error) {
	runs := []struct {
		program string
		to      **reports.BenchCell
	}{{r.Self, &t.self}, {r.Program, &t.other}, {r.Self, &t.again}}
	if i%2 == 1 {
		runs[0], runs[1] = runs[1], runs[0]
	}
	for _, run := range runs {
		if *run.to, err = r.run(ctx, run.program, c); err != nil {
			return t, err
		}
	}
	return t, nil
}

// run takes one sample of one cell in a process of its own.
func (r *Rival) run(ctx context.Context, program string, c *reports.BenchCell) (*reports.BenchCell, error) {
	trace := "off"
	if c.Trace {
		trace = "on"
	}
	args := append(append([]string(nil), r.Args...), "bench", c.Path, "--size", c.Size, "--flows", fmt.Sprint(c.Flows), "--dist", c.Dist,
		"--trace", trace, "--workers", fmt.Sprint(c.Workers), "--count", "1", "--sample", r.Length.String(), "--format", "json", "-q")
	if r.Profile != "" {
		args = append(args, "--profile", r.Profile)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s bench: %w: %s", program, err, strings.TrimSpace(errOut.String()))
	}
	b, err := reports.ReadBench(bytes.NewReader(out), program+" bench")
	if err != nil {
		return nil, err
	}
	if cell := b.Cell(c.Name()); cell != nil && len(cell.Samples) > 0 {
		return cell, nil
	}
	return nil, nil
}
