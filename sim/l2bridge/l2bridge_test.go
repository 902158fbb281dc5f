package l2bridge

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	wirePort = vfp.PortID(1)
	podPort  = vfp.PortID(100)
	sibPort  = vfp.PortID(101)
	gwPort   = vfp.PortID(102)
	tunPort  = vfp.PortID(103)
)

var (
	hostMAC = wire.MustMAC("00-15-5D-82-00-23")
	rMAC    = wire.MustMAC("00-00-5E-00-01-01")
	podMAC  = wire.MustMAC("00-15-5D-24-00-0A")
	sibMAC  = wire.MustMAC("00-15-5D-24-00-0B")
	gwMAC   = wire.MustMAC("00-15-5D-24-00-02")

	node    = ip("10.127.130.35")
	virtual = ip("192.0.2.35")
	x       = ip("203.0.113.80")
	podIP   = ip("10.244.1.10")
	podIP6  = ip("fd00:1::10")
	sibIP   = ip("10.244.7.70")
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// The pods' NAT ports: 50000 of the node is podPort's, 50001 sibPort's, 50000
// of the virtual address sibPort's. Pools may take 50000 to 50999.
func owner(_ int64, a netip.Addr, proto uint8, port uint16) (vfp.PortID, bool) {
	switch {
	case proto != wire.ProtoUDP || a != node && a != virtual:
	case port == 50000 && a == node:
		return podPort, true
	case port == 50001 && a == node, port == 50000:
		return sibPort, true
	}
	return 0, false
}

func bridge(proxy bool) *Bridge {
	return New(Config{
		HostMAC: hostMAC, HostAddrs: []netip.Addr{node}, ARPProxy: proxy, PoolOwner: owner,
		PoolMayTake: func(a netip.Addr, p uint16) bool { return a == node && p >= 50000 && p < 51000 },
		Endpoints: []*Endpoint{
			{Rank: 1, Port: podPort, MAC: podMAC, Addrs: []netip.Addr{podIP, podIP6}, Bridge: true},
			{Rank: 2, Port: sibPort, MAC: sibMAC, Addrs: []netip.Addr{sibIP}, Bridge: true},
			{Rank: 3, Port: gwPort, MAC: gwMAC, Addrs: []netip.Addr{ip("10.244.1.2")}, Bridge: true, Host: true},
			{Rank: 4, Port: tunPort, MAC: wire.MAC{2, 3}, Addrs: []netip.Addr{ip("10.9.0.9")}, Bridge: true, Tunnel: true},
		},
	})
}

func wireLayer(proxy bool) vfp.Layer {
	b := bridge(proxy)
	return b.WireLayer(b.all)
}

// walk says what a layer makes of a frame that came from inPort.
func walk(t *testing.T, l vfp.Layer, at, inPort vfp.PortID, dir vfp.Dir, f wire.Frame, before func(*vfp.Walk)) string {
	t.Helper()
	p := vfp.NewPort(at, vfp.PortLimits{})
	p.SetProgram(&vfp.Program{Layers: []vfp.Layer{l}})
	pkt := vfp.NewPacket(f.Bytes())
	pkt.InPort = inPort
	pkt.Parse()
	var w vfp.Walk
	w.Begin(0, pkt, 0, nil)
	if before != nil {
		before(&w)
	}
	p.Walk(&w, dir)
	switch {
	case w.Drop != vfp.DropNone:
		return "drop " + w.Drop.String()
	case len(w.Replies) > 0:
		return "reply " + wire.Summary(w.Replies[0])
	}
	if w.NewFrame != nil {
		return wire.Summary(w.NewFrame)
	}
	out := []string{fmt.Sprintf("%s>%s", w.H.EthSrc, w.H.EthDst)}
	switch w.Fwd.Kind {
	case vfp.ToPort:
		out = append(out, fmt.Sprintf("port %d", w.Fwd.Port))
	case vfp.ToHost:
		out = append(out, "host")
	case vfp.ToWire:
		out = append(out, "wire")
	case vfp.ToPA:
		out = append(out, "paroute")
	}
	if w.NoCache {
		out = append(out, "uncached")
	}
	return strings.Join(out, " ")
}

func udp(src, dst wire.MAC, from, to netip.Addr, sport, dport uint16) wire.Frame {
	return wire.Frame{EthSrc: src, EthDst: dst, IP: &wire.IPFields{Src: from, Dst: to}, UDP: &wire.UDPFields{SrcPort: sport, DstPort: dport}}
}

func arp(op uint16, src, dst wire.MAC, from, to netip.Addr) wire.Frame {
	f := wire.Frame{EthSrc: src, EthDst: dst, ARP: &wire.ARPFields{Op: op, SenderMAC: src, SenderIP: from, TargetIP: to}}
	if op == wire.ARPReply {
		f.ARP.TargetMAC = dst
	}
	return f
}

// check looks for a part of what walk said.
func check(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFramesFromTheWireAreToldApartByAddress(t *testing.T) {
	quote := udp(hostMAC, rMAC, node, x, 50000, 53)
	icmp := wire.Frame{EthSrc: rMAC, EthDst: hostMAC, IP: &wire.IPFields{Src: ip("10.127.130.1"), Dst: node},
		ICMP: &wire.ICMPFields{Type: wire.ICMPUnreachable, Code: wire.ICMPFragNeeded, MTU: 1400}, Payload: quote.Bytes()[wire.EthernetLen:]}
	tests := []struct {
		name string
		f    wire.Frame
		want string
	}{
		{"a container's address (L2B-03)", udp(rMAC, hostMAC, x, podIP, 53, 1), "00-00-5E-00-01-01>00-15-5D-24-00-0A port 100"},
		{"its IPv6 address", udp(rMAC, hostMAC, ip("fd00:9::9"), podIP6, 53, 1), ">00-15-5D-24-00-0A port 100"},
		{"the host's own address", udp(rMAC, hostMAC, x, node, 53, 40000), ">00-15-5D-82-00-23"},
		{"a port that a pool may take is not cached (VFP-12)", udp(rMAC, hostMAC, x, node, 53, 50500), ">00-15-5D-82-00-23 uncached"},
		{"nobody's address", udp(rMAC, hostMAC, x, ip("10.244.1.99"), 53, 1), ">00-15-5D-82-00-23"},
		{"another machine's MAC", udp(rMAC, rMAC, x, podIP, 53, 1), ">00-00-5E-00-01-01"},
		{"a container's MAC is hidden (L2B-06)", udp(rMAC, podMAC, x, podIP, 53, 1), "drop UnknownUnicast"},
		{"a NAT port (L2B-21)", udp(rMAC, hostMAC, x, node, 53, 50001), ">00-15-5D-24-00-0B port 101"},
		{"the same port of a virtual address", udp(rMAC, hostMAC, x, virtual, 53, 50000), ">00-15-5D-24-00-0B port 101"},
		{"an ICMP error about a NAT port", icmp, ">00-15-5D-24-00-0A port 100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := walk(t, wireLayer(true), wirePort, wirePort, vfp.Out, tt.f, nil)
			if !strings.HasSuffix(got, tt.want) {
				t.Errorf("got %s, want ... %s", got, tt.want)
			}
		})
	}
}

func TestAddressResolutionFromTheWire(t *testing.T) {
	ask := arp(wire.ARPRequest, rMAC, wire.Broadcast, ip("10.127.130.1"), podIP)
	ns := wire.Frame{EthSrc: rMAC, EthDst: wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x10}, IP: &wire.IPFields{Src: ip("fd00:1::1"), Dst: ip("ff02::1:ff00:10"), TTL: 255},
		ND: &wire.NDFields{Type: wire.ICMP6NeighborSol, Target: podIP6, SourceLL: rMAC}}
	tests := []struct {
		name  string
		proxy bool
		f     wire.Frame
		want  string
	}{
		{"a container's address is answered with the host's MAC (L2B-04)", true, ask, "reply eth(00-15-5D-82-00-23>00-00-5E-00-01-01) arp(10.244.1.10 is at 00-15-5D-82-00-23"},
		{"or left to the container", false, ask, ">FF-FF-FF-FF-FF-FF"},
		{"others' addresses are others' business", true, arp(wire.ARPRequest, rMAC, wire.Broadcast, ip("10.127.130.1"), node), ">FF-FF-FF-FF-FF-FF"},
		{"an announcement is no question", true, arp(wire.ARPRequest, rMAC, wire.Broadcast, podIP, podIP), ">FF-FF-FF-FF-FF-FF"},
		{"a reply to a container (L2B-03)", true, arp(wire.ARPReply, rMAC, hostMAC, ip("10.127.130.1"), podIP), "eth(00-00-5E-00-01-01>00-15-5D-24-00-0A)"},
		{"neighbour discovery likewise", true, ns, "reply eth(00-15-5D-82-00-23>00-00-5E-00-01-01)"},
		{"or left to the container as well", false, ns, ">33-33-FF-00-00-10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, walk(t, wireLayer(tt.proxy), wirePort, wirePort, vfp.Out, tt.f, nil), tt.want)
		})
	}
}

func TestFramesToTheWireWearTheHostsMAC(t *testing.T) {
	na := wire.Frame{EthSrc: podMAC, EthDst: rMAC, IP: &wire.IPFields{Src: podIP6, Dst: ip("fd00:1::1"), TTL: 255},
		ND: &wire.NDFields{Type: wire.ICMP6NeighborAdv, Target: podIP6, TargetLL: podMAC}}
	for _, in := range []vfp.PortID{podPort, tunPort} {
		got := walk(t, wireLayer(true), wirePort, in, vfp.In, udp(podMAC, rMAC, podIP, x, 1, 53), nil)
		check(t, got, "00-15-5D-82-00-23>00-00-5E-00-01-01")
	}
	check(t, walk(t, wireLayer(true), wirePort, 2, vfp.In, udp(rMAC, hostMAC, node, x, 1, 53), nil), "00-00-5E-00-01-01>")
	got := walk(t, wireLayer(true), wirePort, podPort, vfp.In, arp(wire.ARPRequest, podMAC, wire.Broadcast, podIP, ip("10.244.1.1")), nil)
	check(t, got, "eth(00-15-5D-82-00-23>FF-FF-FF-FF-FF-FF) arp(who has 10.244.1.1, tell 10.244.1.10 at 00-15-5D-82-00-23)")
	if got := walk(t, wireLayer(true), wirePort, podPort, vfp.In, na, nil); strings.Contains(got, podMAC.String()) {
		t.Errorf("the container's MAC leaves in %s", got)
	}
}

func TestAnEndpointsFramesTakeTheirWay(t *testing.T) {
	service := []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}
	asNode := func(w *vfp.Walk) { w.H.Src = node } // as the NAT layer in front leaves it
	tests := []struct {
		name   string
		port   vfp.PortID
		f      wire.Frame
		before func(*vfp.Walk)
		want   string
	}{
		{"by MAC, as a rule", podPort, udp(podMAC, rMAC, podIP, x, 1, 53), nil, "00-15-5D-24-00-0A>00-00-5E-00-01-01"},
		{"translated, by way of the host endpoint (L2B-21)", podPort, udp(podMAC, gwMAC, podIP, x, 1, 53), asNode, " paroute"},
		{"not translated, to the host endpoint (L2B-12)", podPort, udp(podMAC, gwMAC, podIP, x, 1, 53), nil, ">00-15-5D-24-00-02"},
		{"to another block of this host (L2B-16)", podPort, udp(podMAC, rMAC, podIP, sibIP, 1, 53), nil, ">00-15-5D-24-00-0B port 101"},
		{"a tunnelled endpoint is not met inside (L2T-03)", podPort, udp(podMAC, rMAC, podIP, ip("10.9.0.9"), 1, 53), nil, ">00-00-5E-00-01-01"},
		{"through the host (L2B-29)", podPort, udp(podMAC, rMAC, podIP, ip("10.96.0.10"), 1, 53), nil, ">00-15-5D-82-00-23 host"},
		{"to a sibling's NAT port", podPort, udp(podMAC, hostMAC, podIP, node, 53, 50001), nil, ">00-15-5D-24-00-0B port 101"},
		{"to the node's other ports", podPort, udp(podMAC, hostMAC, podIP, node, 53, 22), nil, ">00-15-5D-82-00-23"},
		{"to one that a pool may take", podPort, udp(podMAC, hostMAC, podIP, node, 53, 50500), nil, ">00-15-5D-82-00-23 uncached"},
		{"a tunnel's go to the wire (L2T-01)", tunPort, udp(wire.MAC{2, 3}, sibMAC, ip("10.9.0.9"), sibIP, 1, 53), nil, " wire"},
		{"broadcasts too (L2T-04)", tunPort, arp(wire.ARPRequest, wire.MAC{2, 3}, wire.Broadcast, ip("10.9.0.9"), sibIP), nil, " wire"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bridge(true)
			l := b.EndpointLayer(*b.byPort[tt.port], service)
			got := walk(t, l, tt.port, tt.port, vfp.Out, tt.f, tt.before)
			if !strings.HasSuffix(got, tt.want) {
				t.Errorf("got %s, want ... %s", got, tt.want)
			}
		})
	}
}

func TestContainersGetNoDHCPAnswers(t *testing.T) {
	b := bridge(true)
	offer := wire.Frame{EthSrc: rMAC, EthDst: wire.Broadcast, IP: &wire.IPFields{Src: ip("10.127.130.2"), Dst: ip("255.255.255.255")},
		UDP: &wire.UDPFields{SrcPort: 67, DstPort: 68}, Payload: []byte("offer")}
	check(t, walk(t, b.EndpointLayer(*b.byPort[podPort], nil), podPort, wirePort, vfp.In, offer, nil), "drop VfpBlock")
	check(t, walk(t, b.EndpointLayer(*b.byPort[gwPort], nil), gwPort, wirePort, vfp.In, offer, nil), ">FF-FF-FF-FF-FF-FF")
}
