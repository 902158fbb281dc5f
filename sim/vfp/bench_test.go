package vfp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// rig drives a lab the way a switch does: batches of 64, one port.
type rig struct {
	*lab
	frame []byte // of the flow with ports 0>0; the UDP checksum stays that one's
	flows int
	batch Batch
	keys  [BatchSize]Key
	walk  Walk
	hits  int
}

// newRig makes flows of 64-byte UDP frames from A through the given layers.
func newRig(flows int, dst netip.Addr, layers ...Layer) *rig {
	r := &rig{lab: newLab(true, PortLimits{}), flows: flows}
	r.program(portA, layers...)
	frame := udp(ipA, dst, 0, 0)
	frame.Payload = make([]byte, 22)
	r.frame = frame.Bytes()
	return r
}

// run takes a batch of flows, beginning with the given one, through the cache
// and, where that misses, through the layers.
func (r *rig) run(first int) {
	src := r.ports[0]
	gen := r.gen()
	for i := range BatchSize {
		p := &r.batch.Pkts[i]
		// Consecutive packets are of flows that lie far apart.
		p.Reset(r.frame)
		p.InPort = portA
		flow := uint32((first + i) * 7919 % r.flows)
		binary.BigEndian.PutUint32(p.Bytes()[34:], flow<<16|flow>>16+1)
		p.Parse()
		src.Cache.Key(p, &r.keys[i])
	}
	src.Cache.Warm(r.keys[:])
	for i := range BatchSize {
		p, k := &r.batch.Pkts[i], &r.keys[i]
		if t, ok := src.Cache.Lookup(k, p, r.now, gen); ok {
			t.Apply(p)
			p.OutPort = t.Out
			r.hits++
			continue
		}
		r.slow(p, k, gen)
	}
}

// one is run for a single packet of a flow.
func (r *rig) one(flow int) {
	src, p, k := r.ports[0], &r.batch.Pkts[0], &r.keys[0]
	p.Reset(r.frame)
	p.InPort = portA
	binary.BigEndian.PutUint32(p.Bytes()[34:], uint32(flow)<<16|uint32(flow)>>16+1)
	p.Parse()
	src.Cache.Key(p, k)
	if t, ok := src.Cache.Lookup(k, p, r.now, r.gen()); ok {
		t.Apply(p)
		r.hits++
		return
	}
	r.slow(p, k, r.gen())
}

func (r *rig) slow(p *Packet, k *Key, gen uint64) {
	w := &r.walk
	w.Begin(r.now, p, 0, nil)
	out := r.lab.walk(w, r.ports[0])
	t := Diff(w)
	t.Out = out
	if Cachable(w) {
		r.ports[0].Cache.Install(k, w, &t, gen)
	}
	w.Commit(p, &t)
	p.OutPort = out
}

func (r *rig) warmUp() {
	for i := 0; i < r.flows; i += BatchSize {
		r.run(i)
	}
	r.hits = 0
}

func benchLayers(name string) (netip.Addr, []Layer) {
	acl := aclLayer(Reevaluate, out(allow("a", Match{})), in(allow("b", Match{})))
	space := NewPortSpace()
	space.SetDynamic(ports(0, 65535))
	pool, _ := NewNATPool(space, wire.ProtoUDP, 1, 1<<16)
	switch name {
	case "acl":
		return ipB, []Layer{acl}
	case "nat":
		return ipX, []Layer{acl, snat(pool)}
	case "encap":
		return ipX, []Layer{{Name: "ENCAP", Groups: []Group{out(Rule{ID: "e", Action: push{VXLAN, ip("10.127.130.38"), 4096, 0}})}}}
	}
	return ipB, nil
}

func BenchmarkHit(b *testing.B) {
	for _, name := range []string{"l2", "acl", "nat", "encap"} {
		for _, flows := range []int{1000, 100_000} {
			if name == "nat" {
				flows = min(flows, 60_000)
			}
			b.Run(fmt.Sprintf("%s/flows=%d", name, flows), func(b *testing.B) {
				dst, layers := benchLayers(name)
				r := newRig(flows, dst, layers...)
				r.warmUp()
				r.warmUp() // some entries were stale: new flows share their watch counters
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					r.run(i)
					i += BatchSize
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*BatchSize), "ns/packet")
				if r.hits < b.N*BatchSize {
					b.Fatalf("%d hits of %d", r.hits, b.N*BatchSize)
				}
			})
		}
	}
}

// BenchmarkNewFlow walks a flow's first packet, records its layer flows and
// installs the outcome.
func BenchmarkNewFlow(b *testing.B) {
	for _, name := range []string{"l2", "acl", "nat"} {
		b.Run(name, func(b *testing.B) {
			dst, layers := benchLayers(name)
			r := newRig(50_000, dst, layers...)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i%(r.flows/BatchSize*BatchSize) == 0 {
					r.now += seconds(240)
				}
				r.run(i)
				i += BatchSize
				r.ports[0].Age(r.now, BatchSize)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*BatchSize), "ns/packet")
		})
	}
}

func TestTheHitPathDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"l2", "acl", "nat", "encap"} {
		dst, layers := benchLayers(name)
		r := newRig(256, dst, layers...)
		r.warmUp()
		i := 0
		n := testing.AllocsPerRun(50, func() {
			r.run(i)
			i += BatchSize
		})
		if n != 0 || r.hits == 0 {
			t.Errorf("%s: %v allocations a batch, %d hits", name, n, r.hits)
		}
	}
}

func TestTheWalkDoesNotAllocateOncePoolsHaveGrown(t *testing.T) {
	for _, name := range []string{"l2", "acl", "nat", "encap"} {
		dst, layers := benchLayers(name)
		r := newRig(1024, dst, layers...)
		i := 0
		batch := func() {
			r.now += seconds(240) // every packet opens a flow
			r.run(i)
			r.ports[0].Age(r.now, 4096)
			i += BatchSize
		}
		for range 100 {
			batch()
		}
		if n := testing.AllocsPerRun(50, batch); n != 0 || r.hits != 0 && name != "l2" && name != "encap" {
			t.Errorf("%s: %v allocations a batch, %d hits", name, n, r.hits)
		}
	}
}

func TestDecapsulatedFlowsAreCachedApart(t *testing.T) { // OV-01, OV-12
	l := newLab(true, PortLimits{})
	l.program(portWire, Layer{Name: "DECAP", Groups: []Group{out(Rule{ID: "pop", Match: Match{Dst: at(ipH)}, Action: pop{}})}})
	tunnel := func(vni uint32, inner *wire.Frame) []byte {
		f := &wire.Frame{EthSrc: macR, EthDst: macHost, IP: &wire.IPFields{Src: ipX, Dst: ipH},
			UDP: &wire.UDPFields{SrcPort: 50000, DstPort: 4789, NoChecksum: true}, VXLAN: &wire.VXLANFields{VNI: vni}, Inner: inner}
		return f.Bytes()
	}
	toA, toB := udp(ipX, ipA, 1, 2), udp(ipX, ipB, 1, 2)
	for round, want := range []bool{false, true} {
		for _, tt := range []struct {
			frame []byte
			out   PortID
		}{{tunnel(4096, toA), portA}, {tunnel(4096, toB), portB}, {tunnel(4097, toA), portA}} {
			r := l.send(portWire, tt.frame)
			if r.out != tt.out || r.hit != want {
				t.Errorf("round %d: %v (cache hit %v)", round, r, r.hit)
			}
		}
	}
	other := tunnel(4096, toA)
	m := metaOf(other)
	wire.SetIPv4Dst(other, m, wire.Addr4(ipX)) // not for us: it must not be decapsulated
	if r := l.send(portWire, other); r.hit || r.drop != DropUnknownUnicast {
		t.Errorf("a tunnel packet for another host: %v (cache hit %v)", r, r.hit)
	}
}
