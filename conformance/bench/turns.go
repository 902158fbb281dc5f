package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// What follows is for comparisons that measure several systems in turn, many
// short rounds each, so that what the machine does meanwhile meets all of them.

// Drive is one path of a backend in a closed loop.
type Drive struct{ u *unit }

// OpenDrive builds the world of a path and makes all flows known. The drive is
// to be used from the goroutine that opened it, which keeps its thread: time is
// that of the thread.
func OpenDrive(ctx context.Context, b backends.Backend, cfg backends.WorldConfig, path string, size, flows int) (*Drive, error) {
	all, err := Select([]string{path})
	if err != nil {
		return nil, err
	}
	if most := all[0].vary.flows(); flows > most {
		return nil, fmt.Errorf("path %s has at most %d flows: %s", path, most, all[0].vary.why)
	}
	runtime.LockOSThread()
	u, err := newUnit(ctx, b, cfg, &all[0], load{sizes: []int{size}, flows: flows, dist: Uniform, seed: 1})
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return &Drive{u}, nil
}

// Run forwards about n packets and says how many nanoseconds one took.
func (d *Drive) Run(n int) (float64, error) {
	done, took, err := d.u.packets(n, nil)
	return float64(took) / float64(max(done, 1)) / float64(time.Nanosecond), err
}

// Close gives the world back.
func (d *Drive) Close() {
	d.u.close()
	runtime.UnlockOSThread()
}

// LimitServer is a run of the C limit that measures what it is asked for.
type LimitServer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Serve starts the limit with tables for so many flows and 64-byte frames.
func (l *CLimit) Serve(ctx context.Context, flows int) (*LimitServer, error) {
	s := &LimitServer{cmd: exec.CommandContext(ctx, l.program, "serve", strconv.Itoa(flows), "256")}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the C limit: %w", err)
	}
	if line, err := s.out.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		s.Close()
		return nil, fmt.Errorf("the C limit says %q and not that it is ready (%v)", line, err)
	}
	return s, nil
}

// Run takes about n packets through a row and says how many nanoseconds one
// took.
func (s *LimitServer) Run(row string, n int) (float64, error) {
	if _, err := fmt.Fprintln(s.in, row, n); err != nil {
		return 0, fmt.Errorf("the C limit: %w", err)
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the C limit: %w", err)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil || ns <= 0 {
		return 0, fmt.Errorf("the C limit says %q about %s; expected nanoseconds", strings.TrimSpace(line), row)
	}
	return ns, nil
}

// Close ends it.
func (s *LimitServer) Close() {
	s.in.Close()
	_ = s.cmd.Wait() // it says nothing that matters any more
}
