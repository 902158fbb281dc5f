package slb

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// silent is a Sink that counts.
type silent struct{ delivered, dropped int }

func (s *silent) Deliver(int64, vfp.PortID, *vfp.Packet) { s.delivered++ }
func (s *silent) Dropped(int64, vfp.PortID, *vfp.Packet) { s.dropped++ }

// bed is a switch with a client and a backend, and services of a kind.
type bed struct {
	sw    *vswitch.Switch
	sink  silent
	batch vfp.Batch
	frame []byte
	flows int
}

// newBed makes services load-balanced addresses with some backends each; the
// client speaks to the last of them.
func newBed(t testing.TB, direct bool, services, flows int, cache bool) *bed {
	t.Helper()
	space := vfp.NewPortSpace()
	space.SetDynamic(vfp.PortRange{Lo: 1024, Hi: 65535})
	pool, err := vfp.NewNATPool(space, wire.ProtoUDP, 1<<40, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	var fs []Frontend
	for i := range services {
		fs = append(fs, Frontend{
			ID: fmt.Sprint(i), VIP: netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)}), Proto: wire.ProtoUDP, Port: 80, Internal: 8080,
			DSR: direct, SNAT: vfp.DynNAT{Pool: pool, To: node},
			Backends: []Backend{nearBackend(), nearBackend(), nearBackend(), nearBackend()},
		})
	}
	toBackend := vfp.Layer{Name: "ROUTE", Priority: 400, Groups: []vfp.Group{{Name: "g", Dir: vfp.Out, Rules: []vfp.Rule{{
		ID: "route", Action: vfp.ForwardTo{Forward: vfp.Forward{Kind: vfp.ToPort, Port: 101}}}}}}}
	b := &bed{sw: vswitch.New(), flows: flows}
	b.sw.SetFlowCache(cache)
	if err := b.sw.Apply(&vswitch.Config{Name: "s", Kind: vswitch.External, VFP: true, MTU: 1500, Ports: []vswitch.PortConfig{
		{ID: wireID, Name: "wire", Kind: vswitch.ExternalPort},
		{ID: client, Name: "client", Kind: vswitch.EndpointPort, MAC: podM, Program: &vfp.Program{Layers: append(ClientLayers(fs, nil), toBackend)}},
		{ID: 101, Name: "backend", Kind: vswitch.EndpointPort, MAC: nearM},
	}}); err != nil {
		t.Fatal(err)
	}
	b.frame = (&wire.Frame{EthSrc: podM, EthDst: gwM, IP: &wire.IPFields{Src: pod, Dst: fs[services-1].VIP},
		UDP: &wire.UDPFields{SrcPort: 1, DstPort: 80, NoChecksum: true}, Payload: make([]byte, 22)}).Bytes()
	return b
}

// run takes a batch through the switch, one packet of each flow from first on.
func (b *bed) run(first int) {
	b.batch.N = vfp.BatchSize
	for i := range b.batch.N {
		p := &b.batch.Pkts[i]
		p.Reset(b.frame)
		binary.BigEndian.PutUint16(p.Bytes()[34:], uint16((first+i)%b.flows+1))
		p.InPort = client
	}
	b.sw.Process(&b.batch, &b.sink)
}

func (b *bed) warmUp() {
	for range 2 {
		for i := 0; i < b.flows; i += vfp.BatchSize {
			b.run(i)
		}
	}
	b.sink = silent{}
}

func TestBalancingDoesNotAllocate(t *testing.T) {
	for _, direct := range []bool{true, false} {
		for _, cache := range []bool{true, false} {
			b := newBed(t, direct, 10, 256, cache)
			b.warmUp()
			i := 0
			n := testing.AllocsPerRun(50, func() {
				b.run(i)
				i += vfp.BatchSize
			})
			if n != 0 || b.sink.dropped > 0 || b.sink.delivered < 50*vfp.BatchSize {
				t.Errorf("DSR %v, cache %v: %v allocations a batch, %+v", direct, cache, n, b.sink)
			}
		}
	}
}

func TestChoosingDoesNotAllocate(t *testing.T) {
	f, _ := plain(t, farBackend(), nearBackend())
	for name, layers := range map[string][]vfp.Layer{"client": ClientLayers([]Frontend{f}, nil), "wire": WireLayers([]Frontend{f}, Wire{})} {
		p := vfp.NewPort(client, vfp.PortLimits{})
		p.SetProgram(&vfp.Program{Layers: layers})
		pkt := vfp.NewPacket((&wire.Frame{EthSrc: podM, EthDst: gwM, IP: &wire.IPFields{Src: pod, Dst: vip},
			TCP: &wire.TCPFields{SrcPort: 5555, DstPort: 80, Flags: wire.TCPSyn}}).Bytes())
		pkt.InPort = client
		pkt.Parse()
		w, now := new(vfp.Walk), int64(0)
		walk := func() {
			now += 300e9 // the flow has been forgotten: the backend is chosen again
			w.Begin(now, pkt, 0, nil)
			p.Walk(w, vfp.Out)
			p.Age(now, 64)
		}
		for range 200 {
			walk()
		}
		if n := testing.AllocsPerRun(50, walk); n != 0 || w.H.Dst == vip {
			t.Errorf("%s: %v allocations a flow, to %v", name, n, w.H.Dst)
		}
	}
}

func benchmark(b *testing.B, cache bool) {
	for _, direct := range []bool{true, false} {
		for _, services := range []int{1, 1000} {
			name := map[bool]string{true: "dsr", false: "plain"}[direct]
			b.Run(fmt.Sprintf("%s/services=%d", name, services), func(b *testing.B) {
				bed := newBed(b, direct, services, 16384, cache)
				bed.warmUp()
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					bed.run(i)
					i += vfp.BatchSize
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vfp.BatchSize), "ns/packet")
			})
		}
	}
}

func BenchmarkCached(b *testing.B) { benchmark(b, true) }
func BenchmarkWalked(b *testing.B) { benchmark(b, false) }

// BenchmarkCompile is a cluster of a thousand services with ten backends each,
// as one node's client ports share it.
func BenchmarkCompile(b *testing.B) {
	var fs []Frontend
	for i := range 1000 {
		f := dsr(nearBackend(), farBackend(), nearBackend(), farBackend(), nearBackend(), farBackend(), nearBackend(), farBackend(), nearBackend(), farBackend())
		f.ID, f.VIP = fmt.Sprint(i), netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)})
		fs = append(fs, f)
	}
	p := vfp.NewPort(client, vfp.PortLimits{})
	for b.Loop() {
		p.SetProgram(&vfp.Program{Layers: ClientLayers(fs, nil)})
	}
}
