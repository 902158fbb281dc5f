package ipstack

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// mkFragments cuts a datagram of n bytes for b, which listens on port 53.
func mkFragments(dst string, n int, id uint32) [][]byte {
	f := wire.Frame{EthDst: wire.MAC{2, 0, 0, 0, 0, 2}, EthSrc: wire.MAC{2, 0, 0, 0, 0, 1},
		IP:  &wire.IPFields{Src: ip("10.0.0.1"), Dst: ip(dst), ID: id},
		UDP: &wire.UDPFields{SrcPort: 1, DstPort: 53}, Payload: mkPayload(n)}
	if f.IP.Dst.Is6() {
		f.IP.Src, f.IP.ID = ip("fd00::1"), 0
	}
	out, _ := wire.Fragment(f.Bytes(), 600, id)
	return out
}

func TestReassembly(t *testing.T) {
	tests := []struct {
		name  string
		order []int // of five fragments; -1 is a piece that overlaps the second
		whole bool
		drops int
	}{
		{"in order", []int{0, 1, 2, 3, 4}, true, 0},
		{"the last first", []int{4, 3, 2, 1, 0}, true, 0},
		{"repeated pieces", []int{0, 0, 2, 1, 1, 2, 4, 3}, true, 0},
		{"a gap", []int{0, 1, 3, 4}, false, 4},
		{"without the last", []int{0, 1, 2, 3}, false, 4},
		{"an overlap spoils what is there", []int{0, 1, -1}, false, 3},
	}
	for _, dst := range []string{"10.0.0.2", "fd00::2"} {
		for _, tt := range tests {
			t.Run(tt.name+" to "+dst, func(t *testing.T) {
				p := mkPair(t)
				var sink udpSink
				_, _ = p.b.Listen(wire.ProtoUDP, netip.Addr{}, 53, sink.handler())
				frames := mkFragments(dst, 2500, 9)
				if len(frames) != 5 {
					t.Fatalf("%d fragments", len(frames))
				}
				for _, i := range tt.order {
					if i < 0 {
						p.ib.Receive(0, mkOverlap(frames[1]), 1)
						continue
					}
					p.ib.Receive(0, frames[i], 1)
				}
				p.advance(31 * time.Second)
				if (len(sink.got) == 1) != tt.whole {
					t.Errorf("%d datagrams arrived", len(sink.got))
				}
				if tt.whole && len(sink.got) > 0 && !strings.HasSuffix(sink.got[0], string(mkPayload(2500))) {
					t.Error("the datagram is not what was sent")
				}
				if len(p.drops) != tt.drops {
					t.Errorf("drops %v, want %d", p.drops, tt.drops)
				}
			})
		}
	}
}

// mkOverlap makes a fragment that begins eight bytes after f does.
func mkOverlap(f []byte) []byte {
	f = append([]byte(nil), f...)
	var m wire.Meta
	wire.Parse(f, &m)
	if m.IsIPv4 {
		h := wire.IPv4(f[m.L3:])
		h.SetFrag(false, true, h.FragOffset()+8)
		wire.FixChecksums(f, &m)
		return f
	}
	h := wire.IPv6Fragment(f[m.FragHeader:])
	h.Set(h.NextHeader(), h.Offset()+8, true, h.ID())
	return f
}

func TestFragmentsAreForgottenAfterThirtySeconds(t *testing.T) {
	p := mkPair(t)
	var sink udpSink
	_, _ = p.b.Listen(wire.ProtoUDP, netip.Addr{}, 53, sink.handler())
	frames := mkFragments("10.0.0.2", 2500, 9)
	for _, f := range frames[:4] {
		p.ib.Receive(0, f, 1)
	}
	p.advance(29 * time.Second)
	p.wantDrops()
	p.advance(2 * time.Second)
	if len(p.drops) != 4 || !strings.Contains(p.drops[0], "ReassemblyTimeout") {
		t.Errorf("drops %v", p.drops)
	}
	p.ib.Receive(p.now, frames[4], 1)
	p.settle()
	if len(sink.got) != 0 {
		t.Error("the last fragment completed a datagram that was forgotten")
	}
}

func TestOnlySixtyFourDatagramsArePutTogetherAtOnce(t *testing.T) {
	p := mkPair(t)
	for i := range maxDatagrams + 1 {
		p.ib.Receive(0, mkFragments("10.0.0.2", 2500, uint32(i+1))[0], 1)
	}
	p.wantDrops("b reassembly QueueFull")
}

func TestADatagramComesTogetherInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		p := mkPair(t)
		var sink udpSink
		_, _ = p.b.Listen(wire.ProtoUDP, netip.Addr{}, 53, sink.handler())
		frames := mkFragments("10.0.0.2", 3000+r.IntN(20000), 9)
		for _, i := range r.Perm(len(frames)) {
			p.ib.Receive(0, frames[i], 1)
		}
		if len(sink.got) != 1 {
			t.Fatalf("%d fragments: %d datagrams, drops %v", len(frames), len(sink.got), p.drops)
		}
	}
}
