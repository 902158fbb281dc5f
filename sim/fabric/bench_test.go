package fabric

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// BenchmarkHop is one frame from NIC to NIC over a segment: two events.
func BenchmarkHop(b *testing.B) {
	w := New(Config{})
	a, _ := w.AddNIC("lan", NICConfig{Node: "a", Name: "n"})
	_, _ = w.AddNIC("lan", NICConfig{Node: "b", Name: "n"})
	f := wire.Frame{EthDst: wire.Broadcast, EthSrc: a.MAC(), EtherType: 0x88b5, Payload: make([]byte, 1400)}
	frame := f.Bytes()
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		a.Send(w.Loop.Now(), frame, 1)
		if err := w.Loop.Settle(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoutedTCP moves a megabyte through a router.
func BenchmarkRoutedTCP(b *testing.B) {
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	data := make([]byte, 1<<20)
	for b.Loop() {
		w := New(Config{})
		x, _ := w.AddExternal(NodeConfig{Name: "x", Ifaces: []IfaceConfig{{Segment: "lan", Addrs: prefixes("10.0.0.2/24")}}})
		y, _ := w.AddExternal(NodeConfig{Name: "y", Ifaces: []IfaceConfig{{Segment: "wan", Addrs: prefixes("10.1.0.2/24")}}})
		_, _ = w.AddRouter(NodeConfig{Name: "r", Ifaces: []IfaceConfig{
			{Segment: "lan", Addrs: prefixes("10.0.0.1/24")}, {Segment: "wan", Addrs: prefixes("10.1.0.1/24")},
		}})
		got := 0
		_, _ = y.Stack().Listen(wire.ProtoTCP, netip.Addr{}, 80, ipstack.Handler{Stream: func(now int64, c *ipstack.Conn, _ ipstack.Event) {
			got += len(c.Take(now))
		}})
		c, err := x.Stack().Dial(0, netip.AddrPort{}, netip.MustParseAddrPort("10.1.0.2:80"), nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = c.Write(0, data)
		if err := w.Loop.Settle(); err != nil || got != len(data) {
			b.Fatal(err, got)
		}
	}
}
