package winnat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestDynamicTranslation(t *testing.T) {
	tests := []struct {
		name   string
		config func(*Config)
		script string
	}{
		{"NAT-10 TCP, UDP and ICMP queries get the address of the output interface", nil, `
			0s out tcp cn1:49700>x:443 S  -> tcp h1:50001>x:443 S
			0s out udp cn1:49700>x:443    -> udp h1:50001>x:443
			0s out echo cn1:49700>x       -> echo h1:50001>x
			0s out timestamp cn1:49701>x  -> timestamp h1:50002>x
			0s out-b udp cn1:7>x:7        -> udp h1b:50002>x:7`},
		{"NAT-10 replies find back", nil, `
			0s out tcp cn1:49700>x:443 S  -> tcp h1:50001>x:443 S
			0s in  tcp x:443>h1:50001 SA  -> tcp x:443>cn1:49700 SA
			0s out udp cn1:49700>x:443    -> udp h1:50001>x:443
			0s in  udp x:443>h1:50001     -> udp x:443>cn1:49700
			0s out timestamp cn1:9>x      -> timestamp h1:50001>x
			0s in  timestamp-reply x>h1:50001 -> timestamp-reply x>cn1:9`},
		{"NAT-10 a packet whose source is not internal is routed as it is", nil, `
			0s out udp x2:1>x:2           -> not mine
			0s out sctp x2>x              -> not mine
			0s out echo x2:1>x            -> not mine
			0s out reply x2>x:1           -> not mine`},
		{"NAT-10 between internal prefixes nothing is translated", func(c *Config) {
			c.Internal = append(c.Internal, InternalNet{Prefix: netip.MustParsePrefix("172.20.0.0/16")})
		}, `
			0s out udp cn1:1>172.20.0.5:2 -> not mine
			0s out udp 172.20.0.5:2>x:53  -> udp h1:50001>x:53`},
		{"NAT-11 protocols without ports are dropped", nil, `
			0s out sctp cn1>x             -> drop NatUnsupportedProto
			0s out gre cn1>x              -> drop NatUnsupportedProto
			0s out esp cn1>x              -> drop NatUnsupportedProto
			0s out igmp cn1>x             -> drop NatUnsupportedProto
			0s out router-adv cn1>x       -> drop NatUnsupportedProto
			0s in  gre x>h1               -> not mine`},
		{"NAT-13 one external port for all destinations", nil, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s out udp cn1:5000>x2:53     -> udp h1:50001>x2:53
			0s out udp cn1:5000>x2:54     -> udp h1:50001>x2:54
			0s out udp cn1:5001>x:53      -> udp h1:50002>x:53
			0s out udp cn2:5000>x:53      -> udp h1:50003>x:53`},
		{"NAT-13 the mapping belongs to one external address", nil, `
			0s out   udp cn1:5000>x:53    -> udp h1:50001>x:53
			0s out-b udp cn1:5000>x2:53   -> udp h1b:50002>x2:53
			0s in    udp x:53>h1b:50001   -> drop NoMapping`},
		{"NAT-13 knob ADM: one port for each remote address", func(c *Config) { c.Mapping = MapAddress }, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s out udp cn1:5000>x:54      -> udp h1:50001>x:54
			0s out udp cn1:5000>x2:53     -> udp h1:50002>x2:53
			0s out echo cn1:5000>x        -> echo h1:50001>x
			0s out echo cn1:5000>x2       -> echo h1:50002>x2`},
		{"NAT-13 knob APDM: one port for each remote address and port", func(c *Config) { c.Mapping = MapAddressAndPort }, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s out udp cn1:5000>x:54      -> udp h1:50002>x:54
			0s out udp cn1:5000>x2:53     -> udp h1:50003>x2:53
			0s in  udp x:54>h1:50002      -> udp x:54>cn1:5000
			0s out echo cn1:5000>x        -> echo h1:50001>x`},
		{"NAT-13 a route by another interface gives a known flow another mapping", nil, `
			0s out   udp cn1:5000>x:53    -> udp h1:50001>x:53
			0s out-b udp cn1:5000>x:53    -> udp h1b:50001>x:53   # the old mapping went with its only session
			0s in    udp x:53>h1:50001    -> drop NoMapping
			0s in    udp x:53>h1b:50001   -> udp x:53>cn1:5000`},
		{"NAT-14 default: any port of an address that the inside has sent to", nil, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s in  udp x:99>h1:50001      -> udp x:99>cn1:5000
			0s in  udp x2:53>h1:50001     -> drop NatFiltered
			0s out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
			0s in  tcp x:99>h1:50001 S    -> tcp x:99>cn1:5000 S
			0s in  tcp x2:99>h1:50001 S   -> drop NatFiltered`},
		{"NAT-14 the filter of UDP does not depend on that of TCP", func(c *Config) { c.FilteringUDP = FilterEndpointIndependent }, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s in  udp x2:53>h1:50001     -> udp x2:53>cn1:5000
			0s out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
			0s in  tcp x2:99>h1:50001 S   -> drop NatFiltered`},
		{"NAT-14 the filter of TCP does not depend on that of UDP", func(c *Config) { c.FilteringTCP = FilterEndpointIndependent }, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s in  udp x2:53>h1:50001     -> drop NatFiltered
			0s out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
			0s in  tcp x2:99>h1:50001 S   -> tcp x2:99>cn1:5000 S
			0s in  tcp x2:98>h1:50001 A   -> tcp x2:98>cn1:5000 A`},
		{"NAT-14 address and port dependent: only sessions of the inside", func(c *Config) { c.FilteringUDP = FilterAddressAndPort }, `
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s in  udp x:53>h1:50001      -> udp x:53>cn1:5000
			0s in  udp x:99>h1:50001      -> drop NatFiltered`},
		{"NAT-15 ports are not preserved", nil, `
			0s out udp cn1:50050>x:53     -> udp h1:50001>x:53`},
		{"NAT-18 a missing UDP checksum stays missing", nil, `
			0s out udp cn1:5000>x:53 nosum -> udp h1:50001>x:53
			0s in  udp x:53>h1:50001 nosum -> udp x:53>cn1:5000`},
		{"NAT-38 what no mapping has is dropped in our blocks, and the host's business elsewhere", nil, `
			0s in  udp x:53>h1:50001      -> not mine
			0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
			0s in  udp x:53>h1:50002      -> drop NoMapping
			0s in  udp x:53>h1:50100      -> drop NoMapping
			0s in  udp x:53>h1:50101      -> not mine
			0s in  udp x:53>h1:50000      -> not mine
			0s in  tcp x:53>h1:50001 S    -> not mine
			0s in  udp x:53>h1b:50001     -> drop NoMapping`},
		{"NAT-55 the identifier is translated per container", nil, `
			0s out echo cn1:1>x           -> echo h1:50001>x
			0s out echo cn2:1>x           -> echo h1:50002>x
			0s in  reply x>h1:50002       -> reply x>cn2:1
			0s in  reply x>h1:50001       -> reply x>cn1:1
			0s in  reply x2>h1:50001      -> drop NatFiltered
			0s in  reply x>h1:1           -> not mine
			0s in  reply x>h1:50003       -> drop NoMapping`},
		{"NAT-55 requests from outside are for the host, replies from inside for nobody", nil, `
			0s out echo cn1:1>x           -> echo h1:50001>x
			0s in  echo x:50001>h1        -> not mine
			0s out reply cn1>x:1          -> drop NoMapping
			0s back echo cn1:1>h1         -> not mine
			0s back reply cn1>h1:1        -> not mine`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { newLab(t, tt.config).run(tt.script) })
	}
}

func TestNAT18AWrongChecksumStaysWrong(t *testing.T) {
	l := newLab(t, nil)
	bad := mkFrame("udp cn1:5000>x:53")
	sum := uint16(0x1111)
	bad.UDP.Checksum = &sum
	_, p, _ := l.pass(0, "out", bad.Bytes())
	if wire.VerifyChecksums(p.Bytes()) == nil {
		t.Error("translation has hidden a damaged packet")
	}
}

func TestNAT19IdentificationAndFlags(t *testing.T) {
	frame := func(df bool) []byte {
		f := mkFrame("udp cn1:5000>x:53")
		f.IP.DF = df
		return f.Bytes()
	}
	id := func(p *vfp.Packet) uint16 { return wire.IPv4(p.Bytes()[14:]).ID() }
	tests := []struct {
		name    string
		rewrite bool
		df      bool
		want    []uint16
	}{
		{"the identification is kept by default", false, false, []uint16{0x1234, 0x1234}},
		{"the knob rewriteIPID numbers what may be fragmented", true, false, []uint16{1, 2}},
		{"the knob leaves packets with DF alone", true, true, []uint16{0x1234, 0x1234}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.RewriteIPID = tt.rewrite })
			for _, want := range tt.want {
				_, p, _ := l.pass(0, "out", frame(tt.df))
				if got := id(p); got != want {
					t.Errorf("identification %#x, want %#x", got, want)
				}
				if wire.IPv4(p.Bytes()[14:]).DF() != tt.df {
					t.Error("DF changed")
				}
			}
			in := mkFrame("udp x:53>h1:50001")
			in.IP.DF = tt.df
			if _, p, _ := l.pass(0, "in", in.Bytes()); id(p) != 0x1234 {
				t.Error("the identification of an inbound packet changed")
			}
		})
	}
}

func TestNAT07IPv6AndNonIPAreNotTranslated(t *testing.T) {
	l := newLab(t, nil)
	v6 := wire.Frame{IP: &wire.IPFields{Src: netip.MustParseAddr("fe80::1"), Dst: netip.MustParseAddr("2001:db8::1")}, UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}}
	arp := wire.Frame{ARP: &wire.ARPFields{SenderIP: place("cn1"), TargetIP: place("gw")}}
	for _, f := range [][]byte{v6.Bytes(), arp.Bytes(), {1, 2, 3}, nil} {
		for _, where := range []string{"out", "in", "back", "host"} {
			if got, _, _ := l.pass(0, where, f); got != "not mine" {
				t.Errorf("%s %x: %s", where, f, got)
			}
		}
	}
}

func TestMalformedTransportHeaders(t *testing.T) {
	l := newLab(t, nil)
	short := wire.Frame{IP: &wire.IPFields{Src: place("cn1"), Dst: place("x"), Proto: wire.ProtoTCP}, Payload: make([]byte, 19)}
	if got, _, _ := l.pass(0, "out", short.Bytes()); got != "drop Malformed" {
		t.Errorf("outbound: %s", got)
	}
	short.IP.Src, short.IP.Dst = place("x"), place("h1")
	if got, _, _ := l.pass(0, "in", short.Bytes()); got != "not mine" {
		t.Errorf("inbound: %s", got)
	}
}

func TestNAT12PortsComeFromBlocksOfAHundred(t *testing.T) {
	l := newLab(t, nil)
	for i := range 101 {
		l.run(fmt.Sprintf("0s out udp cn1:%d>x:53 -> udp h1:%d>x:53", 1000+i, 50001+i))
		want := 1
		if i == 100 {
			want = 2
		}
		if len(l.ports.log) != want {
			t.Fatalf("after %d mappings: %v", i+1, l.ports.log)
		}
	}
	l.run("0s out tcp cn1:1000>x:80 S -> tcp h1:50001>x:80 S")
	want := "reserve udp 50001+100; reserve udp 50101+100; reserve tcp 50001+100"
	if got := strings.Join(l.ports.log, "; "); got != want {
		t.Errorf("reservations: %s", got)
	}
	l.n.Close()
	want += "; release tcp 50001+100; release udp 50001+100; release udp 50101+100"
	if got := strings.Join(l.ports.log, "; "); got != want {
		t.Errorf("after Close: %s", got)
	}
	l.run("0s in udp x:53>h1:50001 -> not mine")
}

func TestNAT12TheLowestFreePortIsTakenAgain(t *testing.T) {
	l := newLab(t, nil)
	l.run(`
		0s   out udp cn1:1>x:53   -> udp h1:50001>x:53
		10s  out udp cn1:2>x:53   -> udp h1:50002>x:53
		20s  out udp cn1:3>x:53   -> udp h1:50003>x:53
		100s out udp cn1:1>x:53   -> udp h1:50001>x:53
		130s out udp cn1:4>x:53   -> udp h1:50002>x:53   # of cn1:2, expired at 130 s
		130s out udp cn1:5>x:53   -> udp h1:50004>x:53
		140s out udp cn1:6>x:53   -> udp h1:50003>x:53`)
}

func TestNAT16PortsOfHostSocketsAreNotUsed(t *testing.T) {
	space := vfp.NewPortSpace()
	space.Reserve(wire.ProtoUDP, 49152, vfp.Socket, 7)
	space.Reserve(wire.ProtoUDP, 49351, vfp.Socket, 7)
	n, err := New(baseConfig(), FromSpace(space), 42)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 101 {
		p := mkPacket(mkFrame(fmt.Sprintf("udp cn1:%d>x:53", 1000+i)).Bytes())
		if res := n.Outbound(0, p, place("h1")); res.Verdict != Translated {
			t.Fatalf("flow %d: %v %v", i, res.Verdict, res.Drop)
		}
		want := uint16(49352 + i) // the blocks at 49152 and 49252 have sockets in them
		if p.Meta.SrcPort != want {
			t.Fatalf("flow %d: port %d, want %d", i, p.Meta.SrcPort, want)
		}
	}
	if use := space.Reserve(wire.ProtoUDP, 49360, vfp.Socket, 7); use != vfp.WinNATUse {
		t.Errorf("a host socket could bind a port of our block: %v", use)
	}
	if got := space.Excluded(wire.ProtoUDP); !slices.Equal(got, []vfp.PortRange{{Lo: 49352, Hi: 49551}}) {
		t.Errorf("excluded ranges %v", got)
	}
	n.Close()
	if got := space.Excluded(wire.ProtoUDP); len(got) != 0 {
		t.Errorf("after Close: %v", got)
	}
}

func TestNAT39ExhaustionAndRecovery(t *testing.T) {
	l := newLab(t, nil)
	l.ports.blocks = 2
	for i := range 200 {
		l.run(fmt.Sprintf("%ds out udp cn1:%d>x:53 -> udp h1:%d>x:53", i/100, 1000+i, 50001+i))
	}
	l.run(`
		2s   out udp cn2:1>x:53        -> drop NatPoolExhausted
		2s   out udp cn1:1000>x:53     -> udp h1:50001>x:53       # flows that exist go on
		2s   out udp cn1:1000>x2:53    -> udp h1:50001>x2:53      # and so do mappings
		2s   out tcp cn2:1>x:53 S      -> tcp h1:50001>x:53 S     # other protocols have their own ports
		2s   out echo cn2:1>x          -> echo h1:50001>x
		119s out udp cn2:1>x:53        -> drop NatPoolExhausted
		120s out udp cn2:1>x:53        -> udp h1:50002>x:53       # of the flows that were silent for 120 s
		120s out udp cn2:2>x:53        -> udp h1:50003>x:53`)
	if d := l.n.Counters(int64(seconds(120))).Drops[vfp.DropNatPoolExhausted]; d != 2 {
		t.Errorf("%d drops counted", d)
	}
}

func TestInboundIsForTheGivenAddressOnly(t *testing.T) {
	l := newLab(t, static8080)
	p := mkPacket(mkFrame("tcp x:1>h1:8080 S").Bytes())
	if res := l.n.Inbound(0, p, place("h1b")); res.Verdict != NotMine {
		t.Error(res)
	}
}

func TestNoExternalAddressNeverLeaksAnInternalOne(t *testing.T) {
	l := newLab(t, nil)
	p := mkPacket(mkFrame("udp cn1:5000>x:53").Bytes())
	if res := l.n.Outbound(0, p, netip.Addr{}); res.Verdict != Dropped || res.Drop != vfp.DropNatPoolExhausted {
		t.Errorf("%v %v", res.Verdict, res.Drop)
	}
}

func TestTheSessionLimitHolds(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.Sessions = 2 })
	l.run(`
		0s   out udp cn1:1>x:53  -> udp h1:50001>x:53
		60s  out udp cn1:1>x:54  -> udp h1:50001>x:54
		60s  out udp cn1:2>x:53  -> drop NatPoolExhausted
		119s out udp cn1:3>x:53  -> drop NatPoolExhausted
		120s out udp cn1:3>x:53  -> udp h1:50002>x:53`)
	if u := l.n.Usage(int64(seconds(120))); u.UDP.Sessions != 2 || u.UDP.Mappings != 2 {
		t.Errorf("a refused session left something behind: %+v", u.UDP)
	}
}

func TestExternalAddressesAreForgottenWithTheirMappings(t *testing.T) {
	n, err := New(baseConfig(), &stubPorts{first: 50001, blocks: 10}, 1)
	if err != nil {
		t.Fatal(err)
	}
	ext := func(i int) netip.Addr { return wire.AddrFrom4(0x0a000000 + uint32(i)) }
	for round := range 2 {
		now := int64(seconds(200 * round))
		for i := range maxExternal + 1 {
			p := mkPacket(mkFrame(fmt.Sprintf("udp cn1:%d>x:53", 1000+i)).Bytes())
			res := n.Outbound(now, p, ext(1000*round+i))
			if want := i < maxExternal; (res.Verdict == Translated) != want {
				t.Fatalf("round %d, address %d: %v", round, i, res.Verdict)
			}
		}
	}
}
