package fuzz

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// repeatEvery is how many worlds share one check that a run can be repeated.
const repeatEvery = 8

// Config describes a campaign. Now must be set; without Duration and Worlds it
// ends with the context.
type Config struct {
	Backend  backends.Backend
	Profile  string // empty: the backend's default
	Seed     uint64 // of the first world; the next ones have the next numbers
	Duration time.Duration
	Worlds   int // 0: no limit
	Parallel int // worlds at a time; 0 is one
	// KeepGoing collects findings until the end; else the first one, by seed,
	// ends the campaign.
	KeepGoing bool
	// Minimise cuts findings down.
	Minimise bool
	Now      func() time.Time
	// Tick, if set, is told now and then how far the campaign is, about every
	// Every. It is called from one goroutine at a time.
	Tick  func(Progress)
	Every time.Duration
}

// Progress of a campaign.
type Progress struct {
	Elapsed  time.Duration
	Worlds   int
	Seed     uint64 // of the newest world
	Findings int
}

// Finding is a world in which something does not hold.
type Finding struct {
	Seed   uint64
	Kind   string // the invariant, or what else was expected
	Detail string
	From   int // steps of the world as generated
	Steps  int // steps that are left
	Text   []byte
}

// Summary is what a campaign came to.
type Summary struct {
	Seed         uint64 // the first
	Worlds       int    // that were judged
	Skipped      int    // worlds that the backend cannot make
	SkipReason   string // of the first of them
	Observations int
	Findings     []Finding // in the order of seeds
	Elapsed      time.Duration
	Interrupted  bool
	// Hash condenses what happened in all worlds, in the order of seeds: equal
	// for equal seeds and numbers of worlds.
	Hash string
}

// campaign is a run under way.
type campaign struct {
	cfg   Config
	start time.Time

	mu       sync.Mutex
	next     uint64 // offset of the next world
	stop     uint64 // offset from which on no world is wanted
	verdicts map[uint64]verdict
	cases    []uint64 // offsets with a finding
	err      error
	ticked   time.Time
}

// Run carries out a campaign. The error is that nothing could be tested; a
// context that ends makes the summary a partial one.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	c := &campaign{cfg: cfg, start: cfg.Now(), verdicts: map[uint64]verdict{}, stop: ^uint64(0)}
	if cfg.Worlds > 0 {
		c.stop = uint64(cfg.Worlds)
	}
	c.ticked = c.start
	var wg sync.WaitGroup
	for range max(cfg.Parallel, 1) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for c.world(ctx) {
			}
		}()
	}
	wg.Wait()
	if c.err != nil {
		return nil, c.err
	}
	return c.summary(ctx), nil
}

// world judges the next world and reports whether there may be another.
func (c *campaign) world(ctx context.Context) bool {
	offset, ok := c.take()
	if !ok || ctx.Err() != nil {
		return false
	}
	seed := c.cfg.Seed + offset
	v, err := judge(ctx, Generate(seed), c.cfg.Backend, c.cfg.Profile, offset%repeatEvery == 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, errCase):
		c.err = fmt.Errorf("seed %d: %w", seed, err)
		c.stop = 0
		return false
	case err != nil:
		return false
	}
	c.verdicts[offset] = v
	if v.kind != "" {
		c.cases = append(c.cases, offset)
		if !c.cfg.KeepGoing {
			c.stop = min(c.stop, offset+1)
		}
	}
	c.tick(seed)
	return true
}

// take gives out the next world while there is time.
func (c *campaign) take() (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := c.cfg.Duration > 0 && c.cfg.Now().Sub(c.start) >= c.cfg.Duration
	if late || c.next >= c.stop {
		return 0, false
	}
	c.next++
	return c.next - 1, true
}

func (c *campaign) tick(seed uint64) {
	now := c.cfg.Now()
	if c.cfg.Tick == nil || now.Sub(c.ticked) < c.cfg.Every {
		return
	}
	c.ticked = now
	c.cfg.Tick(Progress{Elapsed: now.Sub(c.start), Worlds: len(c.verdicts), Seed: seed, Findings: len(c.cases)})
}

// summary orders what the workers found by seed, and minimises it.
func (c *campaign) summary(ctx context.Context) *Summary {
	s := &Summary{Seed: c.cfg.Seed, Interrupted: ctx.Err() != nil}
	hash := sha256.New()
	for offset := range c.next {
		v, ok := c.verdicts[offset]
		if !ok || offset >= c.stop {
			continue // interrupted, or behind the finding that ended all
		}
		s.Worlds++
		s.Observations += v.seen
		if v.skip != "" {
			s.Worlds--
			s.Skipped++
			s.SkipReason = cmp.Or(s.SkipReason, v.skip)
		}
		fmt.Fprintf(hash, "%d %s %s\n", c.cfg.Seed+offset, v.hash, v.kind)
		if v.kind != "" {
			s.Findings = append(s.Findings, c.finding(ctx, c.cfg.Seed+offset, v))
		}
	}
	s.Hash = hex.EncodeToString(hash.Sum(nil)[:16])
	s.Elapsed = c.cfg.Now().Sub(c.start)
	slices.SortFunc(s.Findings, func(a, b Finding) int { return cmp.Compare(a.Seed, b.Seed) })
	return s
}

func (c *campaign) finding(ctx context.Context, seed uint64, v verdict) Finding {
	all := Generate(seed)
	small := all
	if c.cfg.Minimise {
		small = minimise(ctx, all, c.cfg.Backend, c.cfg.Profile, v.kind)
		if again, err := judge(ctx, small, c.cfg.Backend, c.cfg.Profile, v.kind == kindNondeterm); err == nil && again.kind == v.kind {
			v = again
		}
	}
	return Finding{Seed: seed, Kind: v.kind, Detail: v.detail, From: len(all.Steps), Steps: len(small.Steps), Text: small.Text(v.kind)}
}
