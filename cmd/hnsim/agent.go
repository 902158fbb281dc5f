package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/backends/spread"
	"github.com/hnsim/hnsim/backends/spread/transport"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
)

type agentFlags struct {
	name, coordinator, join string
	token, state, backend   string
}

func (a *app) agentCmd() *cobra.Command {
	var f agentFlags
	c := &cobra.Command{
		Use:   "agent",
		Short: "be one machine of a test bed",
		Long: `Connect to the coordinator of a test bed and carry out what it asks of this machine,
until interrupted (SIGINT or SIGTERM; exit code 0). The coordinator is the machine on
which hnsim run --testbed FILE runs; it need not be there yet.

The first time the agent presents a join token, which hnsim agent token prints there,
and gets a certificate. It keeps that in the state folder. All connections go out from
here and are TLS with certificates on both sides.

An agent with backend linux needs root. What it makes for a scenario is in network
namespaces that end with it; of the machine itself it uses the interfaces that the test
bed file names as wires, and nothing is left on them.`,
		Example: `  hnsim agent --name a1 --coordinator 192.0.2.1:7422 --token hnsim1...
  hnsim agent --name a1 --coordinator 192.0.2.1:7422`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runAgent(c.Context(), &f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.name, "name", "", "`name` of this agent in the test bed file")
	flags.StringVar(&f.coordinator, "coordinator", "", "`address` of the coordinator: host:port (coordinator.listen in the test bed file)")
	flags.StringVar(&f.join, "join", "", "`address` to join at; empty is the coordinator's with the next port")
	flags.StringVar(&f.token, "token", "", "join `token`, for the first time")
	flags.StringVar(&f.state, "state", "", "`folder` for the certificate; empty is hnsim/agent in your configuration folder")
	flags.StringVar(&f.backend, "backend", "", "`name` of what carries scenarios out here: linux or hns; empty is that of this system")
	c.AddCommand(a.tokenCmd())
	return c
}

func (a *app) tokenCmd() *cobra.Command {
	var bed, agent string
	var valid time.Duration
	c := &cobra.Command{
		Use:   "token",
		Short: "make a join token for agents of a test bed",
		Long: `Print a token with which an agent can join the test bed, on the coordinator. The first
time this makes the test bed's certificate authority, in the folder that the file names
(coordinator.state). Whoever has the token can become an agent until it expires.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if valid <= 0 {
				return fmt.Errorf("--valid is %v: expected a positive time such as 1h", valid)
			}
			b, err := readBed(bed)
			if err != nil {
				return err
			}
			authority, err := spread.Authority(b, a.now)
			if err != nil {
				return exit.With(exit.NotTested, err)
			}
			token, err := authority.Token(agent, valid)
			if err != nil {
				return err
			}
			if a.opts.format == "json" {
				return a.json(map[string]any{"token": token, "expires": a.now().Add(valid).UTC().Format(time.RFC3339), "agent": agent})
			}
			fmt.Fprintln(a.out, token)
			return nil
		},
	}
	c.Flags().StringVar(&bed, "testbed", "testbed.yaml", "test bed `file`")
	c.Flags().StringVar(&agent, "for", "", "`name` of the only agent that may use it; empty: any")
	c.Flags().DurationVar(&valid, "valid", time.Hour, "`time` until it expires")
	return c
}

func (a *app) runAgent(ctx context.Context, f *agentFlags) error {
	if f.coordinator == "" {
		return errors.New("--coordinator is missing: expected host:port, coordinator.listen of the test bed file")
	}
	if _, port, err := net.SplitHostPort(f.coordinator); err != nil || port == "" {
		return fmt.Errorf("--coordinator is %q: expected host:port such as 192.0.2.1:7422, coordinator.listen of the test bed file", f.coordinator)
	}
	executor, err := a.executor(f)
	if err != nil {
		return err
	}
	if f.state == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("no folder for the certificate: %w; name one with --state", err)
		}
		f.state = filepath.Join(dir, "hnsim", "agent")
	}
	id, err := a.identity(ctx, f)
	if err == nil {
		err = transport.ServeAgent(ctx, transport.AgentConfig{Coordinator: f.coordinator, Identity: id, Dir: f.state,
			Version: buildinfo.Version(), Handler: executor, Note: a.note})
	}
	var refused *transport.Refused
	switch {
	case errors.As(err, &refused):
		return exit.With(exit.Usage, err)
	case transport.Stopped(err):
		return nil
	}
	return exit.With(exit.NotTested, err)
}

// note says what an agent or a coordinator sees, with the time.
func (a *app) note(text string) { a.talk("%s  %s\n", a.now().Format("15:04:05.000"), text) }

// executor carries out scenarios on this machine.
func (a *app) executor(f *agentFlags) (*spread.Executor, error) {
	if f.backend == "" {
		f.backend = "linux"
		if runtime.GOOS == "windows" {
			f.backend = "hns"
		}
	}
	b, ok := a.backends[f.backend]
	if !ok || f.backend == "sim" {
		return nil, fmt.Errorf("--backend is %q: expected linux or hns, whichever this program has; the model has no wires to other machines", f.backend)
	}
	return spread.NewExecutor(b, a.note), nil
}

// identity is the agent's certificate; with a token it joins if it has none that
// fits.
func (a *app) identity(ctx context.Context, f *agentFlags) (*transport.Identity, error) {
	id, err := transport.LoadIdentity(f.state)
	if err == nil {
		over, _ := id.Expired(a.now())
		if f.token == "" || id.Of(f.token) && !over && (f.name == "" || f.name == id.Name) {
			if f.name != "" && f.name != id.Name {
				return nil, fmt.Errorf("--name is %s, but the certificate in %s is of agent %s: use another --state, or join again with --token", f.name, f.state, id.Name)
			}
			return id, nil
		}
	} else if f.token == "" {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("this agent has not joined yet (%s has no certificate): give it a --token from `hnsim agent token`", f.state)
		}
		return nil, fmt.Errorf("%w: remove %s and join again with --token", err, f.state)
	}
	if f.name == "" {
		return nil, errors.New("--name is missing: the name of this agent in the test bed file")
	}
	if f.join == "" {
		if f.join, err = nextPort(f.coordinator); err != nil {
			return nil, err
		}
	}
	return a.join(ctx, f)
}

// nextPort is where coordinators let agents join, unless told otherwise.
func nextPort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	number, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil {
		return "", fmt.Errorf("--coordinator is %q: expected host:port, such as 192.0.2.1:7422", address)
	}
	return net.JoinHostPort(host, strconv.FormatUint(number%65535+1, 10)), nil
}

// joinEvery is how often an agent asks for a coordinator that is not there.
const joinEvery = 300 * time.Millisecond

// join presents the token until somebody answers.
func (a *app) join(ctx context.Context, f *agentFlags) (*transport.Identity, error) {
	said := ""
	for {
		id, err := transport.Join(ctx, f.join, f.token, f.name, f.state)
		var refused *transport.Refused
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return id, errors.Join(err, ctx.Err())
		}
		if text := err.Error(); text != said {
			said = text
			a.note("waiting: " + text)
		}
		select {
		case <-ctx.Done():
		case <-time.After(joinEvery):
		}
	}
}
