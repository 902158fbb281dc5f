package simulated

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// dumps are the views that Dump knows, each of one role.
var dumps = map[string]func(*world, string, *node) (string, error){
	"vfp":      dumpVFP,
	"switch":   dumpSwitches,
	"nat":      dumpNAT,
	"ports":    dumpPorts,
	"netstat":  dumpSockets,
	"excluded": dumpPorts,
	"routes":   dumpRoutes,
	"arp":      dumpNeighbors,
	"state":    dumpState,

	"compartments": dumpCompartments,
	"firewall":     dumpFirewall,
}

// Dump prints a view: "vfp h1", "nat h1", "netstat h1", "ports h1",
// "routes co11", "arp co11", "switch h1", "state h1", "compartments h1",
// "firewall h1".
func (w *world) Dump(_ context.Context, what string) (string, error) {
	name, role, _ := strings.Cut(what, " ")
	role = strings.TrimSpace(role)
	f := dumps[name]
	if f == nil {
		return "", usage("show %q: expected vfp, switch, nat, ports, netstat, routes, arp, state, compartments or firewall and a role", name)
	}
	return f(w, role, w.nodes[role])
}

func windows(role string, nd *node) error {
	if nd == nil || nd.host == nil {
		return usage("%q is no Windows host", role)
	}
	return nil
}

func dumpVFP(w *world, role string, nd *node) (string, error) {
	if nd == nil || nd.machine == nil {
		return "", usage("%q runs no switch", role)
	}
	var b strings.Builder
	for _, sp := range nd.machine.Program().Switches {
		sw := nd.machine.Switch(sp.Config.Name)
		for pc := range sp.Config.All() {
			if p := sw.VFP(pc.ID); p != nil {
				fmt.Fprintf(&b, "switch %s port %s\n", sp.Config.Name, w.rec.place(role, "/"+pc.Name))
				if err := p.Dump(&b, w.now()); err != nil {
					return "", err
				}
			}
		}
	}
	return b.String(), nil
}

func dumpSwitches(_ *world, role string, nd *node) (string, error) {
	if nd == nil || nd.machine == nil {
		return "", usage("%q runs no switch", role)
	}
	var b strings.Builder
	for _, sp := range nd.machine.Program().Switches {
		if err := nd.machine.Switch(sp.Config.Name).Dump(&b); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func dumpNAT(w *world, role string, nd *node) (string, error) {
	if err := windows(role, nd); err != nil {
		return "", err
	}
	var b strings.Builder
	err := nd.host.NAT().Dump(&b, w.now())
	return b.String(), err
}

// dumpPorts is "netsh int ipv4 show excludedportrange" for both protocols.
func dumpPorts(_ *world, role string, nd *node) (string, error) {
	if err := windows(role, nd); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range []struct {
		name  string
		proto uint8
	}{{"tcp", wire.ProtoTCP}, {"udp", wire.ProtoUDP}} {
		for _, r := range nd.host.Ports().Excluded(p.proto) {
			_, use, _ := nd.host.Ports().OwnerOf(p.proto, r.Lo)
			fmt.Fprintf(&b, "%s %d-%d %s\n", p.name, r.Lo, r.Hi, use)
		}
	}
	return b.String(), nil
}

// view makes a dump of a role's IP stack.
func (w *world) view(role string, line func(*ipstack.Stack) []string) (string, error) {
	st, err := w.stack(role)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, l := range line(st) {
		b.WriteString(l + "\n")
	}
	return b.String(), nil
}

func dumpSockets(w *world, role string, _ *node) (string, error) {
	return w.view(role, func(s *ipstack.Stack) (out []string) {
		for _, k := range s.Sockets() {
			proto := "udp"
			if k.Proto == wire.ProtoTCP {
				proto = "tcp"
			}
			state := k.State.String()
			if proto == "udp" {
				state = ""
			}
			out = append(out, strings.TrimRight(fmt.Sprintf("%s %s %s %s", proto, socketEnd(k.Local), socketEnd(k.Remote), state), " "))
		}
		return out
	})
}

// socketEnd writes an address and a port as netstat does; no address is any.
func socketEnd(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		a = netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())
	}
	return a.String()
}

func dumpRoutes(w *world, role string, _ *node) (string, error) {
	return w.view(role, func(s *ipstack.Stack) (out []string) {
		for _, r := range s.Routes() {
			via := "on-link"
			if r.Via.IsValid() {
				via = r.Via.String()
			}
			out = append(out, fmt.Sprintf("%s via %s dev %s", r.Dst, via, r.Iface))
		}
		return out
	})
}

func dumpNeighbors(w *world, role string, _ *node) (string, error) {
	return w.view(role, func(s *ipstack.Stack) (out []string) {
		for _, n := range s.Neighbors() {
			out = append(out, fmt.Sprintf("%s %s", n.Addr, n.MAC))
		}
		return out
	})
}

// dumpState lists the objects of a host's HNS, one a line.
func dumpState(_ *world, role string, nd *node) (string, error) {
	if err := windows(role, nd); err != nil {
		return "", err
	}
	st := nd.host.HNS.State()
	var b strings.Builder
	for _, n := range st.Networks {
		fmt.Fprintf(&b, "network %s %s %s\n", n.Doc.Name, n.Type, n.Doc.ID)
	}
	for _, e := range st.Endpoints {
		fmt.Fprintf(&b, "endpoint %s %s state %d %s\n", e.Doc.Name, e.Addr(), e.State, e.Doc.ID)
	}
	for _, n := range st.Namespaces {
		fmt.Fprintf(&b, "namespace %s compartment %d endpoints %d\n", n.Doc.ID, n.Compartment, len(n.Endpoints))
	}
	for _, l := range st.LoadBalancers {
		fmt.Fprintf(&b, "loadbalancer %s\n", l.Doc.ID)
	}
	return b.String(), nil
}

// dumpCompartments lists the network compartments of a host, one a line, with
// what keeps one that is being torn down.
func dumpCompartments(w *world, role string, nd *node) (string, error) {
	if err := windows(role, nd); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range nd.host.Compartments() {
		kind := "process"
		switch {
		case c.ID == fabric.HostCompartment:
			kind = "host"
		case c.OwnKernel():
			kind = "hyperv"
		}
		fmt.Fprintf(&b, "compartment %d %s interfaces %d", c.ID, kind, len(c.Stack.Interfaces()))
		if c.Closing() {
			left := time.Duration(c.Stack.TimeWaitEnd() - w.now())
			fmt.Fprintf(&b, " closing, %d connections in TIME_WAIT, %s left", c.Stack.TimeWaits(), left)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// dumpFirewall lists the rules that HNS has added to the host's firewall, one a
// line.
func dumpFirewall(_ *world, role string, nd *node) (string, error) {
	if err := windows(role, nd); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range nd.host.FirewallRules() {
		state := "enabled"
		if r.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(&b, "in allow proto %d port %d %s %s\n", r.Proto, r.Port, state, r.Name)
	}
	return b.String(), nil
}

var _ backends.World = (*world)(nil)
