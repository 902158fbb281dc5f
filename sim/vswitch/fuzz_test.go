package vswitch

import (
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// FuzzProcess sends an arbitrary frame twice through the switch of a seed, with
// and without cache: nothing panics, no frame vanishes, and the cache changes
// nothing.
func FuzzProcess(f *testing.F) {
	inner := udp(idRouter, idA)
	short := wire.Frame{EthSrc: mac(idWire), EthDst: mac(idA), IP: &wire.IPFields{Src: pa2, Dst: pa1}, VXLAN: &wire.VXLANFields{VNI: 5}, Payload: []byte{1, 2, 3}}
	tunnel := short
	tunnel.Payload, tunnel.Inner = nil, &inner
	for seed, frame := range []wire.Frame{
		udp(idA, idB), bcast(idA), tagged(udp(idA, idB), 7), tagged(bcast(idC), 0), arp(idA, idB), udp6(idA, idB),
		dhcp4(wire.DHCPOffer), dhcp6(dhcpv6Reply, 547), tcp(idA, idB, 1000, 80), short, tunnel,
	} {
		f.Add(uint16(seed), byte(seed), bytesOf(frame))
	}
	f.Add(uint16(0), byte(0), []byte{})
	f.Fuzz(func(t *testing.T, seed uint16, from byte, frame []byte) {
		if len(frame) > 1<<16 {
			return
		}
		var seen [2]string
		for i, cache := range [2]bool{false, true} {
			g, s, h := newGen(uint64(seed)), New(), new(history)
			s.SetNextHop(h)
			s.SetFlowCache(cache)
			if s.Apply(g.config()) != nil {
				return
			}
			var b vfp.Batch
			b.N = 2
			for j := range b.N {
				b.Pkts[j].Reset(frame)
				b.Pkts[j].InPort = genPorts[int(from)%len(genPorts)]
			}
			s.Process(&b, h)
			for j := range b.N {
				if b.Pkts[j].Verdict == vfp.Pending {
					t.Error("a packet has no verdict")
				}
			}
			if err := s.Conserved(); err != nil {
				t.Error(err)
			}
			if err := s.Dump(h); err != nil {
				t.Error(err)
			}
			seen[i] = h.String()
		}
		if seen[0] != seen[1] {
			t.Errorf("with the cache\n%s", firstDifference(seen[1], seen[0]))
		}
	})
}
