package hns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// deps are what a world needs of a machine. Tests give others.
type deps struct {
	hns        control
	tag        Tag
	folder     string // of the journals
	startProbe func(compartment uint32, notify func()) (prober, error)
	capture    capturer // nil: there is none
	addrs      func() ([]netip.Prefix, error)
	now        func() time.Time
	patience   time.Duration // 0: the constant
}

// hostWorld is a world of this machine: it is the first host of the scenario.
// Roles for which there is no machine are declared, and refused when they are
// needed.
type hostWorld struct {
	d     deps
	opt   Options
	guard *guard
	keep  *fileJournal // nil in a dry run
	start time.Time

	self   string // the host's role
	absent map[string][]netip.Prefix
	roles  map[string]*hostRole
	order  []string

	changed  chan struct{} // has a value when a probe has reported something
	seen     []backends.Observation
	frames   uint64
	measured map[string]time.Duration
	tapped   bool              // the wire is captured
	macs     map[wire.MAC]bool // of containers
}

// hostRole is a container, or the host itself.
type hostRole struct {
	name  string
	addrs []netip.Addr
	probe prober
	// shared marks a probe that belongs to another role.
	shared bool
}

var (
	_ backends.World    = (*hostWorld)(nil)
	_ backends.Measurer = (*hostWorld)(nil)
)

// noJournal is for runs that create nothing.
type noJournal struct{}

func (noJournal) note(made) error { return nil }

func newHostWorld(d deps, opt Options) (*hostWorld, error) {
	w := &hostWorld{d: d, opt: opt, start: d.now(), absent: map[string][]netip.Prefix{}, roles: map[string]*hostRole{},
		changed: make(chan struct{}, 1), measured: map[string]time.Duration{}, macs: map[wire.MAC]bool{}}
	keep := journal(noJournal{})
	if opt.DryRun == nil {
		var err error
		if w.keep, err = newJournal(d.folder, d.tag); err != nil {
			return nil, fmt.Errorf("the journal of this run: %w", err)
		}
		keep = w.keep
	}
	w.guard = newGuard(d.hns, d.tag, opt, keep)
	return w, nil
}

// AddNode makes the first host this machine; the others are absent.
func (w *hostWorld) AddNode(_ context.Context, n backends.Node) error {
	if _, away := w.absent[n.Name]; away || w.roles[n.Name] != nil || n.Name == w.self {
		return usage("role %q exists already", n.Name)
	}
	if len(n.Ifaces) == 0 {
		return usage("%s %q needs an interface", n.Kind, n.Name)
	}
	var addrs []netip.Prefix
	for _, i := range n.Ifaces {
		addrs = append(addrs, i.Addrs...)
	}
	if n.Kind == backends.HostNode && w.self == "" {
		w.self = n.Name
	} else {
		w.absent[n.Name] = addrs
	}
	return nil
}

// elsewhere refuses what needs another machine.
func (w *hostWorld) elsewhere(role string) error {
	if _, away := w.absent[role]; away {
		return unsupported("role %s needs a machine of its own, and this run has one", role)
	}
	return usage("no role %q", role)
}

// SetLink is for simulated wires.
func (w *hostWorld) SetLink(_ context.Context, l backends.Link) error {
	if _, away := w.absent[l.Node]; l.Node != w.self && !away {
		return usage("no node %q", l.Node)
	}
	return unsupported("the wire of %s is a real one: it has no delay or loss that could be set", l.Node)
}

// HCN carries out an operation on what belongs to the run.
func (w *hostWorld) HCN(_ context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	if op.Host != w.self || w.self == "" {
		if _, away := w.absent[op.Host]; away {
			return backends.HCNResult{}, w.elsewhere(op.Host)
		}
		return backends.HCNResult{}, usage("no Windows host %q", op.Host)
	}
	start := w.d.now()
	res, err := w.guard.do(op)
	if err == nil && op.Kind != "hnscall" {
		w.measure(op.Kind+"."+op.Verb, w.d.now().Sub(start))
	}
	return res, err
}

func (w *hostWorld) measure(what string, took time.Duration) {
	w.measured[what] = max(w.measured[what], took)
}

// Measurements are how long HNS took.
func (w *hostWorld) Measurements() map[string]time.Duration { return maps.Clone(w.measured) }

// readyWithin bounds the wait for an endpoint's address: policies have been
// seen to take a minute.
const readyWithin = 90 * time.Second

// AddContainer makes a namespace and starts a probe in its compartment.
func (w *hostWorld) AddContainer(ctx context.Context, c backends.Container) error {
	switch {
	case c.Host != w.self:
		return w.elsewhere(c.Host)
	case w.roles[c.Name] != nil:
		return usage("role %q exists already", c.Name)
	case c.Isolation == "hyperv":
		return unsupported("container %s is in a utility VM, in which there is no probe", c.Name)
	case len(c.Endpoints) == 0 && c.Shares == "":
		return unsupported("container %s runs without endpoints: its runtime is no part of this backend", c.Name)
	}
	r := &hostRole{name: c.Name}
	if c.Shares != "" {
		other := w.roles[c.Shares]
		if other == nil {
			return usage("container %s shares the compartment of %q, which is no container", c.Name, c.Shares)
		}
		r.addrs, r.probe, r.shared = other.addrs, other.probe, true
	} else if !c.NoAttach {
		if err := w.attach(ctx, r, c); err != nil {
			return err
		}
	}
	w.roles[c.Name] = r
	w.order = append(w.order, c.Name)
	return nil
}

// attach joins the endpoints to a namespace and waits until the compartment
// has their addresses.
func (w *hostWorld) attach(ctx context.Context, r *hostRole, c backends.Container) error {
	start := w.d.now()
	ns, err := join(w.guard.do, c.Namespace, c.Endpoints)
	if err != nil || w.opt.DryRun != nil {
		return err
	}
	for _, ep := range c.Endpoints {
		addrs, err := w.addresses(ep)
		if err != nil {
			return err
		}
		r.addrs = append(r.addrs, addrs...)
	}
	if c.NoStart {
		return nil
	}
	id, err := w.compartment(ctx, ns, w.d.tag.prefix()+r.name)
	if err != nil {
		return err
	}
	if r.probe, err = w.d.startProbe(id, w.wake); err != nil {
		return err
	}
	for _, a := range r.addrs {
		m, err := r.probe.ask(ctx, probeRequest{Do: probeReady, Src: a, Timeout: readyWithin})
		if err != nil || !m.OK {
			return errors.Join(fmt.Errorf("container %s: compartment %d has %s", r.name, id, m.Detail), err, r.probe.close())
		}
	}
	w.measure("endpoint.ready", w.d.now().Sub(start))
	return nil
}

// addresses are those of an endpoint.
func (w *hostWorld) addresses(endpoint string) ([]netip.Addr, error) {
	res, err := w.guard.do(backends.HCNOp{Kind: "endpoint", Verb: "query", ID: endpoint})
	var d struct {
		MacAddress       string
		IpConfigurations []struct{ IpAddress string }
	}
	if err == nil {
		err = json.Unmarshal(res.Document, &d)
	}
	if mac, merr := wire.ParseMAC(d.MacAddress); merr == nil {
		w.macs[mac] = true
	}
	var out []netip.Addr
	for _, c := range d.IpConfigurations {
		if a, perr := netip.ParseAddr(c.IpAddress); perr == nil {
			out = append(out, a)
		}
	}
	return out, err
}

// owns reports whether a MAC address is the machine's or a container's.
func (w *hostWorld) owns(mac []byte) bool {
	if len(mac) != len(wire.MAC{}) {
		return false
	}
	return w.macs[wire.MAC(mac)] || w.d.capture.owns(mac)
}

// compartment starts a container in a namespace, as far as HNS is concerned,
// and waits for the network compartment that this makes (rule CMP-07).
func (w *hostWorld) compartment(ctx context.Context, ns, container string) (uint32, error) {
	start := w.d.now()
	if _, err := w.guard.do(backends.HCNOp{Kind: "namespace", Verb: "modify", ID: ns, Body: containerRequest("Add", container)}); err != nil {
		return 0, err
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		res, err := w.guard.do(backends.HCNOp{Kind: "namespace", Verb: "query", ID: ns})
		var d struct{ NamespaceId uint32 }
		if err == nil {
			err = json.Unmarshal(res.Document, &d)
		}
		switch took := w.d.now().Sub(start); {
		case err != nil:
			return 0, err
		case d.NamespaceId != 0:
			w.measure("namespace.compartment", took)
			return d.NamespaceId, nil
		case took > readyWithin:
			return 0, fmt.Errorf("namespace %s has no compartment after %v: %s", ns, took, res.Document)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Set knows what can be done to a container.
func (w *hostWorld) Set(_ context.Context, s backends.Setting) error {
	r := w.roles[s.Node]
	_, away := w.absent[s.Node]
	switch {
	case r == nil && s.Node != w.self && !away:
		return usage("%s: no role %q", s.Name, s.Node)
	case s.Name == "container.stop" && r != nil:
		if r.probe == nil {
			return nil
		}
		p := r.probe
		r.probe = nil
		return p.close()
	case !strings.Contains(s.Name, ".") && s.Name != "socket":
		return usage("unknown setting %q", s.Name)
	}
	if !slices.Contains(settings, s.Name) {
		return usage("unknown setting %q", s.Name)
	}
	return unsupported("setting %s is the model's", s.Name)
}

// settings are the names that scenarios may use; none of them can be carried
// out on somebody's machine.
var settings = []string{
	"port.spoofing", "port.dhcpguard", "port.routerguard", "port.storm", "port.vlan", "port.mirror", "port.acl", "port.extacl",
	"nat.filtering", "nat.timers", "nat.sessions", "ports.exclude", "ports.dynamic", "socket", "outer.spoofing", "outer.cas", "outer.acl",
	"container.attach", "container.detach", "container.start", "container.stop", "hns.restart", "hns.stop", "hns.start", "host.reboot", "firewall.profile",
}

// Advance lets real time pass.
func (w *hostWorld) Advance(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return usage("time does not run backwards: advance %v", d)
	}
	if w.opt.DryRun != nil {
		return w.say("wait %v", d)
	}
	if err := pass(ctx, d); err != nil {
		return err
	}
	return w.collect()
}

// say prints a line of a dry run.
func (w *hostWorld) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(w.opt.DryRun, "dry run: "+format+"\n", args...); err != nil {
		return fmt.Errorf("--dry-run: %w", err)
	}
	return nil
}

// Now is the time since the world was opened.
func (w *hostWorld) Now() time.Duration { return w.d.now().Sub(w.start) }

// Observations are what probes and the capture have reported.
func (w *hostWorld) Observations() []backends.Observation { return w.seen }

// Trace is empty: Windows does not explain itself.
func (w *hostWorld) Trace(uint64) []string { return nil }

// EventHash is empty: nothing repeats here.
func (w *hostWorld) EventHash() string { return "" }

// Dump knows "drops h1": what pktmon has counted, with the most recent reason
// of each counter. It is best effort, and no observation.
func (w *hostWorld) Dump(_ context.Context, what string) (string, error) {
	if view, role, _ := strings.Cut(what, " "); view == "drops" && role == w.self && w.tapped {
		list, err := w.d.capture.drops()
		if err != nil {
			return "", err
		}
		var b strings.Builder
		b.WriteString("best effort: counters of pktmon, each with its most recent reason\n")
		for _, d := range list {
			fmt.Fprintf(&b, "%s, %s: %d packets, %s\n", d.Component, d.Counter, d.Packets, d.Reason)
		}
		return b.String(), nil
	}
	return "", unsupported("show %s is a view of the model's inside", what)
}

// Invariants are the model's.
func (w *hostWorld) Invariants() []string { return nil }

// Close ends the probes and deletes what the run has made.
func (w *hostWorld) Close(context.Context) ([]string, error) {
	var err error
	for _, name := range w.order {
		if r := w.roles[name]; r.probe != nil && !r.shared {
			err = errors.Join(err, r.probe.close())
		}
	}
	if r := w.roles[w.self]; r != nil && r.probe != nil && !slices.Contains(w.order, w.self) {
		err = errors.Join(err, r.probe.close())
	}
	if w.tapped {
		err = errors.Join(err, w.d.capture.discard())
	}
	left, cerr := w.guard.clean()
	err = errors.Join(err, cerr)
	if w.keep != nil {
		err = errors.Join(err, w.keep.close())
	}
	return left, err
}

// mac is what stands in frames that probes report: sockets do not see the
// Ethernet header.
var mac wire.MAC
