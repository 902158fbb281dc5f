package proxy

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func walk(t *testing.T, p *vfp.Port, dir vfp.Dir, src, dst string, udp bool) string {
	t.Helper()
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	f := wire.Frame{EthDst: wire.MustMAC("00-15-5D-24-01-02"), EthSrc: wire.MustMAC("00-15-5D-24-01-0A"), IP: &wire.IPFields{Src: s.Addr(), Dst: d.Addr()}}
	if udp {
		f.UDP = &wire.UDPFields{SrcPort: s.Port(), DstPort: d.Port()}
	} else {
		f.TCP = &wire.TCPFields{SrcPort: s.Port(), DstPort: d.Port(), Flags: wire.TCPAck}
	}
	pkt := vfp.NewPacket(f.Bytes())
	pkt.InPort = p.ID
	pkt.Parse()
	w := new(vfp.Walk)
	w.Begin(0, pkt, 0, nil)
	p.Walk(w, dir)
	return netip.AddrPortFrom(w.H.Src, w.H.SrcPort).String() + ">" + netip.AddrPortFrom(w.H.Dst, w.H.DstPort).String()
}

func TestWhichFlowsAreTheProxys(t *testing.T) { // PX-01
	all := Redirect{To: netip.MustParseAddrPort("10.244.1.5:15001"), Proto: wire.ProtoTCP,
		Exceptions: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}}
	some := all
	some.Proto, some.Destinations = 0, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	tests := []struct {
		name string
		r    Redirect
		dst  string
		udp  bool
		want string
	}{
		{"everything", all, "203.0.113.80:443", false, "10.244.1.5:15001"},
		{"an exception", all, "10.96.10.10:443", false, "10.96.10.10:443"},
		{"the other protocol", all, "203.0.113.80:443", true, "203.0.113.80:443"},
		{"the proxy itself, another port", all, "10.244.1.5:22", false, "10.244.1.5:22"},
		{"the destination", some, "203.0.113.80:443", false, "10.244.1.5:15001"},
		{"both protocols", some, "203.0.113.80:443", true, "10.244.1.5:15001"},
		{"another destination", some, "198.51.100.1:443", false, "198.51.100.1:443"},
	}
	for _, tt := range tests {
		p := vfp.NewPort(100, vfp.PortLimits{})
		p.SetProgram(&vfp.Program{Layers: Layer([]Redirect{tt.r})})
		if got := walk(t, p, vfp.Out, "10.244.1.10:5555", tt.dst, tt.udp); got != "10.244.1.10:5555>"+tt.want {
			t.Errorf("%s: %s, want to %s", tt.name, got, tt.want)
		}
		if tt.want != tt.dst {
			if got := walk(t, p, vfp.In, tt.want, "10.244.1.10:5555", tt.udp); got != tt.dst+">10.244.1.10:5555" {
				t.Errorf("%s: answered as %s", tt.name, got)
			}
		}
	}
}

func TestAnswersToOthersAreNotTheProxys(t *testing.T) { // VFP-07
	p := vfp.NewPort(100, vfp.PortLimits{})
	p.SetProgram(&vfp.Program{Layers: Layer([]Redirect{{To: netip.MustParseAddrPort("10.244.1.5:15001")}})})
	walk(t, p, vfp.In, "203.0.113.80:40000", "10.244.1.10:80", false)
	if got := walk(t, p, vfp.Out, "10.244.1.10:80", "203.0.113.80:40000", false); got != "10.244.1.10:80>203.0.113.80:40000" {
		t.Errorf("an answer went %s", got)
	}
}

func TestRedirectingDoesNotAllocate(t *testing.T) {
	p := vfp.NewPort(100, vfp.PortLimits{})
	p.SetProgram(&vfp.Program{Layers: Layer([]Redirect{{To: netip.MustParseAddrPort("10.244.1.5:15001"), Exceptions: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}}})})
	pkt := vfp.NewPacket((&wire.Frame{IP: &wire.IPFields{Src: netip.MustParseAddr("10.244.1.10"), Dst: netip.MustParseAddr("203.0.113.80")},
		TCP: &wire.TCPFields{SrcPort: 5555, DstPort: 443}}).Bytes())
	pkt.Parse()
	w, now := new(vfp.Walk), int64(0)
	for range 100 {
		now += 300e9
		w.Begin(now, pkt, 0, nil)
		p.Walk(w, vfp.Out)
		p.Age(now, 64)
	}
	if n := testing.AllocsPerRun(100, func() {
		now += 300e9 // a new flow each time
		w.Begin(now, pkt, 0, nil)
		p.Walk(w, vfp.Out)
		p.Age(now, 64)
	}); n != 0 || w.H.DstPort != 15001 {
		t.Errorf("%v allocations a flow, to port %d", n, w.H.DstPort)
	}
}
