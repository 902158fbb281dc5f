package snat

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

var (
	pod  = netip.MustParseAddr("10.244.1.10")
	node = netip.MustParseAddr("10.127.130.35")
	mac  = wire.MustMAC("00-15-5D-24-00-0A")
	gw   = wire.MustMAC("00-00-5E-00-01-01")
)

// lab is an endpoint's port with the NAT layer alone.
type lab struct {
	t   *testing.T
	p   *vfp.Port
	now int64
}

func newLab(t *testing.T, o Outbound, maps ...Mapping) *lab {
	t.Helper()
	space := vfp.NewPortSpace()
	var err error
	if o.TCP, err = vfp.NewNATPool(space, wire.ProtoTCP, 100, 0); err != nil {
		t.Fatal(err)
	}
	if o.UDP, err = vfp.NewNATPool(space, wire.ProtoUDP, 100, 0); err != nil {
		t.Fatal(err)
	}
	o.To = node
	l := &lab{t: t, p: vfp.NewPort(100, vfp.PortLimits{})}
	l.p.SetProgram(&vfp.Program{Layers: []vfp.Layer{Layer(&o, maps)}})
	return l
}

func (l *lab) walk(dir vfp.Dir, src, dst string, icmp bool) vfp.Header {
	l.t.Helper()
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	f := wire.Frame{EthDst: gw, EthSrc: mac, IP: &wire.IPFields{Src: s.Addr(), Dst: d.Addr()}}
	if icmp {
		f.ICMP = &wire.ICMPFields{Type: wire.ICMPEcho, ID: s.Port()}
	} else {
		f.UDP = &wire.UDPFields{SrcPort: s.Port(), DstPort: d.Port()}
	}
	pkt := vfp.NewPacket(f.Bytes())
	pkt.Parse()
	var w vfp.Walk
	w.Begin(l.now, pkt, 0, nil)
	if l.p.Walk(&w, dir); w.Drop != vfp.DropNone {
		l.t.Logf("dropped %v", w.Drop)
		return vfp.Header{}
	}
	return w.H
}

func prefixes(ps ...string) (out []netip.Prefix) {
	for _, p := range ps {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestDestinationsDecideAboutTranslation(t *testing.T) {
	tests := []struct {
		name       string
		o          Outbound
		dst        string
		icmp       bool
		translated bool
	}{
		{"everything outside the exceptions", Outbound{Everywhere: true, Exceptions: prefixes("10.0.0.0/8")}, "203.0.113.80:53", false, true},
		{"an exception keeps the pod's address", Outbound{Everywhere: true, Exceptions: prefixes("10.0.0.0/8")}, "10.105.0.9:53", false, false},
		{"destinations alone", Outbound{Destinations: prefixes("203.0.113.80/32")}, "203.0.113.80:53", false, true},
		{"and nothing else", Outbound{Destinations: prefixes("203.0.113.80/32")}, "203.0.113.81:53", false, false},
		{"a destination beats an exception", Outbound{Everywhere: true, Exceptions: prefixes("203.0.113.0/24"), Destinations: prefixes("203.0.113.80/32")}, "203.0.113.80:53", false, true},
		{"what the overlay serves", Outbound{Everywhere: true, Routed: func(netip.Addr) bool { return true }}, "10.244.2.20:53", false, false},
		{"echo is not translated", Outbound{Everywhere: true}, "203.0.113.80:0", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newLab(t, tt.o).walk(vfp.Out, "10.244.1.10:40000", tt.dst, tt.icmp)
			if got := h.Src == node; got != tt.translated {
				t.Errorf("source %v, translated %v, want %v", h.Src, got, tt.translated)
			}
		})
	}
}

func TestOnlyTheRemoteThatWasSpokenToMayAnswer(t *testing.T) {
	l := newLab(t, Outbound{Everywhere: true})
	out := l.walk(vfp.Out, "10.244.1.10:40000", "203.0.113.80:53", false)
	at := netip.AddrPortFrom(node, out.SrcPort).String()
	if in := l.walk(vfp.In, "203.0.113.80:53", at, false); in.Dst != pod || in.DstPort != 40000 {
		t.Errorf("the answer went to %v:%d", in.Dst, in.DstPort)
	}
	for _, stranger := range []string{"203.0.113.80:54", "203.0.113.81:53"} {
		if in := l.walk(vfp.In, stranger, at, false); in.Dst.IsValid() {
			t.Errorf("%s reached %v", stranger, in.Dst)
		}
	}
	l.now = 240e9
	if in := l.walk(vfp.In, "203.0.113.80:53", at, false); in.Dst.IsValid() {
		t.Errorf("after 240 s of silence the answer reached %v", in.Dst)
	}
}

func TestAFlowFromOutsideIsAnsweredWithThePodsAddress(t *testing.T) {
	l := newLab(t, Outbound{Everywhere: true})
	l.walk(vfp.In, "203.0.113.80:50000", "10.244.1.10:80", false)
	if h := l.walk(vfp.Out, "10.244.1.10:80", "203.0.113.80:50000", false); h.Src != pod {
		t.Errorf("the answer left as %v, want the pod", h.Src)
	}
}

func TestAPublishedPortIsTranslatedBothWays(t *testing.T) {
	l := newLab(t, Outbound{Everywhere: true}, Mapping{Proto: wire.ProtoUDP, VIP: node, ExternalPort: 8080, Internal: pod, InternalPort: 80})
	if h := l.walk(vfp.In, "203.0.113.80:50000", "10.127.130.35:8080", false); h.Dst != pod || h.DstPort != 80 {
		t.Fatalf("in: %v:%d", h.Dst, h.DstPort)
	}
	if h := l.walk(vfp.Out, "10.244.1.10:80", "203.0.113.80:50000", false); h.Src != node || h.SrcPort != 8080 {
		t.Errorf("back: %v:%d, want the published port", h.Src, h.SrcPort)
	}
}
