package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/topology"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
)

// topologyExample is the end of the help of commands with --topology.
const topologyExample = `
  {"profile": "ws2025",
   "hosts": [{"name": "h1", "ip": ["10.0.0.5/24"]}, {"name": "h2", "ip": ["10.0.0.6/24"]}],
   "routers": [{"name": "r", "interfaces": [{"segment": "lan", "ip": ["10.0.0.1/24"]},
                                            {"segment": "wan", "ip": ["203.0.113.1/24"]}]}]}

sim/standin/README.md has every key.`

// worldFlagNames are the flags that make a world.
var worldFlagNames = []string{"listen", "profile", "host", "container", "knob", "seed", "topology"}

// standinFlags say which world a stand-in serves.
type standinFlags struct {
	listen, profile, calls string
	hosts, containers      []string
	knobs                  []string
	seed                   uint64
	topology               string
	set                    *pflag.FlagSet
}

func (f *standinFlags) add(flags *pflag.FlagSet) {
	f.set = flags
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "loopback `address:port` to listen on; port 0 is a free one")
	flags.StringVar(&f.profile, "profile", defaultProfile, "build `profile` of the hosts")
	flags.StringArrayVar(&f.hosts, "host", []string{"h1=10.127.130.35/24"}, "`name=address/bits` of a host; repeatable, the first is the default")
	flags.StringArrayVar(&f.containers, "container", nil, "`id` of a container that v1 attach finds running; repeatable")
	flags.StringArrayVar(&f.knobs, "knob", nil, "`name=value` of a contract knob, over the profile's; repeatable")
	flags.Uint64Var(&f.seed, "seed", 1, "`number` from which all randomness follows")
	flags.StringVar(&f.topology, "topology", "", "`file` that describes the world, instead of --host")
	flags.StringVar(&f.calls, "calls", "", "`file` for a record of every call, one JSON object a line")
}

// describe reads the topology, or makes one of the flags. A flag that is given
// wins over the file.
func (f *standinFlags) describe() (*topology.Topology, error) {
	read := func() (*topology.Topology, error) { return topology.OfHosts(f.hosts) }
	if f.topology != "" {
		if f.set.Changed("host") {
			return nil, errors.New("--host and --topology exclude each other: the hosts are in the file")
		}
		read = func() (*topology.Topology, error) { return topology.Read(f.topology) }
	}
	t, err := read()
	if err != nil {
		return nil, err
	}
	if t.Profile == "" || f.set.Changed("profile") {
		t.Profile = f.profile
	}
	if t.Seed == nil || f.set.Changed("seed") {
		t.Seed = &f.seed
	}
	t.Containers = append(t.Containers, f.containers...)
	return t, nil
}

// world makes the world of a topology and the knobs of the flags; hook, if
// there is one, adds to its configuration.
func (f *standinFlags) world(t *topology.Topology, hook func(*sim.Config)) (*sim.World, error) {
	cfg := sim.Config{Seed: *t.Seed, Profile: t.Profile, Knobs: map[string]string{}}
	maps.Copy(cfg.Knobs, t.Knobs)
	if hook != nil {
		hook(&cfg)
	}
	for _, k := range f.knobs {
		name, value, ok := strings.Cut(k, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--knob %q: expected name=value", k)
		}
		cfg.Knobs[name] = value
	}
	w, err := sim.New(cfg)
	if err != nil {
		return nil, err
	}
	return w, t.Build(w)
}

// service is a stand-in that is serving.
type service struct {
	*standin.Server
	world *sim.World
	after func() error // ends what else makes calls; nil for nothing
	calls func() error // ends the record of calls, when nobody makes any
	done  chan error
	once  sync.Once
	err   error
}

// standinExtras add to a stand-in what not everybody wants. Each field may be
// nil.
type standinExtras struct {
	world  func(*sim.Config)
	server func(*sim.World, *standin.Config) error
	// stop ends another way in than the DLLs, when those have ended.
	stop func() error
}

// startStandin makes the world and serves it. Virtual time follows the clock,
// so that drivers which wait for an address see it come.
func (a *app) startStandin(f *standinFlags, extras standinExtras) (*service, error) {
	s := &service{done: make(chan error, 1), after: extras.stop}
	t, err := f.describe()
	if err != nil {
		return nil, err
	}
	w, err := f.world(t, func(c *sim.Config) {
		c.Notify = func(host string, n hns.Notification) {
			if s.Server != nil { // before it listens nobody can have subscribed
				s.Notify(host, n)
			}
		}
		if extras.world != nil {
			extras.world(c)
		}
	})
	if err != nil {
		return nil, err
	}
	s.world = w
	cfg := standin.Config{Listen: f.listen}
	for _, h := range w.Hosts() {
		cfg.Hosts = append(cfg.Hosts, standin.Host{Name: h.Name(), HNS: h.HNS})
	}
	last := time.Now()
	cfg.Before = func() {
		now := time.Now()
		// A world that cannot settle is a finding of the next scenario, not a
		// reason to refuse the call.
		_ = w.Loop().Advance(now.Sub(last))
		last = now
	}
	if cfg.OnCall, s.calls, err = recordCalls(f.calls); err != nil {
		return nil, err
	}
	if extras.server != nil {
		if err := extras.server(w, &cfg); err != nil {
			return nil, err
		}
	}
	if s.Server, err = standin.Listen(cfg); err != nil {
		return nil, listenError(f.listen, err)
	}
	for _, id := range t.Containers {
		s.AddContainer(id)
	}
	go func() { s.done <- s.Serve() }()
	return s, nil
}

// recordCalls writes calls into a file, one JSON object a line; "" records
// nothing. done returns the first error.
func recordCalls(file string) (record func(standin.Call), done func() error, err error) {
	if file == "" {
		return func(standin.Call) {}, func() error { return nil }, nil
	}
	out, err := os.Create(file)
	if err != nil {
		return nil, nil, exit.With(exit.Usage, fmt.Errorf("--calls: %w", err))
	}
	enc := json.NewEncoder(out)
	var mu sync.Mutex // a request that did not end in time may still make a call
	var failed error
	record = func(c standin.Call) {
		mu.Lock()
		defer mu.Unlock()
		if err := enc.Encode(c); failed == nil {
			failed = err
		}
	}
	return record, func() error {
		mu.Lock()
		defer mu.Unlock()
		return errors.Join(failed, out.Close())
	}, nil
}

// listenError tells a port that cannot be had from an address that makes no
// sense, which is a matter of usage.
func listenError(listen string, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%s is in use by another program: stop it, or choose another port with --listen (port 0 is a free one)", listen)
	}
	return exit.With(exit.NotTested, err)
}

// stop ends the service; it may be called again.
func (s *service) stop() error {
	s.once.Do(func() {
		s.err = errors.Join(s.Close(), <-s.done)
		if s.after != nil {
			s.err = errors.Join(s.err, s.after())
		}
		s.err = errors.Join(s.err, s.calls())
	})
	return s.err
}
