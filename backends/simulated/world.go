package simulated

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

// world adapts one sim.World.
type world struct {
	cfg        backends.WorldConfig
	sim        *sim.World
	rec        *recorder
	nodes      map[string]*node
	order      []string
	containers map[string]*container
	started    []*container // in order of creation
	sockets    map[string]func()
	ipID       uint16
	launcher   *wine.Run       // how programs are started
	lent       *standin.Server // serves the program that runs
}

// node is a host, router or external machine.
type node struct {
	kind    backends.NodeKind
	host    *sim.Host    // of a Windows host
	machine *fabric.Host // of a node that runs switches
	stack   func() *ipstack.Stack
	nics    []*fabric.NIC
	spec    backends.Node
}

// container is a container role: a compartment of a host.
type container struct {
	name      string
	host      *sim.Host
	namespace string
	endpoints []string // none: those that HNS says are plugged into it
	isolation hns.Isolation
	running   bool
}

// bare reports whether a container has neither namespace nor endpoints of its
// own: what it uses, v1 attach has plugged into it.
func (c *container) bare() bool { return c.namespace == "" && len(c.endpoints) == 0 }

func newWorld(cfg backends.WorldConfig) (*world, error) {
	w := &world{cfg: cfg, nodes: map[string]*node{}, containers: map[string]*container{}, sockets: map[string]func(){}}
	w.rec = newRecorder(w, cfg.Tracing)
	sw, err := sim.New(sim.Config{
		Seed: cfg.Seed, Profile: cfg.Profile, Knobs: cfg.Knobs, NoFlowCache: cfg.NoFlowCache,
		Trace: w.rec.traceOf, Observer: w.rec.observer(), Notify: w.notify,
	})
	if err != nil {
		return nil, usage("%v", err)
	}
	w.sim = sw
	return w, nil
}

func usage(format string, args ...any) error {
	return &backends.UsageError{Msg: fmt.Sprintf(format, args...)}
}

// AddNode declares a host, router or external host.
func (w *world) AddNode(_ context.Context, n backends.Node) error {
	if w.nodes[n.Name] != nil || w.containers[n.Name] != nil {
		return usage("role %q exists already", n.Name)
	}
	if len(n.Ifaces) == 0 {
		return usage("%s %q needs an interface", n.Kind, n.Name)
	}
	if err := w.place(&n); err != nil {
		return err
	}
	var nd *node
	var err error
	switch n.Kind {
	case backends.HostNode:
		nd, err = w.addHost(n)
	case backends.RouterNode:
		nd, err = w.addRouter(n)
	case backends.ExternalNode:
		nd, err = w.addExternal(n)
	case backends.PhysicalNode, backends.MuxNode:
		nd, err = w.addMachine(n)
	default:
		return usage("unknown kind of node %q", n.Kind)
	}
	if err != nil {
		return err
	}
	nd.kind, nd.spec = n.Kind, n
	w.nodes[n.Name] = nd
	w.order = append(w.order, n.Name)
	return nil
}

func segment(i backends.Iface) string {
	if i.Segment == "" {
		return "lan"
	}
	return i.Segment
}

// gateway is the interface's gateway, by default the router of its segment
// (the first one that was declared).
func (w *world) gateway(i backends.Iface) netip.Addr {
	if i.Gateway.IsValid() {
		return i.Gateway
	}
	for _, name := range w.order {
		nd := w.nodes[name]
		if nd.kind != backends.RouterNode {
			continue
		}
		for _, ri := range nd.spec.Ifaces {
			if segment(ri) != segment(i) || ri.VLAN != i.VLAN {
				continue
			}
			for _, ra := range ri.Addrs {
				for _, a := range i.Addrs {
					if ra.Contains(a.Addr()) && ra.Addr() != a.Addr() {
						return ra.Addr()
					}
				}
			}
		}
	}
	return netip.Addr{}
}

func (w *world) addHost(n backends.Node) (*node, error) {
	i := n.Ifaces[0]
	outer, err := outerConfig(n)
	if err != nil {
		return nil, err
	}
	h, err := w.sim.AddHost(sim.HostConfig{
		Name: n.Name, Segment: segment(i), Adapter: i.Name, MAC: i.MAC, Addrs: i.Addrs,
		Gateway: w.gateway(i), MTU: i.MTU, VLAN: i.VLAN, Outer: outer,
	})
	if err != nil {
		return nil, usage("host %s: %v", n.Name, err)
	}
	for _, r := range n.Routes {
		if err := h.AddRoute(fabric.Route{Dst: r.Dst, Via: r.Via}); err != nil {
			return nil, usage("%s: route %s via %s: %v", n.Name, r.Dst, r.Via, err)
		}
	}
	return &node{host: h, machine: h.Host, stack: h.Stack, nics: []*fabric.NIC{h.NIC("")}}, nil
}

// SetLink impairs a node's wire.
func (w *world) SetLink(_ context.Context, l backends.Link) error {
	nd := w.nodes[l.Node]
	if nd == nil {
		return usage("no node %q: links belong to %s", l.Node, strings.Join(w.order, ", "))
	}
	for _, nic := range nd.nics {
		if l.Iface != "" && nic.Name() != l.Iface {
			continue
		}
		c := nic.Link()
		c.Delay, c.Loss, c.Reorder, c.RateBps, c.Down = l.Delay, l.Loss, l.Reorder, l.RateBps, l.Down
		nic.SetLink(c)
		if l.MTU > 0 {
			nic.SetMTU(l.MTU)
		}
		return nil
	}
	return usage("node %s has no interface %q", l.Node, l.Iface)
}

// HCN carries out a control-plane operation.
func (w *world) HCN(_ context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	nd := w.nodes[op.Host]
	if nd == nil || nd.host == nil {
		return backends.HCNResult{}, usage("no Windows host %q", op.Host)
	}
	var res backends.HCNResult
	var err error
	if op.Kind == "hnscall" {
		res.Document, err = nd.host.HNS.HNSRequest(op.Verb, op.Path, op.Body)
	} else {
		res.ID, res.Document, err = nd.host.HNS.Do(hns.Kind(op.Kind), op.Verb, op.ID, op.Parent, op.Body)
	}
	if serr := w.settle(); serr != nil {
		return res, serr
	}
	return res, err
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
	ct := &container{name: c.Name, host: nd.host, namespace: c.Namespace, endpoints: c.Endpoints, isolation: hns.ProcessIsolated}
	if c.Isolation == "hyperv" {
		ct.isolation = hns.HyperVIsolated
	}
	if c.Shares != "" {
		o := w.containers[c.Shares]
		if o == nil || o.namespace == "" {
			return usage("container %s shares the compartment of %q, which is no attached container", c.Name, c.Shares)
		}
		ct.namespace, ct.endpoints = o.namespace, o.endpoints
	}
	if !c.NoAttach {
		if err := w.attach(ct, c.NoStart); err != nil {
			return err
		}
	}
	w.containers[c.Name] = ct
	w.started = append(w.started, ct)
	return w.settle()
}

// attach joins the endpoints to a namespace, which is made when neither the
// container nor its first endpoint has one yet, and starts the container in it
// (rules CMP-06 to CMP-08). A bare one runs, and no more.
func (w *world) attach(ct *container, noStart bool) error {
	svc := ct.host.HNS
	if ct.namespace == "" && len(ct.endpoints) > 0 {
		ct.namespace = ct.host.NamespaceOf(ct.endpoints[0])
	}
	if ct.namespace == "" && !ct.bare() {
		id, err := svc.CreateNamespace("", []byte(`{"Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`))
		if err != nil {
			return err
		}
		ct.namespace = id
	}
	for _, ep := range ct.endpoints {
		if ns := ct.host.NamespaceOf(ep); ns != "" {
			continue // joined when it was created, or by the container whose compartment this is
		}
		if err := svc.ModifyNamespace(ct.namespace, namespaceRequest("Add", ep)); err != nil {
			return err
		}
	}
	if noStart {
		return nil
	}
	return w.start(ct)
}

// detach takes the endpoints out of the namespace again.
func (w *world) detach(ct *container) error {
	for _, ep := range ct.endpoints {
		if err := ct.host.HNS.ModifyNamespace(ct.namespace, namespaceRequest("Remove", ep)); err != nil {
			return err
		}
	}
	return nil
}

func namespaceRequest(verb, endpoint string) []byte {
	return fmt.Appendf(nil, `{"ResourceType":"Endpoint","RequestType":%q,"Settings":{"EndpointId":%q}}`, verb, endpoint)
}

// stack is the IP stack of a role.
func (w *world) stack(role string) (*ipstack.Stack, error) {
	if nd := w.nodes[role]; nd != nil {
		return nd.stack(), nil
	}
	c := w.containers[role]
	if c == nil {
		return nil, usage("no role %q", role)
	}
	comp := w.compartment(c)
	if comp == nil {
		return nil, usage("container %s has no network compartment: it was not started, or has no endpoint", role)
	}
	return comp.Stack, nil
}

func (w *world) compartment(c *container) *fabric.Compartment {
	st := c.host.State()
	if st == nil {
		return nil
	}
	if ns := st.NamespaceByID(c.namespace); ns != nil && ns.Compartment != 0 {
		return c.host.Compartment(ns.Compartment)
	}
	for _, e := range st.Endpoints {
		if pluggedByV1(e, c) {
			return c.host.Compartment(e.Compartment)
		}
	}
	return nil
}

// pluggedByV1 reports whether a v1 attach has plugged the endpoint into the
// container.
func pluggedByV1(e *hns.Endpoint, c *container) bool {
	return e.AttachedTo == hns.ToContainer && e.Namespace == "" && slices.Contains(e.Containers, c.name)
}

// endpointsOf are the endpoints that a container uses.
func endpointsOf(c *container) []string {
	st := c.host.State()
	if len(c.endpoints) > 0 || st == nil {
		return c.endpoints
	}
	if ns := st.NamespaceByID(c.namespace); ns != nil {
		return ns.Endpoints
	}
	var ids []string
	for _, e := range st.Endpoints {
		if pluggedByV1(e, c) {
			ids = append(ids, e.Doc.ID)
		}
	}
	return ids
}

// settle runs the world until nothing is in flight. A forwarding loop is a
// finding about the model, not about the request: it becomes an invariant
// violation.
func (w *world) settle() error { return w.runaway(w.sim.Loop().Settle()) }

func (w *world) runaway(err error) error {
	var loop *fabric.RunawayError
	if errors.As(err, &loop) {
		w.rec.runaway = true
		w.rec.violation(loopInvariant, "%v", loop)
		return nil
	}
	return err
}

// Advance lets virtual time pass.
func (w *world) Advance(_ context.Context, d time.Duration) error {
	if d < 0 {
		return usage("time does not run backwards: advance %v", d)
	}
	if err := w.runaway(w.sim.Loop().Advance(d)); err != nil {
		return err
	}
	return w.settle()
}

func (w *world) Now() time.Duration { return time.Duration(w.sim.Loop().Now()) }

func (w *world) Observations() []backends.Observation { return w.rec.seen }

func (w *world) EventHash() string { return w.sim.Loop().Hash() }

// Close takes everything down. Containers stop, then networks go, which takes
// their endpoints along; what is still there afterwards is reported.
func (w *world) Close(context.Context) ([]string, error) {
	var left []string
	for _, h := range w.sim.Hosts() {
		left = append(left, h.Teardown()...)
	}
	return left, w.settle()
}
