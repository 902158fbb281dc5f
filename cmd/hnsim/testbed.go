package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/spread"
	"github.com/hnsim/hnsim/backends/spread/testbed"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/health"
	"github.com/hnsim/hnsim/conformance"
)

// testbedPrefix begins the name of a backend that is several machines.
const testbedPrefix = "testbed:"

// readBed reads a test bed file.
func readBed(file string) (*testbed.Bed, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the test bed: %w", err)
	}
	return testbed.Parse(filepath.ToSlash(file), text)
}

func (a *app) bedOptions(bed *testbed.Bed) spread.Options {
	return spread.Options{Bed: bed, Version: buildinfo.Version(), Note: func(text string) { a.talk("test bed: %s\n", text) }, Now: a.now}
}

// openTestbed connects to the agents that a file names, once.
func (a *app) openTestbed(file string) (backends.Backend, error) {
	if b, ok := a.beds[file]; ok {
		return b, nil
	}
	bed, err := readBed(file)
	if err != nil {
		return nil, err
	}
	b, err := spread.Connect(a.ctx, a.bedOptions(bed))
	switch {
	case a.ctx.Err() != nil:
		return nil, exit.With(exit.Interrupted, errors.New("interrupted while waiting for agents"))
	case err != nil:
		return nil, exit.With(exit.NotTested, err)
	}
	a.beds[file] = b
	return b, nil
}

// closeTestbeds ends the runs of this program.
func (a *app) closeTestbeds() {
	for file, b := range a.beds {
		if c := b.Counts(); c.Stale+c.Dropped > 0 || c.Reconnects > 0 {
			a.talk("test bed: %d stale messages dropped, %d requests refused by a full queue, %d repeated, %d reconnections\n", c.Stale, c.Dropped, c.Repeated, c.Reconnects)
		}
		if err := b.Close(); err != nil {
			a.talk("test bed %s: %v\n", file, err)
		}
		delete(a.beds, file)
	}
}

// oneAtATime is how many scenarios run on a test bed: its machines and wires
// are there once.
func (a *app) oneAtATime(cfg *conformance.Config) error {
	if !strings.HasPrefix(cfg.BackendName, testbedPrefix) {
		return nil
	}
	if cfg.Parallel > 1 {
		return fmt.Errorf("--parallel is %d: a test bed runs one scenario at a time; leave it out", cfg.Parallel)
	}
	cfg.Parallel = 1
	return nil
}

// inspectBed is doctor --testbed.
func (a *app) inspectBed(file, profile string) ([]health.Check, error) {
	bed, err := readBed(file)
	if err != nil {
		return nil, err
	}
	b, err := spread.Listen(a.bedOptions(bed))
	if err != nil {
		return nil, exit.With(exit.NotTested, err)
	}
	defer b.Close()
	checks := []health.Check{{Name: "test bed", Level: health.OK, Text: fmt.Sprintf("%s: %d agents, roles %s; listening on %s", file, len(bed.Agents), strings.Join(bed.RoleNames(), ", "), bed.Coordinator.Listen)}}
	for _, f := range b.Inspect(a.ctx, profile, b.Await(a.ctx)) {
		level := health.Fail
		switch {
		case f.OK:
			level = health.OK
		case f.Warn:
			level = health.Warn
		}
		checks = append(checks, health.Check{Name: f.Name, Level: level, Text: f.Text, Fix: f.Fix})
	}
	return checks, nil
}
