package ipstack

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// mkBusy is a router with everything switched on: hooks, DHCP on both sides,
// router advertisements, sockets, a connection, pings and fragments waiting.
func mkBusy(t *testing.T) (*lab, *Interface) {
	n := mkRouted(t, func(c *Config) { c.Refuse = true })
	n.r.SetHooks(Hooks{
		PreRouting:  func(int64, *Interface, *vfp.Packet) Verdict { return Accept() },
		PostRouting: func(_ int64, _, _ *Interface, _ netip.Addr, _ *vfp.Packet) Verdict { return Accept() },
		Output:      func(_ int64, _ *Interface, _ netip.Addr, _ *vfp.Packet) Verdict { return Accept() },
	})
	n.rLeft.cfg.AcceptRA = true
	n.rLeft.AdvertiseRouter(netip.MustParsePrefix("fd01::/64"))
	_, _ = n.r.ServeDHCP(n.rLeft, DHCPServerConfig{First: ip("10.1.0.100"), Last: ip("10.1.0.110")})
	n.r.StartDHCP(0, n.rLeft, nil)
	_, _ = n.r.Listen(wire.ProtoTCP, netip.Addr{}, 80, EchoHandler())
	_, _ = n.r.Listen(wire.ProtoUDP, netip.Addr{}, 53, EchoHandler())
	_, _ = n.r.Dial(0, ap("10.1.0.254:5000"), ap("10.1.0.1:80"), nil)
	_, _ = n.r.Ping(0, PingOptions{Dst: ip("10.1.0.1"), ID: 1, Seq: 1})
	n.settle()
	return n.lab, n.rLeft
}

// FuzzReceive feeds arbitrary frames. Whatever comes, nothing panics, nothing
// goes on for ever, and everything that the stack sends is well-formed.
func FuzzReceive(f *testing.F) {
	us, them := wire.MAC{2, 0, 0, 0, 0, 3}, wire.MAC{2, 0, 0, 0, 0, 1}
	seed := func(fr wire.Frame) {
		fr.EthDst, fr.EthSrc = us, them
		f.Add(fr.Bytes())
	}
	v4 := func() *wire.IPFields { return &wire.IPFields{Src: ip("10.1.0.1"), Dst: ip("10.1.0.254")} }
	v6 := func() *wire.IPFields { return &wire.IPFields{Src: ip("fd01::1"), Dst: ip("fd01::fe")} }
	seed(wire.Frame{ARP: &wire.ARPFields{SenderMAC: them, SenderIP: ip("10.1.0.1"), TargetIP: ip("10.1.0.254")}})
	seed(wire.Frame{IP: v4(), ICMP: &wire.ICMPFields{Type: 8}, Payload: []byte("ping")})
	seed(wire.Frame{IP: v6(), ICMP: &wire.ICMPFields{Type: 128}, Payload: []byte("ping")})
	seed(wire.Frame{IP: v4(), UDP: &wire.UDPFields{SrcPort: 9, DstPort: 53}, Payload: []byte("echo")})
	seed(wire.Frame{IP: v4(), UDP: &wire.UDPFields{SrcPort: 9, DstPort: 54}})
	seed(wire.Frame{IP: v4(), TCP: &wire.TCPFields{SrcPort: 9, DstPort: 80, Flags: wire.TCPSyn, MSS: 1460}})
	seed(wire.Frame{IP: v4(), TCP: &wire.TCPFields{SrcPort: 80, DstPort: 5000, Flags: wire.TCPSyn | wire.TCPAck, Window: 9}})
	seed(wire.Frame{IP: &wire.IPFields{Src: ip("10.1.0.1"), Dst: ip("10.2.0.1"), TTL: 1}, UDP: &wire.UDPFields{}})
	seed(wire.Frame{IP: &wire.IPFields{Src: ip("10.1.0.1"), Dst: ip("10.1.0.254"), MF: true, ID: 3}, Payload: make([]byte, 16)})
	seed(wire.Frame{IP: v6(), ND: &wire.NDFields{Type: wire.ICMP6NeighborSol, Target: ip("fd01::fe"), SourceLL: them}})
	seed(wire.Frame{IP: &wire.IPFields{Src: ip("fe80::1"), Dst: ip("ff02::1")}, ND: &wire.NDFields{Type: wire.ICMP6RouterAdv,
		LifetimeSec: 9, SourceLL: them, Prefixes: []wire.NDPrefix{{Addr: [16]byte{0xfd, 9}, Bits: 64, Autonomous: true}}}})
	f.Add(wire.DHCPDiscoverFrame(them, 1).Bytes())
	f.Add(wire.DHCPRequestFrame(them, 1, ip("10.1.0.100"), ip("10.1.0.254")).Bytes())
	// V3-in of the contract: an ICMP error that quotes a TCP segment.
	v3, _ := hex.DecodeString("00155d82002300005e00010108004500003800770000fa010977c63364010a7f822303042e8f00000578450005c812354000780622080a7f8223cb007150c35101bb000003e8")
	f.Add(v3)
	f.Fuzz(func(t *testing.T, frame []byte) {
		l, in := mkBusy(t)
		l.sent = map[string][][]byte{}
		if len(frame) >= 6 && frame[0]&1 == 0 {
			frame = append([]byte(nil), frame...)
			copy(frame, us[:]) // otherwise most inputs end at the MAC filter
		}
		in.Receive(l.now, frame, 1)
		in.Receive(l.now, frame, 2)
		l.advance(2 * time.Minute)
		for _, s := range l.sent["r/left"] {
			if err := wire.VerifyChecksums(s); err != nil && wire.VerifyChecksums(frame) == nil {
				t.Errorf("sent %s: %v", wire.Summary(s), err)
			}
		}
	})
}

// FuzzTCP feeds an established connection with segments: four bytes each of
// sequence and acknowledgement distance, one of flags, one of data length.
func FuzzTCP(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, wire.TCPAck | wire.TCPPsh, 10})
	f.Add([]byte{0, 0, 0, 5, 0, 0, 0, 0, wire.TCPAck, 10, 0, 0, 0, 0, 0, 0, 0, 1, wire.TCPAck | wire.TCPFin, 5})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, wire.TCPRst, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, wire.TCPAck | wire.TCPFin, 200})
	f.Fuzz(func(t *testing.T, in []byte) {
		p := mkPair(t)
		var server *Conn
		_, _ = p.b.Listen(wire.ProtoTCP, netip.Addr{}, 80, Handler{Stream: func(_ int64, c *Conn, e Event) { server = c }})
		c := dial(t, p.a, 0, "10.0.0.2:80")
		p.settle()
		_, _ = c.Write(p.now, mkPayload(20_000))
		p.wire.pass = func([]byte, time.Duration) []time.Duration { return nil } // the true peer falls silent
		for ; len(in) >= 10; in = in[10:] {
			seq := server.iss + 1 + uint32(in[0])<<24 + uint32(in[1])<<16 + uint32(in[2])<<8 + uint32(in[3])
			ack := c.una + uint32(in[4])<<24 + uint32(in[5])<<16 + uint32(in[6])<<8 + uint32(in[7])
			seg := wire.Frame{EthDst: p.ia.MAC(), EthSrc: p.ib.MAC(), IP: &wire.IPFields{Src: ip("10.0.0.2"), Dst: ip("10.0.0.1")},
				TCP:     &wire.TCPFields{SrcPort: 80, DstPort: c.Local.Port(), Seq: seq, Ack: ack, Flags: in[8], Window: uint16(in[9]) << 8},
				Payload: make([]byte, in[9])}
			p.ia.Receive(p.now, seg.Bytes(), 1)
			if after(c.una, c.nxt) || after(c.nxt, c.max) || c.held < 0 || len(c.out) > 20_000 {
				t.Fatalf("una %d, nxt %d, max %d, held %d, out %d", c.una, c.nxt, c.max, c.held, len(c.out))
			}
		}
		p.advance(10 * time.Minute)
	})
}
