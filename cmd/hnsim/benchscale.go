package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/benchmark"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/terminal"
	"github.com/hnsim/hnsim/conformance/bench"
	"github.com/hnsim/hnsim/reports"
)

// scaleRun prepares a measurement of what the size of a world costs.
func (a *app) scaleRun(f *benchFlags, b backends.Backend, world backends.WorldConfig) (func(context.Context) (*reports.Bench, error), error) {
	for _, name := range []string{"gate", "baseline", "self-test", "limit", "dist", "trace", "workers", "size", "html"} {
		if f.flags.Changed(name) {
			return nil, fmt.Errorf("--%s belongs to measurements of cost or service; this one is of scale (--kind)", name)
		}
	}
	if a.opts.format == "benchstat" {
		return nil, errors.New("--format benchstat has no form for worlds: expected text or json")
	}
	cfg := bench.ScaleConfig{Backend: b, World: world, Shapes: bench.Shapes, Flows: 10_000, Count: max(3, f.count), Sample: f.sample}
	if len(f.shapes) > 0 {
		cfg.Shapes = nil
	}
	for _, text := range f.shapes {
		s, err := bench.ParseShape(text)
		if err != nil {
			return nil, fmt.Errorf("--worlds: %w", err)
		}
		cfg.Shapes = append(cfg.Shapes, s)
	}
	switch flows, err := benchmark.Numbers("--flows", f.flows); {
	case err != nil:
		return nil, err
	case len(flows) > 1:
		return nil, errors.New("--flows: worlds are measured at one number of flows")
	case len(flows) == 1:
		cfg.Flows = flows[0]
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (*reports.Bench, error) {
		var p *terminal.Progress
		cfg.Progress = func(_, total int) {
			if p == nil && !a.opts.quiet {
				p = terminal.NewProgress(a.err, total, a.env("TERM") == "dumb", a.now)
			}
			p.Step(false)
		}
		defer func() { p.Finish() }()
		return bench.Scale(ctx, cfg)
	}, nil
}
