package fabric

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// SocketProxy is a proxy inside a compartment: TCP connections of the addresses
// are redirected to its local ports (rule PX-02). UDP is not modelled.
type SocketProxy struct {
	Compartment uint32
	Addrs       []netip.Addr
	Account     string // whose connections are not redirected: the proxy's own; "" is nobody
	// Inbound and Outbound are the proxy's ports; 0 leaves a direction alone.
	Inbound, Outbound uint16
	Filter            SocketFilter
	// Connections from or to these remote addresses, and those to these ports,
	// are left alone: the local port of inbound ones, the remote port of
	// outbound ones.
	InboundExceptions, OutboundExceptions SocketExceptions
}

// SocketFilter selects connections; an empty list selects all.
type SocketFilter struct {
	Protos                  []uint8
	Local, Remote           []netip.Prefix
	LocalPorts, RemotePorts []vfp.PortRange
}

// SocketExceptions are addresses and ports.
type SocketExceptions struct {
	Addrs []netip.Prefix
	Ports []vfp.PortRange
}

// socketProxies is the ipstack.Redirector of a compartment.
type socketProxies []SocketProxy

func (ps socketProxies) Connect(account string, local, remote netip.AddrPort) netip.AddrPort {
	for i := range ps {
		p := &ps[i]
		if p.Outbound != 0 && (p.Account == "" || p.Account != account) && p.selects(local, remote) &&
			!p.ours(remote.Addr()) && !p.OutboundExceptions.hold(remote.Addr(), remote.Port()) {
			return netip.AddrPortFrom(local.Addr(), p.Outbound)
		}
	}
	return remote
}

func (ps socketProxies) Accept(local, remote netip.AddrPort) uint16 {
	for i := range ps {
		p := &ps[i]
		if p.Inbound != 0 && p.selects(local, remote) && !p.InboundExceptions.hold(remote.Addr(), local.Port()) {
			return p.Inbound
		}
	}
	return local.Port()
}

// ours: the compartment talks to itself.
func (p *SocketProxy) ours(a netip.Addr) bool { return a.IsLoopback() || slices.Contains(p.Addrs, a) }

func (p *SocketProxy) selects(local, remote netip.AddrPort) bool {
	f := &p.Filter
	return slices.Contains(p.Addrs, local.Addr()) &&
		(len(f.Protos) == 0 || slices.Contains(f.Protos, wire.ProtoTCP)) &&
		(len(f.Local) == 0 || inPrefixes(f.Local, local.Addr())) && (len(f.Remote) == 0 || inPrefixes(f.Remote, remote.Addr())) &&
		(len(f.LocalPorts) == 0 || inRanges(f.LocalPorts, local.Port())) && (len(f.RemotePorts) == 0 || inRanges(f.RemotePorts, remote.Port()))
}

func (x *SocketExceptions) hold(a netip.Addr, port uint16) bool {
	return inPrefixes(x.Addrs, a) || inRanges(x.Ports, port)
}

func inPrefixes(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

func inRanges(rs []vfp.PortRange, port uint16) bool {
	return slices.ContainsFunc(rs, func(r vfp.PortRange) bool { return r.Lo <= port && port <= r.Hi })
}

// redirectSockets gives every compartment its proxies.
func (h *Host) redirectSockets(before, p *HostProgram) {
	if len(before.SocketProxies)+len(p.SocketProxies) == 0 {
		return
	}
	for id, c := range h.compartments {
		var mine socketProxies
		for _, x := range p.SocketProxies {
			if x.Compartment == id {
				mine = append(mine, x)
			}
		}
		if len(mine) == 0 {
			c.Stack.SetRedirector(nil)
			continue
		}
		c.Stack.SetRedirector(mine)
	}
}
