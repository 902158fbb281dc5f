package fuzz

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
)

// caseTime is what one run of a case may take on the wall: a world of some
// seconds of virtual traffic takes milliseconds.
const caseTime = time.Minute

// hangTime is what it may take before it is said to hang: a machine that is busy
// with other things can make a minute of milliseconds.
const hangTime = 5 * time.Minute

// Kinds of findings. A violated invariant is a kind of its own by name.
const (
	kindFlowTable   = "flow table on equals off"
	kindNondeterm   = "two runs with one seed are equal"
	kindHang        = "a run ends"
	invariantsLabel = "invariants of the world to hold"
)

// verdict is what is wrong with a case; the zero value is nothing.
type verdict struct {
	kind   string // equal for failures of the same cause, as far as one can tell
	detail string
	hash   string // of the first run
	seen   int    // observations of the first run
	skip   string // why nothing was tested, if so
}

// errCase says that the case is no valid scenario.
var errCase = errors.New("the generated scenario is not valid")

// judge runs a case, with the flow tables on and off, and a third time if
// repeat is set. An error means that nothing was learned.
func judge(ctx context.Context, c *Case, b backends.Backend, profile string, repeat bool) (verdict, error) {
	sc, err := script.Parse(fmt.Sprintf("fuzz/%d.txtar", c.Seed), c.Text(""))
	if err != nil {
		return verdict{}, fmt.Errorf("%w: %v", errCase, err)
	}
	opt := script.Options{Seed: WorldSeed, Profile: profile}
	on := runOne(ctx, sc, b, opt, caseTime)
	if kind, _ := kindOf(on); kind == kindHang {
		on = runOne(ctx, sc, b, opt, hangTime)
	}
	if err := ctx.Err(); err != nil {
		return verdict{}, err
	}
	v := verdict{hash: on.EventHash, seen: len(on.Observations)}
	if on.Status == script.Skipped {
		v.skip = on.Reason
		return v, nil
	}
	if v.kind, v.detail = kindOf(on); v.kind != "" {
		return v, nil
	}
	if repeat {
		if where := script.Difference(on, runOne(ctx, sc, b, opt, hangTime)); where != "" {
			v.kind, v.detail = kindNondeterm, where
		}
	}
	if v.kind == "" {
		opt.NoFlowCache = true
		if where := script.Difference(on, runOne(ctx, sc, b, opt, hangTime)); where != "" {
			v.kind, v.detail = kindFlowTable, where
		}
	}
	return v, ctx.Err()
}

// runOne runs a scenario within a time.
func runOne(ctx context.Context, sc *script.Scenario, b backends.Backend, opt script.Options, most time.Duration) *script.Result {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return script.Run(ctx, sc, b, opt)
}

// numbers are left out of kinds: a smaller world has other addresses.
var numbers = regexp.MustCompile(`[0-9][0-9a-fA-F.:x-]*`)

// kindOf tells failures apart.
func kindOf(r *script.Result) (kind, detail string) {
	switch {
	case r.Status == script.Passed:
		return "", ""
	case r.Status == script.Failed && r.Failure != nil && r.Failure.Expected == invariantsLabel:
		name, _, _ := strings.Cut(r.Failure.Received, ":")
		return name, r.Failure.Received
	case strings.HasPrefix(r.Reason, "interrupted: context deadline"):
		return kindHang, fmt.Sprintf("not within %v", hangTime)
	}
	return string(r.Status) + ": " + numbers.ReplaceAllString(shorten(r.Reason, 60), "N"), r.Reason
}

func shorten(s string, most int) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > most {
		s = s[:most]
	}
	return s
}
