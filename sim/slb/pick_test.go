package slb

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func header(src string, sport uint16, proto uint8) *vfp.Header {
	return &vfp.Header{Src: netip.MustParseAddr(src), Dst: vip, SrcPort: sport, DstPort: 80, Proto: proto}
}

// Rule LB-05: within a tenth of even over ten thousand flows, for up to sixteen
// backends, whether clients are many or few and ports random or in a row.
func TestFlowsSpreadEvenly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, flow := range map[string]func(i int) *vfp.Header{
		"random": func(int) *vfp.Header {
			return header(netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}).String(), uint16(r.Uint32()), 6)
		},
		"one client, ports in a row": func(i int) *vfp.Header { return header("10.244.1.10", uint16(10000+i), 6) },
		"clients in a row, one port": func(i int) *vfp.Header {
			return header(netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)}).String(), 5000, 6)
		},
		"IPv6": func(i int) *vfp.Header {
			h := header("fd00::1", uint16(10000+i), 6)
			h.Dst = netip.MustParseAddr("fd00:96::10")
			return h
		},
	} {
		const flows = 40_000
		for n := 1; n <= 16; n++ {
			count := make([]int, n)
			for i := range flows {
				count[PerFlow.Pick(flow(i), n)]++
			}
			for b, c := range count {
				if even := float64(flows) / float64(n); float64(c) < 0.9*even || float64(c) > 1.1*even {
					t.Errorf("%s: backend %d of %d has %d flows, even is %.0f", name, b, n, c, even)
				}
			}
		}
	}
}

func TestDistributionLooksAtItsTupleOnly(t *testing.T) { // LB-10, contract 8.1
	same := func(d Distribution, a, b *vfp.Header) bool {
		for n := 2; n < 200; n++ {
			if d.Pick(a, n) != d.Pick(b, n) {
				return false
			}
		}
		return true
	}
	a := header("10.244.1.10", 5000, wire.ProtoTCP)
	port, proto, client := header("10.244.1.10", 5001, wire.ProtoTCP), header("10.244.1.10", 5000, wire.ProtoUDP), header("10.244.1.11", 5000, wire.ProtoTCP)
	other := header("10.244.1.10", 5000, wire.ProtoTCP)
	other.Dst = netip.MustParseAddr("10.96.10.11")
	for d, want := range map[Distribution][4]bool{ // port, protocol, client, VIP differ
		PerFlow:           {false, false, false, false},
		PerSourceProtocol: {true, false, false, false},
		PerSource:         {true, true, false, false},
	} {
		got := [4]bool{same(d, a, port), same(d, a, proto), same(d, a, client), same(d, a, other)}
		if got != want {
			t.Errorf("distribution %d: same choice with another port, protocol, client, VIP: %v, want %v", d, got, want)
		}
	}
}
