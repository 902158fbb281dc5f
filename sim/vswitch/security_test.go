package vswitch

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestSpoofedSourcesAreDropped(t *testing.T) {
	foreign := wire.MAC{2, 0, 0, 0, 0, 0x77}
	b := external(t)
	b.run([]step{
		{idA, ethSrc(udp(idA, idB), foreign), "MacSpoof@a"},
		{idA, ethSrc(udp(idA, idB), mac(idC)), "MacSpoof@a"},
		{idHost, ethSrc(udp(idHost, idB), foreign), "MacSpoof@host"},
		{idWire, ethSrc(udp(idRouter, idB), foreign), "b"}, // the wire has no assigned address
	})
	b.apply(setPort(idA, func(p *PortConfig) { p.MACSpoofing = true }))
	b.run([]step{{idA, ethSrc(udp(idA, idB), foreign), "b"}})
}

// dhcp6 is a DHCPv6 message of a type, from a server or a client.
func dhcp6(kind uint8, sport uint16) wire.Frame {
	f := udp(idA, idB)
	f.IP = &wire.IPFields{Src: netip.MustParseAddr("fe80::1"), Dst: netip.MustParseAddr("fe80::2")}
	f.UDP = &wire.UDPFields{SrcPort: sport, DstPort: 546}
	f.Payload = []byte{kind, 0, 0, 1}
	return f
}

func dhcp4(kind uint8) wire.Frame {
	f := udp(idA, idB)
	f.UDP, f.Payload = nil, nil
	f.DHCP = &wire.DHCPFields{Type: kind, ClientMAC: mac(idB)}
	return f
}

func TestDHCPGuardStopsServers(t *testing.T) {
	const drop = "DhcpGuard@a"
	notDHCP := udp(idA, idB)
	notDHCP.UDP = &wire.UDPFields{SrcPort: 67, DstPort: 68}
	notDHCP.Payload = nil
	b := external(t, setPort(idA, func(p *PortConfig) { p.DHCPGuard = true }))
	b.run([]step{
		{idA, dhcp4(wire.DHCPOffer), drop},
		{idA, dhcp4(wire.DHCPAck), drop},
		{idA, dhcp4(wire.DHCPDiscover), "b"},
		{idA, dhcp4(wire.DHCPRequest), "b"},
		{idA, dhcp6(dhcpv6Advertise, 547), drop},
		{idA, dhcp6(dhcpv6Reply, 547), drop},
		{idA, dhcp6(dhcpv6Reconfig, 547), drop},
		{idA, dhcp6(1, 547), "b"},            // a relay's client message
		{idA, dhcp6(dhcpv6Reply, 5000), "b"}, // not a server's port
		{idA, notDHCP, "b"},                  // no message at all
		{idA, udp(idA, idB), "b"},
	})
	b.apply(setPort(idA, func(p *PortConfig) { p.DHCPGuard = false }))
	b.run([]step{{idA, dhcp4(wire.DHCPOffer), "b"}})
}

func TestRouterGuardStopsRouters(t *testing.T) {
	const drop = "RouterGuard@a"
	nd := func(kind uint8) wire.Frame {
		f := udp(idA, idB)
		f.UDP, f.Payload = nil, nil
		f.IP = &wire.IPFields{Src: netip.MustParseAddr("fe80::1"), Dst: netip.MustParseAddr("fe80::2")}
		f.ND = &wire.NDFields{Type: kind, Target: netip.MustParseAddr("fe80::2"), Dest: netip.MustParseAddr("fe80::2")}
		return f
	}
	icmp := func(kind uint8) wire.Frame {
		f := udp(idA, idB)
		f.UDP = nil
		f.ICMP = &wire.ICMPFields{Type: kind}
		return f
	}
	b := external(t, setPort(idA, func(p *PortConfig) { p.RouterGuard = true }))
	b.run([]step{
		{idA, nd(wire.ICMP6RouterAdv), drop},
		{idA, nd(wire.ICMP6Redirect), drop},
		{idA, nd(wire.ICMP6RouterSol), "b"},
		{idA, nd(wire.ICMP6NeighborSol), "b"},
		{idA, nd(wire.ICMP6NeighborAdv), "b"},
		{idA, icmp(wire.ICMPRedirect), drop},
		{idA, icmp(icmpRouterAdv), drop},
		{idA, icmp(wire.ICMPEcho), "b"},
		{idB, icmp(wire.ICMPRedirect), "MacSpoof@b"},
	})
	b.apply(setPort(idA, func(p *PortConfig) { p.RouterGuard = false }))
	b.run([]step{{idA, nd(wire.ICMP6RouterAdv), "b"}})
}

func TestStormLimitCountsBySecond(t *testing.T) {
	b := external(t, setPort(idA, func(p *PortConfig) { p.StormLimit = 2 }))
	const all, over = "b c host wire", "StormLimit@a"
	b.now = 5
	b.run([]step{
		{idA, bcast(idA), all},
		{idA, udp(idA, idB), "b"},                                         // known unicast does not count
		{idA, udp(idA, idRouter), "wire"},                                 // unknown unicast does
		{idA, ethDst(udp(idA, idB), wire.MAC{1, 0, 0x5e, 0, 0, 1}), over}, // and multicast
		{idA, udp(idA, idRouter), over},
		{idA, udp(idA, idB), "b"},
		{idB, bcast(idB), "a c host wire"}, // the limit is the port's own
	})
	b.now = 4 + second
	b.run([]step{{idA, bcast(idA), over}})
	b.now = 5 + second
	b.run([]step{{idA, bcast(idA), all}, {idA, bcast(idA), all}, {idA, bcast(idA), over}})
	b.apply(setPort(idA, func(p *PortConfig) { p.StormLimit = 3 }))
	b.run([]step{{idA, bcast(idA), all}, {idA, bcast(idA), all}, {idA, bcast(idA), all}, {idA, bcast(idA), over}})
}

func TestStormLimitIsInFrontOfTheVLAN(t *testing.T) {
	b := external(t, setPort(idA, func(p *PortConfig) { p.StormLimit = 1 }))
	b.run([]step{{idA, tagged(bcast(idA), 9), "VlanMismatch@a"}, {idA, bcast(idA), "StormLimit@a"}})
}

func TestLearnedAddressesAreKnownToTheStormLimit(t *testing.T) {
	foreign := wire.MAC{2, 0, 0, 0, 0, 0x77}
	b := external(t, setPort(idA, func(p *PortConfig) { p.StormLimit = 1 }), setPort(idC, func(p *PortConfig) { p.MACSpoofing = true }))
	b.run([]step{
		{idC, ethSrc(udp(idC, idA), foreign), "a"},
		{idA, ethDst(udp(idA, idC), foreign), "c"}, {idA, ethDst(udp(idA, idC), foreign), "c"},
		{idA, bcast(idA), "b c host wire"}, {idA, bcast(idA), "StormLimit@a"},
	})
}

func TestTruncatedFramesAreMalformed(t *testing.T) {
	b := external(t)
	whole := bytesOf(tagged(udp(idA, idB), 7))
	for n := range 18 {
		const want = "Malformed@a"
		if got := b.send(idA, whole[:n]); got != want {
			t.Errorf("%d bytes of a tagged frame: got %q, want %q", n, got, want)
		}
	}
	if got := b.send(idA, bytesOf(udp(idA, idB))[:wire.EthernetLen]); got != "b" {
		t.Errorf("a bare Ethernet header: got %q, want b: without layers nothing looks at its payload", got)
	}
}

func TestBrokenIPDoesNotSlipPastLayers(t *testing.T) {
	block := &vfp.Program{Layers: []vfp.Layer{{Name: "l", Groups: []vfp.Group{
		{Dir: vfp.In, Family: vfp.IPv4, Rules: []vfp.Rule{{Action: vfp.Block{}}}},
	}}}}
	b := external(t, setPort(idB, func(p *PortConfig) { p.Program = block }))
	f := bytesOf(udp(idA, idB))
	if got := b.send(idA, f); got != "VfpBlock@b" {
		t.Fatalf("a good packet: %q", got)
	}
	f[14] = 0x45 + 0x10 // version 5
	if got := b.send(idA, f); got != "Malformed@b" {
		t.Errorf("a broken packet: %q, want Malformed@b", got)
	}
}

// Offers and requests of one port pair have the same key: what the guard says of
// one must not decide about the other.
func TestTheDHCPGuardLooksAtEveryMessageOfAFlow(t *testing.T) { // VS-21, VFP-12
	b := external(t, setPort(idA, func(p *PortConfig) { p.DHCPGuard = true }))
	message := func(kind byte) []byte {
		f := udp(idA, idB)
		f.UDP.SrcPort, f.UDP.DstPort, f.Payload = 67, 67, []byte{kind, 0, 0, 0}
		return f.Bytes()
	}
	for i, kind := range []byte{1, 1, 2, 1, 2} {
		var batch vfp.Batch
		batch.N = 1
		batch.Pkts[0].Reset(message(kind))
		batch.Pkts[0].InPort = idA
		b.s.Process(&batch, new(silent))
		if p := &batch.Pkts[0]; (kind == dhcpBootReply) != (p.Reason == vfp.DropDhcpGuard) {
			t.Errorf("message %d of kind %d: %v %s", i, kind, p.Verdict, p.Reason)
		}
	}
}
