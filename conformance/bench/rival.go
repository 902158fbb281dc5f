package bench

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/hnsim/hnsim/reports"
)

// Rival is a baseline that is measured in turn with the run itself: another
// build of the program. That is the comparison to trust: both sides see the
// same machine at the same time.
type Rival struct {
	Program string
	Args    []string      // before the verb's own, for tests
	Profile string        // build profile
	Length  time.Duration // of a sample
}

// run runs the other program for one sample of one cell.
func (r *Rival) run(ctx context.Context, c *reports.BenchCell) (*reports.BenchCell, error) {
	trace := "off"
	if c.Trace {
		trace = "on"
	}
	args := append(append([]string(nil), r.Args...), "bench", c.Path, "--size", c.Size, "--flows", fmt.Sprint(c.Flows), "--dist", c.Dist,
		"--trace", trace, "--workers", fmt.Sprint(c.Workers), "--count", "1", "--sample", r.Length.String(), "--format", "json", "-q")
	if r.Profile != "" {
		args = append(args, "--profile", r.Profile)
	}
	cmd := exec.CommandContext(ctx, r.Program, args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s bench: %w: %s", r.Program, err, strings.TrimSpace(errOut.String()))
	}
	b, err := reports.ReadBench(bytes.NewReader(out), r.Program+" bench")
	if err != nil {
		return nil, err
	}
	return b.Cell(c.Name()), nil
}

// Baseline makes the rival a Baseline: its samples are fresh, whatever their
// number.
func (r *Rival) Baseline() Baseline { return fresh{r} }

type fresh struct{ *Rival }

func (f fresh) Sample(ctx context.Context, c *reports.BenchCell, _ int) (reports.BenchSample, float64, bool, error) {
	old, err := f.run(ctx, c)
	if err != nil || old == nil || len(old.Samples) == 0 {
		return reports.BenchSample{}, 0, false, err
	}
	return old.Samples[0], old.Allocs, true, nil
}
