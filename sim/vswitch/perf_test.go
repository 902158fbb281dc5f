package vswitch

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
)

// silent is a Sink that looks away.
type silent struct{ delivered, dropped int }

func (s *silent) Deliver(int64, vfp.PortID, *vfp.Packet) { s.delivered++ }
func (s *silent) Dropped(int64, vfp.PortID, *vfp.Packet) { s.dropped++ }

// busy is a switch with policy on both ports of a flow.
func busy(t testing.TB) *bed {
	allow := vfp.Rule{Action: vfp.Allow{}, Stateful: true}
	return external(t, program(idA, layer(vfp.Out, allow)), program(idB, layer(vfp.In, allow)))
}

// load fills the batch with udp packets of n flows from a to b, beginning with
// flow first.
func load(b *vfp.Batch, frames [][]byte, first int) {
	b.N = vfp.BatchSize
	for i := range b.N {
		b.Pkts[i].Reset(frames[(first+i)%len(frames)])
		b.Pkts[i].InPort = idA
	}
}

func flows(n int) [][]byte {
	frames := make([][]byte, n)
	for i := range frames {
		f := udp(idA, idB)
		f.IP.Dst = netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		frames[i] = f.Bytes()
	}
	return frames
}

func TestThePacketPathDoesNotAllocate(t *testing.T) {
	acl := extended(idA, ExtACL{Allow: true, Stateful: true}, ExtACL{Dir: vfp.In, Allow: true})
	tests := []struct {
		name   string
		cache  bool
		change []func(*Config)
		frames [][]byte
	}{
		{"cached", true, nil, flows(8)},
		{"walked, with layer flows", false, nil, flows(8)},
		{"stateful port ACLs", true, []func(*Config){acl}, flows(8)},
		{"VLAN tags", true, []func(*Config){access(idA, 7), access(idB, 7)}, flows(8)},
		{"flooded", true, nil, [][]byte{bytesOf(bcast(idA))}},
		{"mirrored", true, []func(*Config){setPort(idA, func(p *PortConfig) { p.Mirror = MirrorSource }), setPort(idC, func(p *PortConfig) { p.Mirror = MirrorDestination })}, flows(8)},
		{"learning", true, []func(*Config){setPort(idA, func(p *PortConfig) { p.MACSpoofing = true })}, [][]byte{bytesOf(ethSrc(udp(idA, idB), mac(0x55)))}},
		{"limited", true, []func(*Config){setPort(idA, func(p *PortConfig) { p.Shaper = &allowance{bytes: 1 << 60} })}, flows(8)},
		{"dropped", true, []func(*Config){program(idB, layer(vfp.In, vfp.Rule{Action: vfp.Block{}}))}, flows(8)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := busy(t)
			b.apply(tt.change...)
			b.s.SetFlowCache(tt.cache)
			batch, sink := new(vfp.Batch), new(silent)
			load(batch, tt.frames, 0)
			b.s.Process(batch, sink)
			got := testing.AllocsPerRun(20, func() {
				load(batch, tt.frames, 0)
				b.s.Process(batch, sink)
			})
			if got != 0 {
				t.Errorf("%.1f allocations per batch", got)
			}
			if sink.delivered+sink.dropped < vfp.BatchSize {
				t.Errorf("nothing happened: %+v", sink)
			}
			if err := b.s.Conserved(); err != nil {
				t.Error(err)
			}
		})
	}
}

func benchmark(b *testing.B, cache bool, n int) {
	bed := busy(b)
	bed.s.SetFlowCache(cache)
	frames := flows(n)
	batch, sink := new(vfp.Batch), new(silent)
	for first := 0; first < n; first += vfp.BatchSize {
		load(batch, frames, first)
		bed.s.Process(batch, sink)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		load(batch, frames, i)
		bed.s.Process(batch, sink)
		i += vfp.BatchSize
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vfp.BatchSize), "ns/pkt")
}

func BenchmarkCached(b *testing.B)    { benchmark(b, true, 1024) }
func BenchmarkWalked(b *testing.B)    { benchmark(b, false, 1024) }
func BenchmarkManyFlows(b *testing.B) { benchmark(b, true, 1<<16) }
func BenchmarkOneFlow(b *testing.B)   { benchmark(b, true, 1) }
