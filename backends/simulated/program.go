package simulated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

var _ backends.ProgramRunner = (*world)(nil)

// maxOutput bounds what is kept of a program's output.
const maxOutput = 4 << 20

// ProgramPath is what programs call a file of this machine.
func (w *world) ProgramPath(file string) string { return wine.Path(file) }

// RunProgram runs a program under wine. The world is lent to the stand-in for
// that time: its calls arrive on other goroutines, one at a time, and the last
// one is over before the world comes back.
func (w *world) RunProgram(ctx context.Context, p backends.Program) (res backends.ProgramResult, err error) {
	nd := w.nodes[p.Host]
	if nd == nil || nd.host == nil {
		return res, usage("no Windows host %q", p.Host)
	}
	run := *w.launcher
	run.OSBuild, run.Dir = w.sim.Profile.OSBuild, p.Dir
	if err := run.Prepare(ctx); err != nil {
		return res, err
	}
	loan, err := w.lend(nd, p)
	if err != nil {
		return res, err
	}
	run.Start = loan.net.start
	run.Env = append(slices.Clone(p.Env), "HNSIM_STANDIN_ADDR="+loan.srv.Addr(), "HNSIM_STANDIN_TOKEN="+loan.srv.Token(), "HNSIM_STANDIN_HOST="+p.Host)
	var out, errOut capped
	timed, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	res.ExitCode, err = run.Exec(timed, append([]string{p.Path}, p.Args...), bytes.NewReader(p.Stdin), &out, &errOut)
	if res.TimedOut = timed.Err() != nil && ctx.Err() == nil; res.TimedOut {
		err = nil
	}
	if out.over || errOut.over {
		err = errors.Join(err, fmt.Errorf("it printed more than %d bytes", maxOutput))
	}
	if err = errors.Join(err, loan.end()); err != nil {
		return res, fmt.Errorf("%s: %w", p.Path, err)
	}
	res.Calls, res.LeakedHandles = loan.calls, int(loan.srv.Stats().Leaked)
	res.Stdout, res.Stderr = out.Bytes(), errOut.Bytes()
	return res, w.settle()
}

// loan is a world in the hands of a program.
type loan struct {
	world *world
	srv   *standin.Server
	net   *programNet
	calls []backends.ProgramCall
	done  chan error
	// trouble is what went wrong in the world meanwhile.
	trouble error
}

// lend serves a host's HNS until the loan ends. Containers of the host that run
// are known to the Hcs functions.
func (w *world) lend(nd *node, p backends.Program) (*loan, error) {
	l := &loan{world: w, done: make(chan error, 1)}
	var err error
	l.srv, err = standin.Listen(standin.Config{
		Hosts: []standin.Host{{Name: p.Host, HNS: nd.host.HNS}},
		// How long a program takes on the wall must not show in the world.
		Before: func() { l.note(w.runaway(w.sim.Loop().Advance(p.Tick))) },
		OnCall: func(c standin.Call) {
			l.note(w.settle())
			l.note(l.net.show(nd.host.Interfaces()))
			hr, _ := strconv.ParseUint(c.HResult, 0, 32)
			l.calls = append(l.calls, backends.ProgramCall{Function: c.Function, Args: c.Args, HResult: uint32(hr)})
		},
	})
	if err != nil {
		return nil, err
	}
	if l.net, err = openNet(l.srv.Addr()); err == nil {
		err = l.net.show(nd.host.Interfaces())
	}
	for _, c := range w.started {
		if c.running && c.host == nd.host {
			l.srv.AddContainer(c.name)
		}
	}
	w.lent = l.srv
	go func() { l.done <- l.srv.Serve() }()
	if err != nil {
		return nil, errors.Join(err, l.end())
	}
	return l, nil
}

func (l *loan) note(err error) { l.trouble = errors.Join(l.trouble, err) }

// end takes the world back: no call is under way any more.
func (l *loan) end() error {
	err := errors.Join(l.srv.Close(), <-l.done)
	l.world.lent = nil
	if l.net != nil {
		err = errors.Join(err, l.net.close())
	}
	return errors.Join(err, l.trouble)
}

// notify passes notifications of a host's HNS on to the program that runs.
func (w *world) notify(host string, n hns.Notification) {
	if w.lent != nil {
		w.lent.Notify(host, n)
	}
}

// capped is a buffer that keeps the first maxOutput bytes.
type capped struct {
	bytes.Buffer
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	keep := min(len(p), maxOutput-c.Len())
	c.over = c.over || keep < len(p)
	_, _ = c.Buffer.Write(p[:keep])
	return len(p), nil
}
