package spread

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/spread/testbed"
	"github.com/hnsim/hnsim/backends/spread/transport"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Options are what a coordinator needs.
type Options struct {
	Bed     *testbed.Bed
	Version string       // of this program
	Note    func(string) // what happens, in one line; may be called concurrently
	Now     func() time.Time
}

// Backend spreads worlds over the agents of a test bed. It makes one world at a
// time: the machines and the wires between them are there once.
type Backend struct {
	opt      Options
	hub      *transport.Hub
	machines map[string]*machine
	slot     chan struct{} // taken while there is a world
	worlds   uint64        // so far; guarded by slot

	mu       sync.Mutex
	features map[string]backends.FeatureSet
}

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Player    = (*Backend)(nil)
	_ backends.Deviator  = (*Backend)(nil)
	_ backends.DropNamer = (*Backend)(nil)
	_ backends.Loser     = (*Backend)(nil)
)

// machine is an agent as the coordinator sees it.
type machine struct {
	name  string
	roles []string
	wires map[string]string
	hub   *transport.Hub

	mu    sync.Mutex // one request at a time
	peer  *transport.Peer
	facts Facts
}

// Authority is the folder of a test bed's authority.
func Authority(bed *testbed.Bed, now func() time.Time) (*transport.Authority, error) {
	dir := bed.Coordinator.State
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(bed.File), dir)
	}
	return transport.OpenAuthority(dir, now)
}

// Listen begins a run and lets agents connect. Close must be called.
func Listen(opt Options) (*Backend, error) {
	authority, err := Authority(opt.Bed, opt.Now)
	if err != nil {
		return nil, fmt.Errorf("the test bed's authority: %w", err)
	}
	c := opt.Bed.Coordinator
	b := &Backend{opt: opt, machines: map[string]*machine{}, slot: make(chan struct{}, 1), features: map[string]backends.FeatureSet{}}
	b.hub, err = transport.Listen(transport.HubConfig{Listen: c.Listen, Join: c.Join, Authority: authority,
		Agents: opt.Bed.AgentNames(), Patience: c.Patience, Version: opt.Version, Note: opt.Note})
	if err != nil {
		return nil, fmt.Errorf("test bed %s: %w", opt.Bed.File, err)
	}
	for name, a := range opt.Bed.Agents {
		b.machines[name] = &machine{name: name, roles: opt.Bed.RolesOf(name), wires: a.Wires, hub: b.hub}
	}
	return b, nil
}

// Connect is Listen, and waits until every agent is there and has what its
// roles need.
func Connect(ctx context.Context, opt Options) (*Backend, error) {
	b, err := Listen(opt)
	if err != nil {
		return nil, err
	}
	missing := b.Await(ctx)
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), b.Close())
	}
	for _, name := range missing {
		err = errors.Join(err, b.absent(name))
	}
	if err == nil {
		err = b.fit(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// absent is the error about an agent that did not connect.
func (b *Backend) absent(name string) error {
	c := b.opt.Bed.Coordinator
	return fmt.Errorf("agent %s (%s) did not connect to %s within %v; start it there: hnsim agent --name %s --coordinator %s",
		name, strings.Join(b.opt.Bed.RolesOf(name), ", "), c.Listen, c.Wait, name, c.Listen)
}

// Await waits for the agents, as long as the test bed says, and returns those
// that did not come.
func (b *Backend) Await(ctx context.Context) (missing []string) {
	ctx, cancel := context.WithTimeout(ctx, b.opt.Bed.Coordinator.Wait)
	defer cancel()
	missing = b.hub.Await(ctx, b.opt.Bed.AgentNames())
	for name, m := range b.machines {
		if m.peer = b.hub.Peer(name); m.peer == nil {
			continue
		}
		raw, _ := m.peer.Facts()
		if json.Unmarshal(raw, &m.facts) != nil {
			m.facts = Facts{Lacks: "it does not say what it is"}
		}
	}
	return missing
}

// fit checks that every role is on a machine that can be it.
func (b *Backend) fit(ctx context.Context) error {
	var errs []error
	for _, name := range b.opt.Bed.AgentNames() {
		m := b.machines[name]
		if m.facts.Lacks != "" {
			errs = append(errs, fmt.Errorf("agent %s (%s): %s", name, m.facts.Host, m.facts.Lacks))
		}
		if text := b.tooManyHosts(m); text != "" {
			errs = append(errs, errors.New(text))
		}
	}
	for _, name := range b.opt.Bed.RoleNames() {
		for _, text := range b.unmet(ctx, name, hcn.DefaultProfile) {
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}

// tooManyHosts is the conflict of roles that one machine cannot be at once.
func (b *Backend) tooManyHosts(m *machine) string {
	var hosts []string
	for _, r := range m.roles {
		if b.opt.Bed.Roles[r].Kind == backends.HostNode {
			hosts = append(hosts, r)
		}
	}
	if m.facts.MaxHosts == 0 || len(hosts) <= m.facts.MaxHosts {
		return ""
	}
	return fmt.Sprintf("agent %s cannot be %s at once: with backend %s a machine is %d host", m.name, strings.Join(hosts, " and "), m.facts.Backend, m.facts.MaxHosts)
}

// unmet lists what a role needs and its agent lacks.
func (b *Backend) unmet(ctx context.Context, role, profile string) (out []string) {
	r := b.opt.Bed.Roles[role]
	m := b.machines[r.Agent]
	for _, need := range r.Needs {
		if slices.Contains(backends.Capabilities(), backends.Capability(need)) {
			if !slices.Contains(m.facts.Capabilities, backends.Capability(need)) {
				out = append(out, fmt.Sprintf("role %s needs capability %s, which agent %s (backend %s) lacks", role, need, m.name, m.facts.Backend))
			}
			continue
		}
		res, err := m.call(ctx, &request{Op: opFeatures, Profile: profile})
		switch {
		case err != nil:
			out = append(out, fmt.Sprintf("role %s needs %s; agent %s: %v", role, need, m.name, err))
		case !res.Features.Supported[need]:
			out = append(out, fmt.Sprintf("role %s needs %s, which agent %s (HNS %s) lacks: it is in %s", role, need, m.name, res.Features.HNSVersion, res.Features.Ranges[need]))
		}
	}
	return out
}

// call has the machine carry out a request. What the local backend says against
// it comes back as an error of the same kind.
func (m *machine) call(ctx context.Context, req *request) (*response, error) {
	if end, ok := ctx.Deadline(); ok {
		req.Limit = max(time.Until(end), time.Millisecond)
	}
	body, err := encode(req)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	answer, err := m.peer.Call(ctx, body)
	var lost *transport.LostError
	if errors.As(err, &lost) {
		return nil, m.lost(lost)
	}
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", m.name, err)
	}
	var res response
	if err := json.Unmarshal(answer, &res); err != nil {
		return nil, fmt.Errorf("agent %s: an answer that cannot be read: %w", m.name, err)
	}
	if res.Fault != nil && res.Fault.Other != "" {
		return &res, fmt.Errorf("agent %s: %w", m.name, res.Fault.Err())
	}
	return &res, res.Fault.Err()
}

// lost names the machine with its roles.
func (m *machine) lost(err *transport.LostError) error {
	return &backends.LostError{Msg: fmt.Sprintf("agent %s (%s) is lost: %s", m.name, strings.Join(m.roles, ", "), err.Why)}
}

// Name is "testbed".
func (b *Backend) Name() string { return "testbed" }

// Plays is the backend of the agents, if they all have the same.
func (b *Backend) Plays() string {
	name := ""
	for _, m := range b.machines {
		if name != "" && m.facts.Backend != name {
			return b.Name()
		}
		name = m.facts.Backend
	}
	return name
}

// Capabilities are those that every agent has.
func (b *Backend) Capabilities() []backends.Capability {
	return slices.DeleteFunc(backends.Capabilities(), func(c backends.Capability) bool {
		for _, m := range b.machines {
			if !slices.Contains(m.facts.Capabilities, c) {
				return true
			}
		}
		return false
	})
}

// Deviations are those of the agents' backend, if they all have the same.
func (b *Backend) Deviations() (file string, text []byte) {
	var found *Deviations
	for _, m := range b.machines {
		if m.facts.Deviations == nil || found != nil && *m.facts.Deviations != *found {
			return "", nil
		}
		found = m.facts.Deviations
	}
	if found == nil {
		return "", nil
	}
	return found.File, []byte(found.Text)
}

// DropNames are those of all agents, if all know theirs.
func (b *Backend) DropNames() []string {
	var out []string
	for _, name := range b.opt.Bed.AgentNames() {
		names := b.machines[name].facts.DropNames
		if names == nil {
			return nil
		}
		out = append(out, names...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Lost is the agent that is gone, or nil.
func (b *Backend) Lost() error {
	var lost *transport.LostError
	if err := b.hub.Lost(); errors.As(err, &lost) && b.machines[lost.Agent] != nil {
		return b.machines[lost.Agent].lost(lost)
	}
	return nil
}

// featureTime is what asking an agent for its features may take.
const featureTime = 30 * time.Second

// Features are those that every host has.
func (b *Backend) Features(profile string) (backends.FeatureSet, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if fs, ok := b.features[profile]; ok {
		return fs, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), featureTime)
	defer cancel()
	var all backends.FeatureSet
	for _, name := range b.opt.Bed.AgentNames() {
		res, err := b.machines[name].call(ctx, &request{Op: opFeatures, Profile: profile})
		if err != nil {
			return all, err
		}
		if all.Supported == nil {
			all = *res.Features
			continue
		}
		if res.Features.HNSVersion != all.HNSVersion || res.Features.OSBuild != all.OSBuild {
			all.HNSVersion += ", " + res.Features.HNSVersion + " on " + name
		}
		for f, has := range all.Supported {
			if has && !res.Features.Supported[f] {
				all.Supported[f] = false
				all.Ranges[f] += ", but not on agent " + name
			}
		}
	}
	b.features[profile] = all
	return all, nil
}

// Counts is what the messages of this run had to be spared of.
func (b *Backend) Counts() transport.Counts { return b.hub.Counts() }

// Close ends the run: the agents give back what they hold.
func (b *Backend) Close() error { return b.hub.Close() }

// Open makes an empty world, when the one before is closed.
func (b *Backend) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	select {
	case b.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := b.Lost(); err != nil {
		<-b.slot
		return nil, err
	}
	b.worlds++
	return &world{b: b, cfg: cfg, id: b.worlds, begun: time.Now(), parts: map[string]*part{}, where: map[string]*part{},
		segments: map[string][]*part{}, sent: map[string]bool{}}, nil
}
