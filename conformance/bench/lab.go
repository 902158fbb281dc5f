package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// lab is a world under construction. Its methods do what lines of a scenario
// do; after the first error they do nothing.
type lab struct {
	ctx context.Context
	w   backends.World
	mtu int
	ids map[string]string // of objects, by the name they have here
	err error
	// optional settings that the backend does not have
	missing []string
}

// openLab opens a world for a path. mtu is that of every wire, in bytes.
func openLab(ctx context.Context, b backends.Backend, cfg backends.WorldConfig, mtu int) (*lab, error) {
	w, err := b.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &lab{ctx: ctx, w: w, mtu: mtu, ids: map[string]string{}}, nil
}

func (l *lab) close() {
	if l != nil && l.w != nil {
		_, _ = l.w.Close(l.ctx)
	}
}

func (l *lab) fail(what string, err error) {
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("%s: %w", what, err)
	}
}

// node adds a node with one interface, or more for routers: addr, segment, and
// so on in turn.
func (l *lab) node(kind backends.NodeKind, name string, mac wire.MAC, routes []backends.Route, addrs ...string) {
	if l.err != nil {
		return
	}
	n := backends.Node{Kind: kind, Name: name, Routes: routes}
	for i := 0; i < len(addrs); i += 2 {
		iface := backends.Iface{Name: addrs[i+1], Segment: addrs[i+1], MTU: l.mtu, Addrs: []netip.Prefix{netip.MustParsePrefix(addrs[i])}}
		if i == 0 {
			iface.MAC = mac
		}
		if kind == backends.HostNode {
			iface.Name = "Ethernet"
		}
		n.Ifaces = append(n.Ifaces, iface)
	}
	l.fail(name, l.w.AddNode(l.ctx, n))
}

// topology is what all paths have: a router, an outside machine and hosts.
func (l *lab) topology(hosts int, podRoutes bool) {
	l.node(backends.RouterNode, "r", wire.MAC{0, 0, 0x5e, 0, 1, 1}, nil, "10.127.130.1/24", "lan", "203.0.113.1/24", "wan")
	l.node(backends.ExternalNode, "x", wire.MAC{}, nil, "203.0.113.80/24", "wan")
	for i := range hosts {
		var routes []backends.Route
		if podRoutes {
			routes = []backends.Route{{Dst: netip.MustParsePrefix(fmt.Sprintf("10.244.%d.0/24", 2-i)), Via: netip.MustParseAddr(fmt.Sprintf("10.127.130.%d", 35+3*(1-i)))}}
		}
		l.node(backends.HostNode, fmt.Sprintf("h%d", i+1), wire.MAC{0, 0x15, 0x5d, 0x82, 0, byte(0x23 + 3*i)}, routes,
			fmt.Sprintf("10.127.130.%d/24", 35+3*i), "lan")
	}
}

// network creates a network.
func (l *lab) network(host, name, doc string) { l.create(host, "network", "", name, doc) }

// remote creates an endpoint that nobody here uses.
func (l *lab) remote(host, network, name, doc string) {
	l.create(host, "endpoint", network, name, doc)
}

// pod creates an endpoint and a container that uses it.
func (l *lab) pod(host, network, name, doc string) {
	l.create(host, "endpoint", network, name, doc)
	if l.err == nil {
		l.fail("container "+name, l.w.AddContainer(l.ctx, backends.Container{Name: name, Host: host, Endpoints: []string{l.ids[name]}}))
	}
}

// hostEndpoint creates an endpoint in the host's own compartment.
func (l *lab) hostEndpoint(host, network, name, doc string) {
	l.create(host, "endpoint", network, name, doc)
	if l.err == nil {
		_, err := l.w.HCN(l.ctx, backends.HCNOp{Host: host, Kind: "hnscall", Verb: "POST", Path: "/endpoints/" + l.ids[name] + "/attach",
			Body: json.RawMessage(`{"SystemType":"Host","CompartmentId":1}`)})
		l.fail("attaching "+name, err)
	}
}

// balancer creates a load balancer in front of endpoints; doc has one %s, the
// list of their ids.
func (l *lab) balancer(host, name, doc string, endpoints ...string) {
	var list []string
	for _, e := range endpoints {
		list = append(list, l.ids[e])
	}
	ids, err := json.Marshal(list)
	l.fail(name, err)
	l.create(host, "loadbalancer", "", name, fmt.Sprintf(doc, ids))
}

func (l *lab) create(host, kind, network, name, doc string) {
	if l.err != nil {
		return
	}
	if !json.Valid([]byte(doc)) {
		l.err = fmt.Errorf("%s %s: the document is no JSON: %s", kind, name, doc)
		return
	}
	op := backends.HCNOp{Host: host, Kind: kind, Verb: "create", Parent: l.ids[network], Body: json.RawMessage(doc)}
	res, err := l.w.HCN(l.ctx, op)
	l.fail(kind+" "+name, err)
	l.ids[name] = res.ID
}

// want changes a setting if the backend has it; without it a path carries
// fewer flows.
func (l *lab) want(node, name, value string) {
	if l.err != nil {
		return
	}
	err := l.w.Set(l.ctx, backends.Setting{Node: node, Name: name, Value: value})
	var lacks *backends.UnsupportedError
	if errors.As(err, &lacks) {
		l.missing = append(l.missing, lacks.Error())
		return
	}
	l.fail("set "+name, err)
}

// template sends one datagram and returns the frame with which it left the
// role. It goes twice: the first one may wait for neighbours, and what they
// answer is then known.
func (l *lab) template(role string, src, dst netip.AddrPort) ([]byte, error) {
	if l.err != nil {
		return nil, l.err
	}
	var frame []byte
	for range 2 {
		read := len(l.w.Observations())
		out, err := l.w.Do(l.ctx, backends.Stimulus{Kind: backends.SendPacket, Role: role, Proto: "udp", Src: src, Dst: dst, Payload: make([]byte, 22)})
		if err != nil {
			return nil, err
		}
		if !out.OK {
			return nil, fmt.Errorf("%s cannot send to %s: %s", role, dst, out.Detail)
		}
		for _, o := range l.w.Observations()[read:] {
			var m wire.Meta
			if o.Kind == backends.Sent && o.Role == role && wire.Parse(o.Frame, &m) == wire.OK && m.Proto == wire.ProtoUDP {
				frame = o.Frame
			}
		}
	}
	if frame == nil {
		return nil, fmt.Errorf("%s sent no frame to %s", role, dst)
	}
	return frame, nil
}

// idle is longer than any idle time of flows that a path has.
const idle = 10 * time.Minute
