package simulated

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
)

// nodeConfig translates a router or an external machine.
func nodeConfig(n backends.Node) fabric.NodeConfig {
	c := fabric.NodeConfig{Name: n.Name, Refuse: n.Options["refuse"] == "on"}
	for _, i := range n.Ifaces {
		c.Ifaces = append(c.Ifaces, fabric.IfaceConfig{
			Name: i.Name, Segment: segment(i), MAC: i.MAC, Addrs: i.Addrs, Gateway: i.Gateway, MTU: i.MTU, VLAN: i.VLAN,
		})
	}
	for _, r := range n.Routes {
		c.Routes = append(c.Routes, fabric.Route{Dst: r.Dst, Via: r.Via})
	}
	return c
}

// addRouter adds a router. Hosts that were declared before it and have no
// gateway take it as theirs, as external machines do.
func (w *world) addRouter(n backends.Node) (*node, error) {
	if len(n.Options) > 0 {
		return nil, usage("router %s: routers have no options", n.Name)
	}
	r, err := w.sim.Net.AddRouter(nodeConfig(n))
	if err != nil {
		return nil, usage("%v", err)
	}
	return &node{stack: r.Stack, nics: r.NICs()}, nil
}

// addExternal adds a plain machine. Options:
//
//	dhcp=FIRST-LAST   serve these addresses, with the interface's prefix
//	refuse=on         closed ports answer
//	icmp=off          echo requests are not answered
func (w *world) addExternal(n backends.Node) (*node, error) {
	e, err := w.sim.Net.AddExternal(nodeConfig(n))
	if err != nil {
		return nil, usage("%v", err)
	}
	for k, v := range n.Options {
		switch k {
		case "dhcp", "dhcp-server":
			if err := serveDHCP(e, n, v); err != nil {
				return nil, err
			}
		case "refuse":
		case "icmp":
			e.Stack().SetEchoReply(v != "off")
		default:
			return nil, usage("external %s: unknown option %q: expected dhcp=FIRST-LAST, refuse=on or icmp=off", n.Name, k)
		}
	}
	return &node{stack: e.Stack, nics: e.NICs()}, nil
}

// leaseTime of the DHCP server.
const leaseTime = 8 * time.Hour

func serveDHCP(e *fabric.External, n backends.Node, pool string) error {
	lo, hi, ok := strings.Cut(pool, "-")
	first, err1 := netip.ParseAddr(lo)
	last, err2 := netip.ParseAddr(hi)
	if !ok || err1 != nil || err2 != nil {
		return usage("external %s: dhcp=%q: expected FIRST-LAST addresses", n.Name, pool)
	}
	_, err := e.Stack().ServeDHCP(e.Stack().Interfaces()[0], ipstack.DHCPServerConfig{
		First: first, Last: last, Router: n.Ifaces[0].Gateway, Lease: leaseTime,
	})
	if err != nil {
		return usage("external %s: %v", n.Name, err)
	}
	return nil
}

// dhcp runs a DHCP client on the role's first interface until it has a lease
// or the time is up.
func (w *world) dhcp(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	ifs := st.Interfaces()
	if len(ifs) == 0 {
		return backends.Outcome{}, usage("dhcp: %s has no interface", s.Role)
	}
	c := st.StartDHCP(w.now(), ifs[0], nil)
	done := func() bool { _, ok := c.Lease(); return ok || c.Err() != nil }
	if err := w.until(s.Timeout, done); err != nil {
		return backends.Outcome{}, err
	}
	l, ok := c.Lease()
	switch {
	case ok:
		return backends.Outcome{OK: true, Addr: l.Addr.Addr(), Detail: fmt.Sprintf("lease %s from %s", l.Addr, l.Server)}, w.settle()
	case c.Err() != nil:
		return backends.Outcome{Detail: c.Err().Error()}, w.settle()
	}
	c.Stop()
	return backends.Outcome{Detail: "timeout"}, w.settle()
}
