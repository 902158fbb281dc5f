package winnat

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func benchNAT(b testing.TB) *NAT {
	n, err := New(baseConfig(), &stubPorts{first: 1001, blocks: 640}, 1)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// flowPacket rewrites p to the outgoing packet of flow i: 100 flows share an
// internal port, so a hundred thousand fit into a thousand mappings.
func flowPacket(p *vfp.Packet, template []byte, i int) {
	p.Reset(template)
	p.Parse()
	wire.SetIPv4Src(p.Bytes(), &p.Meta, 0xac10000a)
	wire.SetIPv4Dst(p.Bytes(), &p.Meta, 0xcb007100+uint32(i%100))
	wire.SetPorts(p.Bytes(), &p.Meta, uint16(1000+i/100), 53)
}

// BenchmarkEstablished translates packets of known flows, in random order and
// in batches. The time includes loading the packets into the batch, which
// BenchmarkLoad measures alone.
func BenchmarkEstablished(b *testing.B) {
	for _, flows := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("%d flows", flows), func(b *testing.B) {
			n := benchNAT(b)
			ext := place("h1")
			template := mkFrame("udp cn1:5000>x:53").Bytes()
			batch := new(vfp.Batch)
			for i := range flows {
				flowPacket(&batch.Pkts[0], template, i)
				if res := n.Outbound(0, &batch.Pkts[0], ext); res.Verdict != Translated {
					b.Fatal(res)
				}
			}
			order := rand.New(rand.NewPCG(1, 2)).Perm(flows)
			at := 0
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += vfp.BatchSize {
				for i := range batch.Pkts {
					flowPacket(&batch.Pkts[i], template, order[at])
					if at++; at == flows {
						at = 0
					}
				}
				for i := range batch.Pkts {
					n.Outbound(1, &batch.Pkts[i], ext)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	template := mkFrame("udp cn1:5000>x:53").Bytes()
	p := new(vfp.Packet)
	for i := 0; b.Loop(); i++ {
		flowPacket(p, template, i%100_000)
	}
}

// BenchmarkNewFlow opens a session and, each hundredth time, a mapping; old
// ones expire on the way.
func BenchmarkNewFlow(b *testing.B) {
	n := benchNAT(b)
	ext := place("h1")
	template := mkFrame("udp cn1:5000>x:53").Bytes()
	p := new(vfp.Packet)
	b.ReportAllocs()
	now := int64(0)
	for i := 0; b.Loop(); i++ {
		now += int64(seconds(120)) / 50_000
		flowPacket(p, template, i%2_000_000)
		if res := n.Outbound(now, p, ext); res.Verdict != Translated {
			b.Fatal(res)
		}
	}
}

// BenchmarkTable compares with a Go map at 65,536 keys, in random order.
func BenchmarkTable(b *testing.B) {
	const size = 1 << 16
	r := rand.New(rand.NewPCG(7, 8))
	keys := make([]wire.Key4, size)
	var tab numbers
	m := make(map[wire.Key4]uint32)
	for i := range keys {
		keys[i] = wire.Key4{A: r.Uint64(), B: r.Uint64()}
		tab.put(keys[i], uint32(i+1))
		m[keys[i]] = uint32(i + 1)
	}
	r.Shuffle(size, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var sum uint32
	b.Run("table", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			sum += tab.get(keys[i%size])
		}
	})
	b.Run("map", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			sum += m[keys[i%size]]
		}
	})
	_ = sum
}

func TestEstablishedFlowsDoNotAllocate(t *testing.T) {
	n := benchNAT(t)
	ext := place("h1")
	out := mkFrame("tcp cn1:5000>x:443 S").Bytes()
	in := mkFrame("tcp x:443>h1:1001 A").Bytes()
	p := mkPacket(out)
	n.Outbound(0, p, ext)
	if got := testing.AllocsPerRun(1000, func() {
		p.Reset(out)
		p.Parse()
		if n.Outbound(1, p, ext).Verdict != Translated {
			t.Fatal("out")
		}
		p.Reset(in)
		p.Parse()
		if n.Inbound(1, p, ext).Verdict != Translated {
			t.Fatal("in")
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestASessionFitsACacheLine(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 64 {
		t.Errorf("%d bytes", size)
	}
}

// What Warm looks at need not be a packet, and it changes nothing.
func TestWarmTakesAnything(t *testing.T) {
	n := benchNAT(t)
	ext := place("h1")
	template := mkFrame("udp cn1:5000>x:53").Bytes()
	batch := new(vfp.Batch)
	for i := range 2 * warmAt {
		flowPacket(&batch.Pkts[0], template, i)
		n.Outbound(0, &batch.Pkts[0], ext)
	}
	before := n.counters
	for i := range batch.Pkts {
		flowPacket(&batch.Pkts[i], template, i)
		batch.Pkts[i].TrimTo(i)
	}
	n.Warm(batch.Pkts[:])
	for i := range batch.Pkts {
		flowPacket(&batch.Pkts[i], template, i)
	}
	if got := testing.AllocsPerRun(10, func() { n.Warm(batch.Pkts[:]) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
	if n.counters != before {
		t.Error("it counts")
	}
	for i := range batch.Pkts {
		if p := &batch.Pkts[i]; p.Parse() != wire.OK || !n.Forward(0, p, ext) || wire.VerifyChecksums(p.Bytes()) != nil {
			t.Errorf("flow %d is not known", i)
		}
	}
}
