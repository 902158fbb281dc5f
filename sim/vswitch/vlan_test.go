package vswitch

import (
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func access(id vfp.PortID, vid uint16) func(*Config) {
	return setPort(id, func(p *PortConfig) { p.VLAN = VLANConfig{Mode: VLANAccess, AccessID: vid} })
}

func privateVLAN(id vfp.PortID, role PrivateVLAN, secondary uint16) func(*Config) {
	return setPort(id, func(p *PortConfig) {
		p.VLAN = VLANConfig{Mode: VLANPrivate, Primary: 100, Secondary: secondary, Private: role}
	})
}

func TestVLANs(t *testing.T) {
	access78 := []func(*Config){access(idA, 7), access(idB, 8), access(idC, 7)}
	trunk := setPort(idA, func(p *PortConfig) {
		p.VLAN = VLANConfig{Mode: VLANTrunk, Allowed: []uint16{7, 8}, Native: 1}
	})
	wireTrunk := setPort(idWire, func(p *PortConfig) {
		p.VLAN = VLANConfig{Mode: VLANTrunk, Allowed: []uint16{7}, Native: 8}
	})
	tests := []struct {
		name   string
		change []func(*Config)
		steps  []step
	}{
		{"S-VS-09 VS-24 an access VLAN is a broadcast domain, tagged on the wire", access78, []step{
			{idA, bcast(idA), "c wire#7"}, {idB, bcast(idB), "wire#8"},
		}},
		{"VS-24 unicast of an access port", access78, []step{
			{idA, udp(idA, idC), "c"}, {idA, udp(idA, idRouter), "wire#7"}, {idA, udp(idA, idB), "VlanMismatch@b"},
		}},
		{"VS-24 from the wire the tag decides and is taken off", access78, []step{
			{idWire, tagged(udp(idRouter, idA), 7), "a"}, {idWire, tagged(udp(idRouter, idA), 8), "VlanMismatch@a"},
			{idWire, udp(idRouter, idA), "VlanMismatch@a"}, {idWire, tagged(bcast(idRouter), 7), "a c"}, {idWire, bcast(idRouter), "host"},
		}},
		{"S-VS-10 VS-24 an access port may not tag", access78, []step{
			{idA, tagged(udp(idA, idC), 8), "VlanMismatch@a"}, {idA, tagged(udp(idA, idC), 7), "VlanMismatch@a"},
		}},
		{"VS-24 VID 0 is a priority, not a VLAN", access78, []step{
			{idA, tagged(udp(idA, idC), 0), "c"}, {idA, tagged(udp(idA, idRouter), 0), "wire#7"},
		}},
		{"a port without VLAN speaks untagged", nil, []step{
			{idA, tagged(udp(idA, idB), 7), "VlanMismatch@a"}, {idA, tagged(udp(idA, idB), 0), "b"}, {idWire, tagged(udp(idRouter, idA), 7), "VlanMismatch@a"},
		}},
		{"VID 4095 is nobody's", nil, []step{{idWire, tagged(udp(idRouter, idA), 4095), "VlanMismatch@wire"}}},
		{"S-VS-11 VS-25 a trunk: native, allowed, other", []func(*Config){trunk, access(idB, 7), access(idC, 1)}, []step{
			{idA, bcast(idA), "c wire#1"}, {idA, tagged(bcast(idA), 7), "b wire#7"}, {idA, tagged(bcast(idA), 9), "VlanMismatch@a"},
			{idB, udp(idB, idA), "a#7"}, {idC, udp(idC, idA), "a"}, {idA, tagged(udp(idA, idB), 0), "VlanMismatch@b"},
		}},
		{"VS-25 a tag of the native VLAN is not in the list", []func(*Config){trunk}, []step{{idA, tagged(bcast(idA), 1), "VlanMismatch@a"}}},
		{"VS-25 a trunk on the wire", []func(*Config){wireTrunk, access(idA, 7), access(idB, 8), access(idC, 9)}, []step{
			{idA, bcast(idA), "wire#7"}, {idB, bcast(idB), "wire"}, {idC, bcast(idC), ""}, {idC, udp(idC, idRouter), "UnknownUnicast@c"},
			{idWire, udp(idRouter, idB), "b"}, {idWire, tagged(udp(idRouter, idC), 9), "VlanMismatch@wire"},
		}},
		{"S-VS-12 VS-26 isolated ports reach the promiscuous one only", []func(*Config){
			privateVLAN(idA, Isolated, 101), privateVLAN(idB, Isolated, 101), privateVLAN(idC, Promiscuous, 0),
		}, []step{
			{idA, udp(idA, idB), "VlanMismatch@b"}, {idA, udp(idA, idC), "c"}, {idC, udp(idC, idA), "a"},
			{idA, bcast(idA), "c wire#101"}, {idC, bcast(idC), "a b wire#100"},
		}},
		{"VS-26 communities", []func(*Config){
			privateVLAN(idA, Community, 102), privateVLAN(idB, Community, 102), privateVLAN(idC, Community, 103), privateVLAN(idHost, Promiscuous, 0),
		}, []step{
			{idA, udp(idA, idB), "b"}, {idA, udp(idA, idC), "VlanMismatch@c"}, {idA, bcast(idA), "b host wire#102"}, {idHost, bcast(idHost), "a b c wire#100"},
		}},
		{"VS-26 the wire is the other half of a private VLAN", []func(*Config){
			privateVLAN(idA, Isolated, 101), privateVLAN(idB, Community, 102), privateVLAN(idC, Promiscuous, 0),
		}, []step{
			{idWire, tagged(bcast(idRouter), 100), "a b c"}, {idWire, tagged(bcast(idRouter), 101), "c"}, {idWire, tagged(bcast(idRouter), 102), "b c"},
			{idWire, tagged(udp(idRouter, idA), 101), "VlanMismatch@a"},
		}},
		{"one address in two VLANs", []func(*Config){access(idA, 7), access(idB, 8), setPort(idB, func(p *PortConfig) { p.MAC = mac(idA) })}, []step{
			{idWire, tagged(udp(idRouter, idA), 7), "a"}, {idWire, tagged(udp(idRouter, idA), 8), "b"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The cache must not confuse VLANs.
			b := external(t, tt.change...)
			b.run(tt.steps)
			b.run(tt.steps)
		})
	}
}

func TestPriorityTags(t *testing.T) {
	keep := func(id vfp.PortID) func(*Config) {
		return setPort(id, func(p *PortConfig) { p.VLAN.AllowIeeePriorityTag = true })
	}
	sent := udp(idA, idB)
	sent.VLAN = &wire.VLANFields{ID: 0, Priority: 5, DropEligible: true}
	toWire := sent
	toWire.EthDst = mac(idRouter)
	tests := []struct {
		name   string
		change []func(*Config)
		frame  wire.Frame
		want   string
		tci    wire.TCI
	}{
		{"stripped by default", nil, sent, "b", 0},
		{"kept if both ports allow it", []func(*Config){keep(idA), keep(idB)}, sent, "b#0", wire.MakeTCI(5, true, 0)},
		{"not shown to a port that does not", []func(*Config){keep(idA)}, sent, "b", 0},
		{"not taken from a port that does not", []func(*Config){keep(idB)}, sent, "b", 0},
		{"on the wire without VLAN", []func(*Config){keep(idA)}, toWire, "wire#0", wire.MakeTCI(5, true, 0)},
		{"on the wire with VLAN", []func(*Config){access(idA, 7), keep(idA)}, toWire, "wire#7", wire.MakeTCI(5, true, 7)},
		{"lost on the wire by default", []func(*Config){access(idA, 7)}, toWire, "wire#7", 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := external(t, tt.change...)
			if got := b.send(idA, bytesOf(tt.frame)); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if eth := wire.Ethernet(b.ev.frames[0]); eth.Tagged() && eth.TCI() != tt.tci {
				t.Errorf("TCI %04x, want %04x", eth.TCI(), tt.tci)
			}
		})
	}
}

func TestTagsComeAndGoWithoutATrace(t *testing.T) {
	b := external(t, access(idA, 7))
	plain := udp(idA, idRouter)
	b.send(idA, bytesOf(plain))
	if got, want := b.ev.frames[0], bytesOf(tagged(plain, 7)); string(got) != string(want) {
		t.Errorf("on the wire:\n%x, want\n%x", got, want)
	}
	back := udp(idRouter, idA)
	b.send(idWire, bytesOf(tagged(back, 7)))
	if got, want := b.ev.frames[0], bytesOf(back); string(got) != string(want) {
		t.Errorf("at the endpoint:\n%x, want\n%x", got, want)
	}
}

func TestShiftedMetaIsThatOfTheFrame(t *testing.T) {
	for _, f := range [][]byte{bytesOf(udp(idA, idB)), bytesOf(dhcp6(1, 546)), bytesOf(bcast(idA))} {
		p := vfp.NewPacket(f)
		p.Parse()
		pushTag(p, 7)
		want := p.Meta
		if p.Parse(); p.Meta != want {
			t.Errorf("after a tag was pushed: %+v, parsed %+v", want, p.Meta)
		}
		stripTag(p)
		want = p.Meta
		if p.Parse(); p.Meta != want {
			t.Errorf("after it was stripped: %+v, parsed %+v", want, p.Meta)
		}
	}
}
