//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// oneCore ties this thread, and with it everything that it starts, to the last
// processor it may use.
func oneCore() (int, error) {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, err
	}
	cpu := 0
	for i := range len(all) * 64 {
		if all.IsSet(i) {
			cpu = i
		}
	}
	one.Set(cpu)
	return cpu, unix.SchedSetaffinity(0, &one)
}

// meter takes the measurements.
type meter struct {
	o   options
	dir string // for temporary files; it is removed at the end
}

// process is a system that runs.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan string // closed when the process says nothing more
	errOut bytes.Buffer
}

// Times that nothing takes which works.
const (
	openTimeout  = 5 * time.Minute
	roundTimeout = time.Minute
	closeTimeout = 10 * time.Second
)

// start opens a system; the error says why it cannot be measured.
func (m *meter) start(ctx context.Context, e entry, flows int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, childWord, e.system, e.path, strconv.Itoa(flows)), lines: make(chan string)}
	// A group of its own: an interrupt is ours to act on, and what the process
	// starts ends with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "TMPDIR="+m.dir)
	if e.system == "hnsim" && m.o.profile != "" {
		p.cmd.Env = append(p.cmd.Env, profileEnv+"="+m.o.profile)
	}
	p.cmd.Stderr = &p.errOut
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.lines)
		s := bufio.NewScanner(out)
		for s.Scan() {
			p.lines <- s.Text()
		}
	}()
	line, err := p.line(ctx, openTimeout)
	if reason, no := strings.CutPrefix(line, "cannot "); no {
		err = errors.New(reason)
	} else if err == nil && line != "ready" {
		err = fmt.Errorf("it says %q", line)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// line is the next one that the process says.
func (p *process) line(ctx context.Context, patience time.Duration) (string, error) {
	select {
	case l, ok := <-p.lines:
		if !ok {
			return "", fmt.Errorf("its process ended: %s", lastLine(p.errOut.String()))
		}
		return l, nil
	case <-time.After(patience):
		return "", fmt.Errorf("no answer for %v", patience)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// run is one round.
func (p *process) run(ctx context.Context, n int) (float64, error) {
	if _, err := fmt.Fprintln(p.in, n); err != nil {
		return 0, err
	}
	line, err := p.line(ctx, roundTimeout)
	if err != nil {
		return 0, err
	}
	if reason, no := strings.CutPrefix(line, "error "); no {
		return 0, errors.New(reason)
	}
	ns, err := strconv.ParseFloat(line, 64)
	if err != nil || ns <= 0 {
		return 0, fmt.Errorf("it says %q; expected nanoseconds", line)
	}
	return ns, nil
}

// stop ends the process and all that it started. It is given time to do so
// itself.
func (p *process) stop() {
	p.in.Close()
	kill := time.AfterFunc(closeTimeout, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	for range p.lines { // until it is closed, which its end does
	}
	kill.Stop()
	_ = p.cmd.Wait() // what mattered it has said
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}

// mostPackets bounds a round.
const mostPackets = 1 << 22

// calibrate finds how many packets take about a round.
func (p *process) calibrate(ctx context.Context, round time.Duration) (int, error) {
	n := 1024
	for {
		ns, err := p.run(ctx, n)
		if err != nil {
			return 0, err
		}
		took := time.Duration(ns * float64(n))
		if took >= round/4 || n >= mostPackets {
			return min(max(64, int(float64(round)/ns)), mostPackets), nil
		}
		n *= 4
	}
}

// contender is a system in a group.
type contender struct {
	entry
	p       *process
	n       int
	samples []float64
	reason  string // it is not measured
}

// group measures one workload at one number of flows.
func (m *meter) group(ctx context.Context, w workload, flows int) group {
	var all []*contender
	for _, e := range w.entries {
		if !wants(m.o.systems, e.system) {
			continue
		}
		c := &contender{entry: e}
		all = append(all, c)
		var err error
		if c.p, err = m.start(ctx, e, flows); err == nil {
			defer c.p.stop()
			c.n, err = c.p.calibrate(ctx, m.o.round)
		}
		if err != nil {
			c.reason = err.Error()
		}
	}
	for round := range m.o.rounds {
		for i := range all {
			c := all[i]
			if round%2 == 1 {
				c = all[len(all)-1-i]
			}
			if c.reason != "" || ctx.Err() != nil {
				continue
			}
			ns, err := c.p.run(ctx, c.n)
			if err != nil && ctx.Err() == nil {
				c.reason = err.Error()
			}
			c.samples = append(c.samples, ns)
		}
	}
	g := group{Workload: w.name, Flows: flows}
	for _, c := range all {
		r := result{System: c.system, Path: c.path, Reason: c.reason}
		if r.Reason == "" && (len(c.samples) < m.o.rounds || slices.Contains(c.samples, 0)) {
			r.Reason = "interrupted"
		}
		if r.Reason == "" {
			r.Samples, r.NS, r.Least, r.Packets = c.samples, median(c.samples), slices.Min(c.samples), c.n
		}
		g.Results = append(g.Results, r)
	}
	g.relate()
	return g
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
