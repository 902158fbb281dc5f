package vswitch

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func basic(id vfp.PortID, acls ...PortACL) func(*Config) {
	return setPort(id, func(p *PortConfig) { p.ACLs = acls })
}

func extended(id vfp.PortID, acls ...ExtACL) func(*Config) {
	return setPort(id, func(p *PortConfig) { p.ExtACLs = acls })
}

func tcp(src, dst vfp.PortID, sport, dport uint16) wire.Frame {
	f := udp(src, dst)
	f.UDP, f.Payload = nil, nil
	f.TCP = &wire.TCPFields{SrcPort: sport, DstPort: dport, Flags: wire.TCPAck}
	return f
}

func arp(src, dst vfp.PortID) wire.Frame {
	return wire.Frame{EthSrc: mac(src), EthDst: mac(dst), ARP: &wire.ARPFields{SenderMAC: mac(src), SenderIP: addr(src), TargetIP: addr(dst)}}
}

func udp6(src, dst vfp.PortID) wire.Frame {
	f := udp(src, dst)
	f.IP = &wire.IPFields{Src: netip.AddrFrom16([16]byte{0xfd, 15: byte(src)}), Dst: netip.AddrFrom16([16]byte{0xfd, 15: byte(dst)})}
	return f
}

const (
	deniedA = "PortAcl@a"
	deniedB = "PortAcl@b"
)

func TestBasicPortACLs(t *testing.T) {
	macB := mac(idB)
	tests := []struct {
		name   string
		change func(*Config)
		steps  []step
	}{
		{"VS-30 OUT, remote", basic(idA, PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.2/32")}), []step{
			{idA, udp(idA, idB), deniedA}, {idA, udp(idA, idC), "c"}, {idB, udp(idB, idA), "a"},
		}},
		{"VS-30 IN, remote", basic(idA, PortACL{Dir: vfp.In, Remote: pfx("10.0.0.2/32")}), []step{
			{idB, udp(idB, idA), deniedA}, {idC, udp(idC, idA), "a"}, {idA, udp(idA, idB), "b"},
		}},
		{"VS-30 local is the endpoint both ways", basic(idA, PortACL{Dir: vfp.Out, Local: pfx("10.0.0.1/32")}, PortACL{Dir: vfp.In, Local: pfx("10.0.0.2/32")}), []step{
			{idA, udp(idA, idB), deniedA}, {idB, udp(idB, idA), "a"},
		}},
		{"VS-30 the longest prefix wins over a shorter one", basic(idA,
			PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.0/8")}, PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.2/32"), Allow: true}, PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.0/24"), Allow: false},
		), []step{{idA, udp(idA, idB), "b"}, {idA, udp(idA, idC), deniedA}}},
		{"VS-30 whatever the order", basic(idA,
			PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.2/32")}, PortACL{Dir: vfp.Out, Remote: pfx("0.0.0.0/0"), Allow: true},
		), []step{{idA, udp(idA, idB), deniedA}, {idA, udp(idA, idC), "c"}}},
		{"VS-30 any address is every IP packet and no ARP", basic(idA, PortACL{Dir: vfp.Out}), []step{
			{idA, udp(idA, idB), deniedA}, {idA, udp6(idA, idB), deniedA}, {idA, arp(idA, idB), "b"},
		}},
		{"VS-30 a MAC entry is every frame", basic(idA, PortACL{Dir: vfp.Out, RemoteMAC: &macB}, PortACL{Dir: vfp.In, RemoteMAC: &macB}), []step{
			{idA, udp(idA, idB), deniedA}, {idA, arp(idA, idB), deniedA}, {idA, arp(idA, idC), "c"}, {idB, arp(idB, idA), deniedA}, {idC, arp(idC, idA), "a"},
		}},
		{"VS-30 families", basic(idA, PortACL{Dir: vfp.Out, Remote: pfx("fd00::/8")}), []step{{idA, udp6(idA, idB), deniedA}, {idA, udp(idA, idB), "b"}}},
		{"VS-30 among equals deny", basic(idA, PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.2/32"), Allow: true}, PortACL{Dir: vfp.Out, Remote: pfx("10.0.0.2/32")}), []step{{idA, udp(idA, idB), deniedA}}},
		{"a flood drops at the port that denies", basic(idB, PortACL{Dir: vfp.In}), []step{{idA, bcast(idA), deniedB + " c host wire"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { external(t, tt.change).run(tt.steps) })
	}
}

func TestExtendedPortACLs(t *testing.T) {
	http := []vfp.PortRange{{Lo: 80, Hi: 80}}
	fragment := udp(idA, idB)
	fragment.IP.FragOffset, fragment.IP.Proto, fragment.UDP = 8, wire.ProtoUDP, nil
	tests := []struct {
		name   string
		change []func(*Config)
		steps  []step
	}{
		{"S-VS-14 VS-31 the higher weight goes first", []func(*Config){extended(idA,
			ExtACL{Weight: 5, Allow: true, Proto: 6, RemotePorts: http}, ExtACL{Weight: 10, Proto: 6, RemotePorts: http},
		)}, []step{{idA, tcp(idA, idB, 1, 80), deniedA}, {idA, tcp(idA, idB, 1, 81), "b"}}},
		{"VS-31 at equal weight the first in the list", []func(*Config){extended(idA,
			ExtACL{Weight: 5, Allow: true, Proto: 6}, ExtACL{Weight: 5},
		)}, []step{{idA, tcp(idA, idB, 1, 80), "b"}, {idA, udp(idA, idB), deniedA}}},
		{"VS-31 five conditions", []func(*Config){extended(idA, ExtACL{
			Proto: 17, Local: pfx("10.0.0.1/32"), Remote: pfx("10.0.0.2/32"), LocalPorts: []vfp.PortRange{{Lo: 1000, Hi: 1000}}, RemotePorts: []vfp.PortRange{{Lo: 50, Hi: 60}},
		})}, []step{{idA, udp(idA, idB), deniedA}, {idA, udp(idA, idC), "c"}, {idA, tcp(idA, idB, 1000, 53), "b"}}},
		{"VS-31 IN: local is the destination", []func(*Config){extended(idB, ExtACL{Dir: vfp.In, Local: pfx("10.0.0.2/32"), LocalPorts: []vfp.PortRange{{Lo: 53, Hi: 53}}})}, []step{
			{idA, udp(idA, idB), deniedB}, {idA, tcp(idA, idB, 53, 80), "b"},
		}},
		{"VS-31 the isolation id is the VLAN", []func(*Config){access(idA, 7), access(idB, 7), extended(idA, ExtACL{IsolationID: 8}, ExtACL{IsolationID: 7, Proto: 17})}, []step{
			{idA, udp(idA, idB), deniedA}, {idA, tcp(idA, idB, 1, 2), "b"},
		}},
		{"VS-31 ARP is not its business", []func(*Config){extended(idA, ExtACL{}, ExtACL{Dir: vfp.In})}, []step{{idA, arp(idA, idB), "b"}, {idB, arp(idB, idA), "a"}, {idB, udp(idB, idA), deniedA}}},
		{"VS-31 without state replies meet the rules", []func(*Config){extended(idA, ExtACL{Allow: true}, ExtACL{Dir: vfp.In})}, []step{
			{idA, udp(idA, idB), "b"}, {idB, reply(udp(idA, idB)), deniedA},
		}},
		{"VS-31 a port condition does not match later fragments", []func(*Config){extended(idA, ExtACL{RemotePorts: []vfp.PortRange{{Lo: 0, Hi: 65535}}})}, []step{
			{idA, udp(idA, idB), deniedA}, {idA, fragment, "b"},
		}},
		{"basic and extended must both allow", []func(*Config){extended(idA, ExtACL{Allow: true}), basic(idA, PortACL{})}, []step{{idA, udp(idA, idB), deniedA}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { external(t, tt.change...).run(tt.steps) })
	}
}

// reply is the answer to f.
func reply(f wire.Frame) wire.Frame {
	f.EthSrc, f.EthDst = f.EthDst, f.EthSrc
	ip := *f.IP
	ip.Src, ip.Dst = ip.Dst, ip.Src
	f.IP = &ip
	if f.UDP != nil {
		f.UDP = &wire.UDPFields{SrcPort: f.UDP.DstPort, DstPort: f.UDP.SrcPort}
	}
	return f
}

var stateful = extended(idA, ExtACL{Allow: true, Stateful: true, Proto: 17}, ExtACL{Dir: vfp.In})

func TestStatefulACLsRememberFlows(t *testing.T) {
	for _, f := range []wire.Frame{udp(idA, idB), udp6(idA, idB)} {
		b := external(t, stateful)
		b.run([]step{
			{idB, reply(f), deniedA}, // nobody asked
			{idA, f, "b"},
		})
		b.now = 254 * second
		b.run([]step{{idB, reply(f), "a"}}) // S-VS-15; the reply keeps the flow alive
		b.now += 254 * second
		b.run([]step{{idB, reply(f), "a"}})
		b.now += 256 * second
		b.run([]step{{idB, reply(f), deniedA}})
	}
}

func TestStatefulACLsAreJudgedAgain(t *testing.T) {
	f := udp(idA, idB)
	b := external(t, stateful)
	b.run([]step{{idA, f, "b"}})
	b.apply(extended(idA, ExtACL{Allow: true, Stateful: true, Proto: 17}, ExtACL{Dir: vfp.In}, ExtACL{Weight: -1}))
	b.run([]step{{idB, reply(f), "a"}}) // the rule that let it go is still there
	b.apply(extended(idA, ExtACL{Allow: true, Stateful: true, Proto: 6}, ExtACL{Dir: vfp.In}))
	b.run([]step{{idB, reply(f), deniedA}})
}

func TestStatefulACLsAreBounded(t *testing.T) {
	b := external(t, stateful)
	at := func(i int) wire.Frame {
		f := udp(idA, idB)
		f.UDP = &wire.UDPFields{SrcPort: uint16(i), DstPort: uint16(1 + i>>16)}
		return f
	}
	for i := range MaxACLFlows + 1 {
		b.send(idA, bytesOf(at(i)))
	}
	if n := len(b.s.snap.port(idA).run.acl.v4.flows); n != MaxACLFlows {
		t.Fatalf("%d flows, want %d", n, MaxACLFlows)
	}
	last := at(MaxACLFlows)
	b.run([]step{{idA, last, "b"}, {idB, reply(last), deniedA}, {idB, reply(at(0)), "a"}})
	b.now = DefaultACLIdle
	b.run([]step{{idA, last, "b"}, {idB, reply(last), "a"}})
}

func TestMonitorsSeeBothDirections(t *testing.T) {
	b := external(t,
		setPort(idA, func(p *PortConfig) { p.Mirror = MirrorSource }),
		setPort(idB, func(p *PortConfig) { p.Mirror = MirrorDestination; p.ACLs = []PortACL{{Dir: vfp.In}} }),
		access(idA, 7), access(idC, 7),
	)
	b.run([]step{ // S-VS-17
		{idA, udp(idA, idC), "b c"},
		{idC, udp(idC, idA), "a b"},
		{idA, ethSrc(udp(idA, idC), mac(idC)), "MacSpoof@a"},
		{idA, tagged(udp(idA, idC), 9), "VlanMismatch@a"},
		{idC, udp(idC, idRouter), "wire#7"}, // not A's traffic
	})
	frame := udp(idA, idC)
	b.send(idA, bytesOf(frame))
	if string(b.ev.frames[0]) != string(bytesOf(frame)) {
		t.Errorf("the copy differs: %x", b.ev.frames[0])
	}
	b.apply(setPort(idB, func(p *PortConfig) { p.Mirror = MirrorNone }))
	b.run([]step{{idA, udp(idA, idC), "c"}})
}

func TestOversizeFramesAreDropped(t *testing.T) {
	sized := func(src, dst vfp.PortID, ipLen int) wire.Frame {
		f := udp(src, dst)
		f.Payload = make([]byte, ipLen-28)
		return f
	}
	b := external(t, access(idA, 7))
	b.run([]step{ // S-VS-18
		{idA, sized(idA, idRouter, 1500), "wire#7"}, // 1518 bytes with the tag
		{idA, sized(idA, idRouter, 1501), "Oversize@wire"},
		{idB, sized(idB, idC, 1501), "Oversize@c"},
	})
	b.apply(func(c *Config) { c.MTU = 1674 }, setPort(idC, func(p *PortConfig) { p.MTU = 600 }))
	b.run([]step{
		{idA, sized(idA, idRouter, 1674), "wire#7"},
		{idA, sized(idA, idRouter, 1675), "Oversize@wire"},
		{idB, sized(idB, idC, 600), "c"},
		{idB, sized(idB, idC, 601), "Oversize@c"},
	})
}
