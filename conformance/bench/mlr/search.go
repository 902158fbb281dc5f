package mlr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Measurer runs one trial at a load and reports the share of frames that were
// lost. An error ends the search.
type Measurer func(ctx context.Context, load float64, d time.Duration) (loss float64, err error)

// Config is a search.
type Config struct {
	Min, Max float64 // loads that may be offered, frames a second
	Goals    []Goal  // strictest first
	Trials   int     // most trials; 0 is DefaultTrials
	// Stop, when set, is asked before every trial; a reason ends the search
	// with what is known.
	Stop func() (reason string)
}

// DefaultTrials bounds a search.
const DefaultTrials = 500

// Result is what is known about a goal in the end. Bounds of zero were not
// found.
type Result struct {
	Goal       Goal
	Lower      float64 // relevant lower bound
	Upper      float64 // relevant upper bound
	Throughput float64 // conditional throughput at Lower
	Complete   bool    // the bounds are as near as the goal wants, or Lower is all that may be offered
	Why        string  // what kept it from being complete
}

// Validate reports goals and loads that no search can meet.
func (c *Config) Validate() error {
	if !(c.Min > 0 && c.Max > c.Min) {
		return fmt.Errorf("loads from %g to %g: expected 0 < least < most", c.Min, c.Max)
	}
	if len(c.Goals) == 0 {
		return errors.New("no goal")
	}
	for _, g := range c.Goals {
		switch {
		case g.LossRatio < 0 || g.LossRatio >= 1:
			return fmt.Errorf("goal %s: loss ratio %g: expected 0 to below 1", g.Name, g.LossRatio)
		case g.ExceedRatio < 0 || g.ExceedRatio >= 1:
			return fmt.Errorf("goal %s: exceed ratio %g: expected 0 to below 1", g.Name, g.ExceedRatio)
		case !(g.Initial > 0 && g.Final >= g.Initial && g.Sum >= g.Final):
			return fmt.Errorf("goal %s: durations %v, %v, %v: expected 0 < initial <= final <= sum", g.Name, g.Initial, g.Final, g.Sum)
		case !(g.Width > 0 && g.Width < 1):
			return fmt.Errorf("goal %s: width %g: expected between 0 and 1", g.Name, g.Width)
		}
	}
	return nil
}

// Search looks for all goals. Only errors of the configuration, the measurer
// and ctx are errors; a goal that cannot be met says so in its result. trials
// is how many were measured.
func Search(ctx context.Context, cfg Config, measure Measurer) (results []Result, trials int, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, 0, err
	}
	if cfg.Trials <= 0 {
		cfg.Trials = DefaultTrials
	}
	s := &search{cfg: cfg, ctx: ctx, measure: measure, at: map[float64][]Trial{}}
	for i := range cfg.Goals {
		if s.err == nil && s.over == "" {
			s.goal(&cfg.Goals[i])
		}
	}
	for i := range cfg.Goals {
		results = append(results, s.result(&cfg.Goals[i]))
	}
	return results, s.n, s.err
}

// search is the state: every trial, by load.
type search struct {
	cfg     Config
	ctx     context.Context
	measure Measurer
	at      map[float64][]Trial
	loads   []float64 // in order of first measurement
	last    *Goal     // the last target for which a lower bound was found
	n       int
	over    string // why it ends early
	err     error
}

// goal narrows in phases of longer and longer trials. What a phase finds is
// where the next one begins.
func (s *search) goal(g *Goal) {
	var durations []time.Duration
	for d := g.Initial; d < g.Final; d *= 4 {
		durations = append(durations, d)
	}
	lo, hi := 0.0, 0.0
	for i, d := range durations {
		p := *g
		p.Final, p.Sum = d, d
		p.Width = math.Min(0.5, g.Width*float64(int(1)<<(len(durations)-i)))
		lo, hi = s.narrow(&p, lo, hi)
		if lower, _ := s.bounds(&p); lower > 0 {
			s.last = &p
		}
		if s.err != nil || s.over != "" {
			return
		}
	}
	s.narrow(g, lo, hi)
}

// narrow measures until the bounds of a target are near enough, or one of them
// is known not to exist. lo and hi are guesses of the bounds, 0 for none.
func (s *search) narrow(g *Goal, lo, hi float64) (float64, float64) {
	step := g.Width
	for {
		lower, upper := s.bounds(g)
		switch {
		case lower == s.cfg.Max || upper == s.cfg.Min:
			return lower, upper // nothing beyond
		case lower > 0 && upper > 0 && near(lower, upper, g.Width):
			return lower, upper
		}
		load := 0.0
		switch {
		case upper == 0 && hi > lower && hi > 0:
			load = hi // the last phase's
		case upper == 0 && lower > 0 && hi > 0:
			// The guess was too low: look above, in growing steps.
			load = math.Min(s.cfg.Max, lower/(1-math.Min(step, 0.5)))
			step *= 2
		case upper == 0:
			load = s.cfg.Max
		case lower == 0 && lo > 0 && lo < upper:
			load = lo
		case lower == 0:
			load = s.below(upper, step)
			step *= 2
		default:
			load = math.Sqrt(lower * upper)
			if r := s.undecided(g, lower, upper); r > 0 {
				load = r
			}
		}
		load = math.Min(math.Max(math.Round(load), s.cfg.Min), s.cfg.Max)
		if lower > 0 && upper > 0 && (load <= lower || load >= upper) {
			return lower, upper // no whole load is between them
		}
		if !s.decide(g, load) {
			return lower, upper
		}
	}
}

// below guesses a lower bound under an upper one: what came through there, if
// that has not been tried, else growing steps down.
func (s *search) below(upper, step float64) float64 {
	best := 0.0
	for _, t := range s.at[upper] {
		best = math.Max(best, upper*(1-t.Loss))
	}
	if r := math.Round(best); r > s.cfg.Min && r < upper && len(s.at[r]) == 0 {
		return r
	}
	return upper * (1 - math.Min(step, 0.5))
}

// undecided is a load between the bounds that has been begun.
func (s *search) undecided(g *Goal, lower, upper float64) float64 {
	for _, l := range s.loads {
		if l > lower && l < upper && Classify(g, s.at[l]) == Undecided && hasFull(g, s.at[l]) {
			return l
		}
	}
	return 0
}

func hasFull(g *Goal, trials []Trial) bool {
	for _, t := range trials {
		if t.Duration >= g.Final {
			return true
		}
	}
	return false
}

// decide measures at a load until it is classified. It reports false when the
// search is over.
func (s *search) decide(g *Goal, load float64) bool {
	for Classify(g, s.at[load]) == Undecided {
		if s.over = s.stop(); s.over != "" {
			return false
		}
		loss, err := s.measure(s.ctx, load, g.Final)
		if err != nil {
			s.err = fmt.Errorf("trial at %.0f frames/s for %v: %w", load, g.Final, err)
			return false
		}
		if len(s.at[load]) == 0 {
			s.loads = append(s.loads, load)
		}
		s.at[load] = append(s.at[load], Trial{load, g.Final, math.Min(math.Max(loss, 0), 1)})
		s.n++
	}
	return true
}

func (s *search) stop() string {
	if err := s.ctx.Err(); err != nil {
		return err.Error()
	}
	if s.n >= s.cfg.Trials {
		return fmt.Sprintf("%d trials did not suffice", s.n)
	}
	if s.cfg.Stop != nil {
		return s.cfg.Stop()
	}
	return ""
}

// bounds are the relevant ones.
func (s *search) bounds(g *Goal) (lower, upper float64) {
	for _, l := range s.loads {
		if Classify(g, s.at[l]) == UpperBound && (upper == 0 || l < upper) {
			upper = l
		}
	}
	for _, l := range s.loads {
		if Classify(g, s.at[l]) == LowerBound && l > lower && (upper == 0 || l < upper) {
			lower = l
		}
	}
	return lower, upper
}

func near(lower, upper, width float64) bool { return (upper-lower)/upper <= width }

func (s *search) result(g *Goal) Result {
	r := Result{Goal: *g}
	r.Lower, r.Upper = s.bounds(g)
	if s.last != nil && r.Lower == 0 {
		// Not found in time: what shorter trials say is better than nothing.
		p := *s.last
		p.LossRatio = g.LossRatio
		if r.Lower, r.Upper = s.bounds(&p); r.Lower > 0 {
			r.Throughput = Throughput(&p, r.Lower, s.at[r.Lower])
		}
		r.Why = fmt.Sprintf("%s; the bounds are those of trials of %v", cmp.Or(s.over, "not found"), p.Final)
		return r
	}
	if r.Lower > 0 {
		r.Throughput = Throughput(g, r.Lower, s.at[r.Lower])
	}
	switch {
	case r.Lower == s.cfg.Max:
		r.Complete, r.Why = true, "no upper bound: all that may be offered comes through"
	case r.Lower > 0 && r.Upper > 0 && (near(r.Lower, r.Upper, g.Width) || r.Upper-r.Lower <= 1):
		r.Complete = true
	case s.err != nil:
		r.Why = s.err.Error()
	case s.over != "":
		r.Why = s.over
	case r.Upper == s.cfg.Min:
		r.Why = fmt.Sprintf("even %.0f frames/s lose more than %g", s.cfg.Min, g.LossRatio)
	default:
		r.Why = "the bounds were not found"
	}
	return r
}
