package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/tally"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

// execFlags are the flags of exec.
type execFlags struct {
	standinFlags
	server, as, dlls string
	net, report      string
	workdir          string
	forward          []string
	probes           bool
}

func (a *app) execCmd() *cobra.Command {
	var f execFlags
	c := &cobra.Command{
		Use:   "exec [flags] -- PROGRAM.exe [argument...]",
		Short: "run a Windows program under wine against the model",
		Long: `Run an unmodified Windows program that is built on hcsshim under wine. Its calls of
HNS go to a model that lives as long as the program, or to a running hnsim serve
with --server. Standard input and output are the program's, and so is the exit code:
its lower eight bits (300 gives 44), but 1 where a failure would become 0 (256 gives
1), and 130 for Windows' own code of Ctrl-C. Where the program ended with 0 but the
account of it is incomplete or could not be written, the exit code is 3.

Ctrl-C and SIGTERM press Ctrl-C for the program; it is killed after ten seconds, or
at once by a second Ctrl-C. The account says so ("interrupted": true), and the exit
code is 130 unless the program chose one other than 0.

Afterwards standard error says which calls the program made, which were refused,
which handles it did not close, and which objects it added, changed and removed.
With --format json that is a document on standard output, and the program's own
output goes to standard error; --report writes the document into a file.

Where privileges allow (root, or user namespaces), the program runs in a network
namespace in which it finds the interfaces and addresses of its simulated host.
It reaches nothing else there: name ports of this machine's loopback with --forward,
or use --net host.

The first run builds the DLLs and prepares wine in the user's cache folder. Runs
share drive C there; the registry is fresh every time. Drive Z is this machine's
root, and a path without drive is on the drive of the current folder: start programs
that write to \var or \etc with --workdir 'C:\'.

--topology FILE describes hosts, routers, external machines and links in JSON, such as
` + topologyExample,
		Example: `  hnsim exec --profile ws2025 --calls calls.ndjson -- ./driver.exe --verbose
  hnsim exec --topology lab.json --as node2 -- ./driver.exe
  hnsim exec --server hnsim-standin.txt --forward 127.0.0.1:6443 -- ./driver.exe`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.probes {
				return a.execProbes(c, &f, args)
			}
			if f.server != "" {
				for _, name := range worldFlagNames {
					if c.Flags().Changed(name) {
						return fmt.Errorf("--server and --%s exclude each other: the world is the server's", name)
					}
				}
			}
			return a.exec(c.Context(), &f, args)
		},
	}
	f.add(c.Flags())
	flags := c.Flags()
	flags.StringVar(&f.server, "server", "", "token `file` of a running hnsim serve to use instead of a server of its own")
	flags.StringVar(&f.as, "as", "", "`name` of the host that the program runs on; empty is the first")
	flags.StringVar(&f.dlls, "dlls", "", "`folder` with the DLLs; empty builds them from this program's own sources, once")
	flags.StringVar(&f.net, "net", "auto", "the program's network: `auto|namespace|host`")
	flags.StringArrayVar(&f.forward, "forward", nil, "`address:port` of this machine that the program reaches too; repeatable")
	flags.StringVar(&f.report, "report", "", "`file` for the account of the run, as JSON")
	flags.BoolVar(&f.probes, "probes", false, "for hnsim.exe run --backend hns: the program makes worlds and hosts itself, and asks for packets too")
	flags.StringVar(&f.workdir, "workdir", "", "current `folder` of the program, of this machine or of Windows; empty is this one")
	return c
}

// exec runs a program and says what it did.
func (a *app) exec(ctx context.Context, f *execFlags, args []string) error {
	if err := checkForwards(f.forward); err != nil {
		return err
	}
	kill, release := secondSignal(ctx)
	defer release()
	run := wine.Run{DLLs: f.dlls, Dir: f.workdir, Log: a.talk, Kill: kill}
	file, err := openReport(f.report)
	if err != nil {
		return err
	}
	defer file.close()
	n, err := a.openNet(f.net)
	if err != nil {
		return err
	}
	report, err := a.execIn(ctx, f, n, &run, args)
	err = errors.Join(err, n.close())
	switch {
	case report == nil && ctx.Err() != nil:
		return exit.With(exit.Interrupted, err)
	case report == nil:
		return exit.With(exit.NotTested, err)
	}
	// The program has run: whatever went wrong, its account and exit code stay.
	err = errors.Join(err, a.tell(file, report))
	code := unixCode(report.ExitCode)
	switch {
	case code == 0 && report.Interrupted:
		code = exit.Interrupted
	case code == 0 && err != nil:
		code = exit.NotTested
	case code == 0:
		return nil
	}
	return &exit.Error{Code: code, Err: err}
}

// execIn runs a program in a network. With a report, the program has run, even
// if there is an error too.
func (a *app) execIn(ctx context.Context, f *execFlags, n *programNet, run *wine.Run, args []string) (report *tally.Report, err error) {
	var log tally.Log
	w := follower{net: n, log: &log}
	find := a.ownTarget
	if f.server != "" {
		find = a.joinTarget
	}
	t, err := find(f, n, w.seen)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	defer func() { err = errors.Join(err, t.close()) }()
	for _, addr := range f.forward {
		if err := n.forward(addr); err != nil {
			return nil, err
		}
	}
	list, err := t.interfaces()
	if err == nil {
		err = n.show(list)
	}
	if err != nil {
		return nil, err
	}
	run.OSBuild, run.Start, run.Ready = t.osBuild, n.start, n.ready
	run.Env = []string{"HNSIM_STANDIN_ADDR=" + t.addr, "HNSIM_STANDIN_TOKEN=" + t.token, "HNSIM_STANDIN_HOST=" + t.host}
	if err := run.Prepare(ctx); err != nil {
		return nil, err
	}
	r := &tally.Report{Program: args, Host: t.host, Profile: t.profile, OSBuild: t.osBuild, Network: n.describe(list)}
	a.talk("network: %s\n", r.Network)
	before, err := t.store()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	code, err := run.Exec(ctx, args, os.Stdin, a.programOut(), a.err.Writer)
	var wrong *wine.ProgramError
	if errors.As(err, &wrong) {
		return nil, exit.With(exit.Usage, err)
	}
	if err != nil {
		return nil, err
	}
	r.ExitCode, r.Took, r.Interrupted = int64(code), time.Since(start), ctx.Err() != nil
	r.Functions, r.Leaked = log.Functions(), log.Open()
	after, err := t.store()
	if err == nil {
		r.Changes, err = tally.Diff(before, after)
	}
	if err != nil {
		r.Unknown = err.Error()
	}
	return r, errors.Join(err, w.trouble())
}

// follower watches the calls: the program's interfaces follow the host's
// before it gets the answer.
type follower struct {
	net *programNet
	log *tally.Log
	mu  sync.Mutex
	err error
}

func (w *follower) seen(c standin.Call, now []sim.Interface) {
	w.log.Add(&c)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.net.show(now); err != nil && w.err == nil {
		w.err = fmt.Errorf("the program's interfaces did not follow its host's: %w", err)
	}
}

func (w *follower) trouble() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// programOut is where the program's standard output goes.
func (a *app) programOut() io.Writer {
	if a.opts.format == "json" {
		return a.err.Writer
	}
	if s, ok := a.out.Writer.(*sticky); ok {
		return s.Writer // programs get the file itself
	}
	return a.out.Writer
}
