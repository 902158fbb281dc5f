package linux

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// world is a lab of network namespaces. Everything in it belongs to anonymous
// namespaces that its handles keep alive.
type world struct {
	cfg        backends.WorldConfig
	profile    hcn.Profile
	fabric     *space // one bridge per segment
	segments   map[string]string
	nodes      map[string]*node
	order      []string
	containers map[string]*container
	started    []*container
	spaces     []*space
	plugs      int               // wires so far, for names
	wires      map[string]string // of a part: the machine's interface by segment
	taps       []string          // of the fabric, on those interfaces
	far        []*node           // routers of other parts, without a namespace here

	time   clock
	loop   loop
	seen   []backends.Observation
	ids    uint64
	ipID   uint16
	behind int // stimuli after which nobody waited
	ephem  uint16
	broken []string // invariants that do not hold
	inject bool     // a stimulus had broken checksums on purpose
	rig    *rig     // under load
}

// node is a host, router or external machine.
type node struct {
	spec  backends.Node
	space *space
	nics  []*nic
	host  *host // of hosts
}

// nic is a node's interface on a segment.
type nic struct {
	name    string // as the scenario says
	dev     string // in the node's namespace
	plug    string // the other end, in the fabric
	mac     wire.MAC
	addrs   []netip.Prefix
	mtu     int
	hasGW   bool
	stack   string // the interface with the node's addresses: dev, or the bridge of a host's switch
	segment string
}

// container is a container role.
type container struct {
	name      string
	host      *host
	ns        *namespace
	endpoints []string
}

func open(_ context.Context, cfg backends.WorldConfig) (backends.World, error) {
	p, err := hcn.ProfileByName(cfg.Profile)
	if err != nil {
		return nil, usage("%v", err)
	}
	if err := setKnobs(&p, cfg.Knobs); err != nil {
		return nil, err
	}
	w := &world{cfg: cfg, profile: p, segments: map[string]string{}, nodes: map[string]*node{},
		containers: map[string]*container{}, ephem: firstDynamicPort}
	if w.time, err = newClock(cfg.TimeScale, p.Knobs); err != nil {
		return nil, err
	}
	if w.fabric, err = w.newSpace("the fabric"); err != nil {
		return nil, w.abandon(err)
	}
	return w, nil
}

// honoured are the knobs that this backend has; others keep the profile's
// value.
var honoured = []string{"loopbackPublish", "natHairpin", "natTimerIcmp", "natTimerUdp", "natTimerTcpTransient", "natTimerTcpEstablished",
	"natClash", "vfpNatIdle", "overlayMacPrefix", "aclTie", "aclAnyMeansDeny", "hostToClusterIP", "addressInUse", "vsidTaken"}

// setKnobs sets knobs of the contract, as far as this backend has them.
func setKnobs(p *hcn.Profile, knobs map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(knobs)) {
		before := p.Knobs
		if err := p.Knobs.Set(name, knobs[name]); err != nil {
			return usage("%v", err)
		}
		if p.Knobs != before && !slices.Contains(honoured, name) {
			return unsupported("knob %s=%s has no counterpart on the Linux backend", name, knobs[name])
		}
	}
	return nil
}

// abandon closes a world that could not be made.
func (w *world) abandon(err error) error {
	_, cerr := w.Close(context.Background())
	return errors.Join(err, cerr)
}

func (w *world) newSpace(name string) (*space, error) {
	s, err := newSpace(name)
	if err != nil {
		return nil, err
	}
	w.spaces = append(w.spaces, s)
	if w.time.scale > 1 {
		err = s.hasten(&w.time)
	}
	return s, err
}

// closeSpace gives a namespace back before the world ends.
func (w *world) closeSpace(s *space) {
	w.spaces = without(w.spaces, func(o *space) bool { return o == s })
	s.close()
}

// HCN carries out a control-plane operation: in the host's store, then in the
// kernel.
func (w *world) HCN(_ context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	nd := w.nodes[op.Host]
	if nd == nil || nd.host == nil {
		return backends.HCNResult{}, usage("no Windows host %q", op.Host)
	}
	res, err := nd.host.store.do(op)
	if err == nil && op.Verb != "query" && op.Verb != "enumerate" && op.Verb != "GET" {
		err = nd.host.apply()
	}
	return res, errors.Join(err, w.rest())
}

// AddContainer makes a container role.
func (w *world) AddContainer(_ context.Context, c backends.Container) error {
	nd := w.nodes[c.Host]
	if nd == nil || nd.host == nil {
		return usage("no Windows host %q", c.Host)
	}
	if w.nodes[c.Name] != nil || w.containers[c.Name] != nil {
		return usage("role %q exists already", c.Name)
	}
	ct := &container{name: c.Name, host: nd.host, endpoints: c.Endpoints}
	if c.Namespace != "" {
		if ct.ns = nd.host.store.namespace(c.Namespace); ct.ns == nil {
			return hcn.Errorf(hcn.ErrElementNotFound, "no namespace has the id %q", c.Namespace)
		}
	}
	if c.Shares != "" {
		o := w.containers[c.Shares]
		if o == nil || o.ns == nil {
			return usage("container %s shares the compartment of %q, which is no attached container", c.Name, c.Shares)
		}
		ct.ns, ct.endpoints = o.ns, o.endpoints
	}
	if !c.NoAttach {
		if err := w.attach(ct); err != nil {
			return err
		}
		if !c.NoStart {
			ct.ns.hyperv = c.Isolation == "hyperv"
			if err := w.start(ct); err != nil {
				return err
			}
		}
	}
	w.containers[c.Name] = ct
	w.started = append(w.started, ct)
	return w.rest()
}

// attach joins the container's endpoints to its namespace, which is made if
// there is none (CMP-06).
func (w *world) attach(ct *container) error {
	st := ct.host.store
	if ct.ns == nil {
		id, err := st.createNamespace("", []byte(`{"Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`))
		if err != nil {
			return err
		}
		ct.ns = st.namespace(id)
	}
	for _, id := range ct.endpoints {
		e := st.endpoint(id)
		if e == nil {
			return hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", id)
		}
		if e.ns != nil {
			continue // joined when it was created
		}
		if err := st.join(ct.ns.doc.ID, e); err != nil {
			return err
		}
	}
	return ct.host.apply()
}

// start makes the compartment and, with it, the switch ports (CMP-07).
func (w *world) start(ct *container) error {
	if ct.ns == nil {
		return usage("container %s is not attached", ct.name)
	}
	if !slices.Contains(ct.ns.containers, ct.name) {
		ct.ns.containers = append(ct.ns.containers, ct.name)
	}
	return ct.host.apply()
}

func (w *world) stop(ct *container) error {
	if ct.ns != nil {
		ct.ns.containers = without(ct.ns.containers, func(c string) bool { return c == ct.name })
	}
	return ct.host.apply()
}

func (w *world) detach(ct *container) error {
	for _, id := range ct.endpoints {
		if e := ct.host.store.endpoint(id); e != nil {
			ct.host.store.leave(e)
		}
	}
	return ct.host.apply()
}

// Set changes something that is no document.
func (w *world) Set(_ context.Context, s backends.Setting) error {
	verbs := map[string]func(*container) error{
		"container.attach": w.attach, "container.detach": w.detach, "container.start": w.start, "container.stop": w.stop}
	settings := map[string]func(*host, string) error{"nat.timers": (*host).setTimers}
	ct, nd := w.containers[s.Node], w.nodes[s.Node]
	verb, setting := verbs[s.Name], settings[s.Name]
	switch {
	case ct == nil && nd == nil:
		return usage("%s: no role %q", s.Name, s.Node)
	case verb != nil && ct == nil:
		return usage("%s: %q is no container", s.Name, s.Node)
	case setting != nil && (nd == nil || nd.host == nil):
		return usage("%s is a setting of a Windows host; %q is none", s.Name, s.Node)
	case verb != nil:
		return errors.Join(verb(ct), w.rest())
	case setting != nil:
		return errors.Join(setting(nd.host, s.Value), w.rest())
	case slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(s.Name, prefix) }):
		return unsupported("setting %s has no counterpart on the Linux backend", s.Name)
	}
	return usage("unknown setting %q: expected container.attach, container.detach, container.start, container.stop or nat.timers", s.Name)
}

// foreign are the beginnings of settings that other backends have.
var foreign = []string{"port.", "outer.", "ports.", "nat.", "hns.", "host.", "firewall.", "socket"}

// role is the stack of a role: its namespace and interface.
func (w *world) role(name string) (*space, string, error) {
	if nd := w.nodes[name]; nd != nil {
		return nd.space, nd.nics[0].stack, nil
	}
	ct := w.containers[name]
	if ct == nil {
		return nil, "", usage("no role %q", name)
	}
	s := ct.host.compartments[ct.ns]
	if ct.ns == nil || s == nil {
		return nil, "", unsupported("container %s has no compartment yet, from which the kernel could send", name)
	}
	return s, "eth0", nil
}

// occupant is the container whose compartment a namespace is: the first one
// that started in it.
func (w *world) occupant(h *host, ns *namespace) string {
	for _, ct := range w.started {
		if ct.host == h && ct.ns == ns {
			return ct.name
		}
	}
	return ""
}

// owner is the container that a switch port belongs to.
func (w *world) owner(h *host, endpoint string) string {
	for _, ct := range w.started {
		for _, id := range ct.endpoints {
			if ct.host == h && hcn.SameID(id, endpoint) {
				return ct.name
			}
		}
	}
	return ""
}

func (w *world) Observations() []backends.Observation { return w.seen }

// EventHash is empty: what the kernel does has its own time.
func (w *world) EventHash() string { return "" }

// Trace is empty: the kernel does not say which way a packet took.
func (w *world) Trace(uint64) []string { return nil }

func (w *world) Invariants() []string { return w.broken }

// SetLink changes the wire of a node's interface.
func (w *world) SetLink(_ context.Context, l backends.Link) error {
	if w.nodes[l.Node] == nil {
		return usage("no node %q: links belong to %s", l.Node, strings.Join(w.order, ", "))
	}
	return unsupported("impaired links have no counterpart on the Linux backend")
}

// Dump has no views that are comparable with the model's.
func (w *world) Dump(_ context.Context, what string) (string, error) {
	return "", unsupported("view %q shows what the model has inside; the kernel has something else", what)
}

// Close takes the world down. Namespaces that the kernel keeps would be
// reported; an anonymous one ends with its last handle.
func (w *world) Close(context.Context) ([]string, error) {
	w.loop.close()
	w.rig.close()
	err := w.untap()
	var left []string
	for _, s := range w.spaces {
		s.close()
		if s.handle.IsOpen() {
			left = append(left, fmt.Sprintf("namespace %s", s.name))
		}
	}
	w.spaces = nil
	return left, err
}
