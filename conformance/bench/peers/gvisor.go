//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/hnsim/hnsim/sim/wire"
)

// gvisor is a netstack with two interfaces.
type gvisor struct {
	loop
	s       *stack.Stack
	in, out *channel.Endpoint
	last    []byte // what came out in check
}

const (
	nicIn tcpip.NICID = iota + 1
	nicOut
	nicBridge
)

// ipLen is the length of the IP packet in a frame.
const ipLen = frameLen - wire.EthernetLen

// gvisorFlows is the most that connection tracking is asked for: it has 16,384
// buckets whatever the number of flows.
const gvisorFlows = 100_000

func openGvisor(path string, flows int) (runner, error) {
	g := &gvisor{s: stack.New(stack.Options{NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol}, TransportProtocols: []stack.TransportProtocolFactory{udp.NewProtocol}})}
	g.in = channel.New(64, 1500, tcpip.LinkAddress(inMAC[:]))
	g.out = channel.New(64, 1500, tcpip.LinkAddress(peerMAC[:]))
	k := routed
	var err error
	switch path {
	case "bridge":
		k = switched
		g.each, err = g.bridge, g.openBridge()
	case "forward", "nat":
		g.each, err = g.forward, g.openRouter(path == "nat")
	default:
		err = fmt.Errorf("no path %s", path)
	}
	if err != nil {
		return nil, err
	}
	if flows > gvisorFlows {
		return nil, fmt.Errorf("not asked for more than %d flows: making them takes minutes", gvisorFlows)
	}
	if g.t, err = newTraffic(k, flows, false); err != nil {
		return nil, err
	}
	if path == "bridge" {
		if err := g.learn(flows); err != nil {
			return nil, err
		}
	}
	if err := g.every(); err != nil {
		return nil, err
	}
	return g, g.check(path)
}

// failed turns netstack's errors, which are none of Go's, into one.
func failed(what string, errs ...tcpip.Error) error {
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %s", what, err)
		}
	}
	return nil
}

func address(a netip.Addr, bits int) tcpip.AddressWithPrefix {
	return tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(a.As4()), PrefixLen: bits}
}

func (g *gvisor) openRouter(nat bool) error {
	add := func(id tcpip.NICID, a tcpip.AddressWithPrefix) tcpip.Error {
		return g.s.AddProtocolAddress(id, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: a}, stack.AddressProperties{})
	}
	if err := failed("interfaces", g.s.CreateNIC(nicIn, g.in), g.s.CreateNIC(nicOut, g.out)); err != nil {
		return err
	}
	if err := failed("addresses", add(nicIn, address(routerIn, 8)), add(nicOut, address(natAddr, 24)), g.s.SetForwardingDefaultAndAllNICs(ipv4.ProtocolNumber, true)); err != nil {
		return err
	}
	g.s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nicOut}})
	if nat {
		t := g.s.IPTables().GetTable(stack.NATID, false)
		t.Rules = slices.Clone(t.Rules) // a table that is the one it replaces is ignored
		t.Rules[t.BuiltinChains[stack.Postrouting]].Target = &stack.MasqueradeTarget{NetworkProtocol: ipv4.ProtocolNumber}
		g.s.IPTables().ReplaceTable(stack.NATID, t, false)
	}
	return nil
}

func (g *gvisor) openBridge() error {
	return failed("bridge", g.s.CreateNIC(nicIn, ethernet.New(g.in)), g.s.CreateNIC(nicOut, ethernet.New(g.out)),
		g.s.CreateNIC(nicBridge, stack.NewBridgeEndpoint(1500)), g.s.SetNICCoordinator(nicIn, nicBridge), g.s.SetNICCoordinator(nicOut, nicBridge))
}

// learn lets every station that frames go to send one first.
func (g *gvisor) learn(flows int) error {
	frame := make([]byte, frameLen)
	copy(frame, g.t.frames)
	for i := range flows {
		e := wire.Ethernet(frame)
		e.SetSrc(macOf(flows + i))
		e.SetDst(macOf(0))
		inject(g.out, frame)
		g.in.Drain()
	}
	return nil
}

func inject(to *channel.Endpoint, data []byte) {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
	to.InjectInbound(ipv4.ProtocolNumber, p)
	p.DecRef()
}

var errLost = errors.New("a packet did not come out")

func (g *gvisor) forward(frame []byte) error {
	inject(g.in, frame[wire.EthernetLen:])
	return g.take()
}

func (g *gvisor) bridge(frame []byte) error {
	inject(g.in, frame)
	return g.take()
}

func (g *gvisor) take() error {
	p := g.out.Read()
	if p == nil {
		return errLost
	}
	if g.last != nil {
		v := p.ToView()
		g.last = append(g.last[:0], v.AsSlice()...)
		v.Release()
	}
	p.DecRef()
	return nil
}

// check looks at one packet that comes out.
func (g *gvisor) check(path string) error {
	g.last = make([]byte, 0, frameLen)
	if err := g.each(g.t.next()); err != nil {
		return err
	}
	got := g.last
	g.last = nil
	if path == "bridge" {
		if len(got) != frameLen {
			return fmt.Errorf("%d bytes came out", len(got))
		}
		return nil
	}
	if len(got) != ipLen {
		return fmt.Errorf("%d bytes came out", len(got))
	}
	if src := header.IPv4(got).SourceAddress().String(); (src == natAddr.String()) != (path == "nat") {
		return fmt.Errorf("a packet of %s came out", src)
	}
	return nil
}

func (g *gvisor) close() { g.s.Destroy() }
