package ipstack

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// The second packet of a pair of addresses finds its way, and whatever the way
// follows from forgets it: then the packet takes the long way or fails.
func TestWaysAreForgottenWhenAnythingChanges(t *testing.T) {
	for name, change := range map[string]func(n *routed, out *Interface){
		"nothing":                func(*routed, *Interface) {},
		"the way out goes down":  func(_ *routed, out *Interface) { out.SetUp(false) },
		"its MTU changes":        func(_ *routed, out *Interface) { out.SetMTU(576) },
		"its MAC changes":        func(_ *routed, out *Interface) { out.SetMAC(out.MAC()) },
		"it does not forward":    func(_ *routed, out *Interface) { out.SetForwarding(false) },
		"nor does the stack":     func(n *routed, _ *Interface) { n.r.SetForwarding(false) },
		"a neighbour is unknown": func(n *routed, out *Interface) { n.r.DeleteNeighbor(n.now, out.Name(), ip("10.2.0.1")) },
		"there are hooks":        func(n *routed, _ *Interface) { n.r.SetHooks(Hooks{}) },
		"there is an address":    func(_ *routed, out *Interface) { _ = out.AddAddr(netip.MustParsePrefix("10.9.0.1/24")) },
	} {
		n := mkRouted(t)
		in, out := n.r.onLink(ip("10.1.0.1")), n.r.onLink(ip("10.2.0.1"))
		frame := (&wire.Frame{EthSrc: n.a.onLink(ip("10.1.0.254")).MAC(), EthDst: in.MAC(), IP: &wire.IPFields{Src: ip("10.1.0.1"), Dst: ip("10.2.0.1"), TTL: 9},
			UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}}).Bytes()
		for range 2 { // the first one waits for the neighbour
			in.Receive(n.now, frame, 1)
			n.settle()
		}
		change(n, out)
		p := vfp.NewPacket(frame)
		got := in.Advance(n.now, p)
		if (got != nil) != (name == "nothing") {
			t.Errorf("%s: the way leads to %v", name, got)
		}
		if got != nil && (got != out || p.Meta.TTL(p.Bytes()) != 8 || wire.VerifyChecksums(p.Bytes()) != nil || wire.Ethernet(p.Bytes()).Src() != out.MAC()) {
			t.Errorf("%s: %s", name, wire.Summary(p.Bytes()))
		}
	}
}

// What has no way, or is not to be forwarded, changes nothing.
func TestOnlyOrdinaryPacketsFindTheirWay(t *testing.T) {
	n := mkRouted(t)
	in := n.r.onLink(ip("10.1.0.1"))
	frame := func(change func(f *wire.Frame)) []byte {
		f := &wire.Frame{EthSrc: wire.MAC{2}, EthDst: in.MAC(), IP: &wire.IPFields{Src: ip("10.1.0.1"), Dst: ip("10.2.0.1"), TTL: 9},
			UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}, Payload: make([]byte, 100)}
		if change != nil {
			change(f)
		}
		return f.Bytes()
	}
	for range 2 {
		in.Receive(n.now, frame(nil), 1)
		n.settle()
	}
	if in.Advance(n.now, vfp.NewPacket(frame(nil))) == nil {
		t.Fatal("the way is not known")
	}
	broken := frame(nil)
	broken[24]++
	for name, b := range map[string][]byte{
		"no hop left":       frame(func(f *wire.Frame) { f.IP.TTL = 1 }),
		"another source":    frame(func(f *wire.Frame) { f.IP.Src = ip("10.1.0.77") }),
		"another address":   frame(func(f *wire.Frame) { f.IP.Dst = ip("10.2.0.77") }),
		"another station":   frame(func(f *wire.Frame) { f.EthDst = wire.MAC{2, 9} }),
		"longer than links": frame(func(f *wire.Frame) { f.Payload = make([]byte, 4000) }),
		"a wrong checksum":  broken,
	} {
		p := vfp.NewPacket(b)
		if out := in.Advance(n.now, p); out != nil {
			t.Errorf("%s: goes out of %s", name, out.Name())
		}
		if string(p.Bytes()) != string(b) {
			t.Errorf("%s: the packet was changed", name)
		}
	}
}
