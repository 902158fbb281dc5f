//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance/bench"
)

// runner is a system that is ready. It is used from one goroutine, which keeps
// its thread.
type runner interface {
	// run takes about n packets through and says how many nanoseconds of CPU
	// time one took. A packet that does not come out is an error.
	run(n int) (float64, error)
	close()
}

// openers make the runners; each says in its error what it lacks.
var openers = map[string]func(path string, flows int) (runner, error){
	"limit": openLimit, "hnsim": openModel, "gvisor": openGvisor, "gopacket": openGopacket,
	"kernel": openKernel, "xdp": openXDP, "ovs": openOVS, "dpdk": openTestpmd,
}

// childWord in front of the arguments makes the program the process of one
// system: SYSTEM PATH FLOWS. It says "ready" or "cannot REASON", and then
// answers each line with a number of packets by nanoseconds, or "error REASON".
// It ends when its input does. Every system has a process of its own: its heap,
// its threads and its network namespace are nobody else's, and vanish with it.
const childWord = "-one-system"

// profileEnv names the file for a CPU profile of what is timed.
const profileEnv = "HNSIM_PEERS_PROFILE"

func child(args []string, in io.Reader, out io.Writer) int {
	flows := 0
	if len(args) == 3 {
		flows, _ = strconv.Atoi(args[2])
	}
	if flows < 1 || openers[args[0]] == nil {
		fmt.Fprintln(out, "cannot run: expected SYSTEM PATH FLOWS")
		return 2
	}
	// A process started from this thread dies with it; namespaces are a
	// thread's.
	runtime.LockOSThread()
	debug.SetGCPercent(400)
	r, err := openers[args[0]](args[1], flows)
	if err != nil {
		fmt.Fprintln(out, "cannot", oneLine(err))
		return 3
	}
	defer r.close()
	stop, err := profileTo(os.Getenv(profileEnv))
	if err != nil {
		fmt.Fprintln(out, "cannot", oneLine(err))
		return 3
	}
	defer stop()
	fmt.Fprintln(out, "ready")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		var ns float64
		if err == nil {
			ns, err = r.run(n)
		}
		if err != nil {
			fmt.Fprintln(out, "error", oneLine(err))
			return 3
		}
		fmt.Fprintf(out, "%.4f\n", ns)
	}
	return 0
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func profileTo(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

// cpuTime is what a clock of CPU time shows.
func cpuTime(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err) // every Linux has both clocks
	}
	return time.Duration(t.Nano())
}

// loop is a runner whose work is a function of one frame, in this process.
type loop struct {
	t    *traffic
	each func(frame []byte) error
}

func (l *loop) run(n int) (float64, error) {
	do := func(n int) error {
		for range n {
			if err := l.each(l.t.next()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := do(n / 8); err != nil { // what ran in between has used the caches
		return 0, err
	}
	begun := cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID)
	err := do(n)
	return float64(cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID)-begun) / float64(n), err
}

func (l *loop) close() {}

// every takes each flow once, so that it is known.
func (l *loop) every() error {
	for range l.t.n {
		if err := l.each(l.t.next()); err != nil {
			return err
		}
	}
	return nil
}

// model is a path of hnsim.
type model struct {
	d     *bench.Drive
	first bool
}

func openModel(path string, flows int) (runner, error) {
	d, err := bench.OpenDrive(context.Background(), simulated.Backend{}, backends.WorldConfig{Seed: 1, Profile: "ws2022"}, path, frameLen, flows)
	if err != nil {
		return nil, err
	}
	paths, err := bench.Select([]string{path})
	return &model{d, err == nil && paths[0].First}, err
}

func (m *model) run(n int) (float64, error) {
	if !m.first {
		if _, err := m.d.Run(n / 8); err != nil {
			return 0, err
		}
	}
	return m.d.Run(n)
}

func (m *model) close() { m.d.Close() }

// limit is a row of the C limit.
type limit struct {
	c   *bench.CLimit
	s   *bench.LimitServer
	row string
}

func openLimit(path string, flows int) (runner, error) {
	c, err := bench.OpenLimit(context.Background())
	if err != nil {
		return nil, err
	}
	s, err := c.Serve(context.Background(), flows)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &limit{c, s, path}, nil
}

func (l *limit) run(n int) (float64, error) { return l.s.Run(l.row, n) }

func (l *limit) close() {
	l.s.Close()
	l.c.Close()
}
