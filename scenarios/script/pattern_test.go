package script

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// mkPattern parses a pattern as an expect line would.
func mkPattern(text string) (*pattern, error) {
	l, err := parseLine(1, "expect "+text)
	if err != nil {
		return nil, err
	}
	s := newScope(nil)
	s.line = l
	args, err := s.expandArgs(l.args)
	if err != nil {
		return nil, err
	}
	p := &parser{word: findWord("expect"), args: args, sc: s, line: l}
	pat := p.pattern()
	return pat, p.err
}

// mkFrame builds a frame from the builder's text.
func mkFrame(t *testing.T, text string) []byte {
	t.Helper()
	p := &parser{word: findWord("frame"), sc: newScope(nil), line: &line{}}
	b, err := p.buildFrame(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const ethText = "eth(02-00-00-00-00-01>02-00-00-00-00-02) "

func TestAPatternMatchesWhatItNamesAndNothingElse(t *testing.T) {
	udp := ethText + "ip(10.0.0.1>10.0.0.2 ttl=64 id=300 tos=4) udp(1000>53) 'hello'"
	tests := []struct {
		frame, pattern string
		want           bool
	}{
		{udp, "", true},
		{udp, "udp", true},
		{udp, "tcp", false},
		{udp, "ip", true},
		{udp, "arp", false},
		{udp, "udp 10.0.0.1:1000 > 10.0.0.2:53", true},
		{udp, "udp 10.0.0.1 > 10.0.0.2", true},
		{udp, "udp 10.0.0.1:1000>10.0.0.2:53", true},
		{udp, "udp * > *:53", true},
		{udp, "udp *:* > 10.0.0.0/24:*", true},
		{udp, "udp !10.0.0.1 > *", false},
		{udp, "udp !10.0.0.9 > *", true},
		{udp, "udp > 10.0.0.3:53", false},
		{udp, "udp *:999-1001 > *", true},
		{udp, "udp *:>=1001 > *", false},
		{udp, "sport=1000 dport=53", true},
		{udp, "sport=!1000", false},
		{udp, "dport=53|80", true},
		{udp, "dport=80|443", false},
		{udp, "ttl=64", true},
		{udp, "ttl=<64", false},
		{udp, "ttl=<=64 ttl=>63", true},
		{udp, "id=300 tos=0x4", true},
		{udp, "udp len=13 ip.len=33 frame.len=47", true},
		{udp, "ip len=33", true},
		{udp, "'hello'", true},
		{udp, "'hell'", false},
		{udp, "payload=hex:68656c6c6f", true},
		{udp, "size=5", true},
		{udp, "size=4-6", true},
		{udp, "eth 02-00-00-00-00-01 > *", true},
		{udp, "eth.dst=0200.0000.0002 eth.src=02:00:00:00:00:01", true},
		{udp, "eth.dst=broadcast", false},
		{udp, "eth.type=ip", true},
		{udp, "eth.type=0x800", false}, // a known type has a name
		{udp, "df", false},
		{udp, "nodf", true},
		{udp, "mf", false},
		{udp, "untagged", true},
		{udp, "vlan", false},
		{udp, "vlan=7", false},
		{udp, "proto=udp", true},
		{udp, "proto=17", true},
		{udp, "proto=6", false},
		{udp, "udp.checksum=ok", true},
		{udp, "udp checksum=none", false},
		{udp, "udp checksum=0-65535", true},
		{udp, "inner udp", false},
		{udp, "vni=*", false},
		{udp, "sport=*", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) udp(1>2)", "size=0", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) udp(1>2)", "''", true},
		{ethText + "ip(10.0.0.1>10.0.0.2 df) tcp(1>2 SA)", "tcp flags=SA df", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) tcp(1>2 SA)", "tcp flags=S", false},
		{ethText + "ip(10.0.0.1>10.0.0.2) tcp(1>2 SA)", "flags=S+", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) tcp(1>2 SA)", "flags=!R+", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) tcp(1>2 flags=0)", "flags=0", true},
		{ethText + "ip(10.0.0.1>10.0.0.2 id=9) icmp(echo id=7)", "icmp id=7", true},
		{ethText + "ip(10.0.0.1>10.0.0.2 id=9) icmp(echo id=7)", "icmp id=9", false},
		{ethText + "ip(10.0.0.1>10.0.0.2 id=9) icmp(echo id=7)", "ip.id=9 icmp.id=7 icmp.type=8", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) icmp(reply id=7)", "icmp echo", false},
		{ethText + "ip(10.0.0.1>10.0.0.2) icmp(unreachable)", "icmp unreachable code=1", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) icmp(frag-needed mtu=1400)", "icmp type=frag-needed mtu=1400", true},
		{ethText + "arp(who-has 10.0.0.2 tell 10.0.0.1)", "arp who-has 10.0.0.2 tell 10.0.0.1 sha=02-00-00-00-00-01", true},
		{ethText + "arp(who-has 10.0.0.2 tell 10.0.0.1)", "arp 10.0.0.1 > 10.0.0.2", true},
		{ethText + "arp(reply 10.0.0.2 is-at 02-00-00-00-00-09)", "arp reply 10.0.0.2 is-at 02-00-00-00-00-09", true},
		{ethText + "ip6(fd00::1>fd00::2) udp(1>2)", "udp [fd00::1]:1 > [fd00::2]:2", true},
		{ethText + "ip6(fd00::1>fd00::2) udp(1>2)", "ip6 fd00::/64 > fd00::2 ttl=128", true},
		{ethText + "ip6(fd00::1>fd00::2) udp(1>2)", "ip", false},
		{ethText + "ip6(fe80::1>ff02::1) nd(na target=fe80::1 tll=02-00-00-00-00-01 flags=0x20)", "nd na target=fe80::1 tll=02-00-00-00-00-01 flags=O", true},
		{ethText + "dhcp(offer yiaddr=10.0.0.9 server=10.0.0.1)", "dhcp offer yiaddr=10.0.0.9 server=10.0.0.1", true},
		{ethText + "vlan(7) ip(10.0.0.1>10.0.0.2) udp(1>2)", "vlan=7 udp", true},
		{ethText + "vlan(7) ip(10.0.0.1>10.0.0.2) udp(1>2)", "untagged", false},
		{ethText + "ip(10.0.0.1>10.0.0.2) vxlan(vni=9) " + ethText + "ip(10.1.0.1>10.1.0.2 ttl=3) udp(7>8) 'in'", "vxlan vni=9 inner ip ttl=3", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) vxlan(vni=9) " + ethText + "ip(10.1.0.1>10.1.0.2 ttl=3) udp(7>8) 'in'", "inner.ip.ttl=3 inner.udp.dport=8", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) vxlan(vni=9) " + ethText + "ip(10.1.0.1>10.1.0.2 ttl=3) udp(7>8) 'in'", "udp 10.1.0.1 > *", false},
		{ethText + "ip(10.0.0.1>10.0.0.2) vxlan(vni=9) " + ethText + "ip(10.1.0.1>10.1.0.2 ttl=3) udp(7>8) 'in'", "inner 'in'", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) udp(1>8472) vxlan(vni=9) " + ethText + "arp(who-has 10.0.0.1 tell 10.0.0.2)", "vxlan vni=9", false},
		{ethText + "ip(10.0.0.1>10.0.0.2) udp(1>8472) vxlan(vni=9) " + ethText + "arp(who-has 10.0.0.1 tell 10.0.0.2)", "vxlan dport=8472 vni=9", true},
		{ethText + "ip(10.0.0.1>10.0.0.2) udp(1>8472) vxlan(vni=9) " + ethText + "arp(who-has 10.0.0.1 tell 10.0.0.2)", "vxlan * > *:8472 inner arp", true},
	}
	for _, test := range tests {
		pat, err := mkPattern(test.pattern)
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
			continue
		}
		p := pat.decode(mkFrame(t, test.frame))
		if got := pat.matches(p); got != test.want {
			t.Errorf("%s on %s: %v", test.pattern, wire.Summary(p.frame), got)
		}
		if _, wrong := pat.compare(p); (wrong == 0) != test.want {
			t.Errorf("%s on %s: %d differ", test.pattern, wire.Summary(p.frame), wrong)
		}
	}
}

// Every layer and field that wire.Describe shows can be named, and every field
// that can be named is shown by some frame.
func TestThePatternsFieldsAreThoseOfTheDecoder(t *testing.T) {
	seen := map[string]bool{"frame.len": true}
	check := func(frame []byte) {
		for _, l := range wire.Describe(frame) {
			name := l.Name[strings.LastIndexByte(l.Name, '.')+1:]
			defs, ok := layerFields[name]
			if !ok {
				t.Errorf("layer %s cannot be named", name)
			}
			for _, f := range l.Fields {
				known := slices.ContainsFunc(defs, func(d fieldDef) bool { return d.name == f.Name })
				if !known && len(defs) > 0 && !strings.HasPrefix(f.Name, "option") && !(name == "malformed" && f.Name == "data") {
					t.Errorf("field %s.%s cannot be named", name, f.Name)
				}
				seen[name+"."+f.Name] = true
			}
		}
	}
	ip := ethText + "ip(10.0.0.1>10.0.0.2) "
	for _, text := range []string{
		ethText + "vlan(7) ip(10.0.0.1>10.0.0.2) udp(1>2) 'x' pad(60)",
		ip + "tcp(1>2 S mss=1460)", ip + "icmp(echo id=1)", ip + "icmp(frag-needed mtu=5) quote ip(10.0.0.2>10.0.0.1) icmp(echo)", ip + "icmp(unreachable)",
		ethText + "ip6(fd00::1>fd00::2) icmp6(too-big mtu=1280)", ethText + "ip6(fd00::1>fd00::2) icmp6(echo id=1)", ethText + "ip6(fd00::1>fd00::2) icmp6(unreachable)",
		ethText + "ip6(fe80::1>ff02::1) nd(ra mtu=1500 sll=02-00-00-00-00-01)", ethText + "ip6(fe80::1>ff02::1) nd(na target=fe80::1 tll=02-00-00-00-00-01)",
		ethText + "ip6(fe80::1>ff02::1) nd(redirect target=fe80::1 dest=fe80::2)", ethText + "arp(who-has 10.0.0.1 tell 10.0.0.2)",
		ethText + "dhcp(offer yiaddr=10.0.0.9 server=10.0.0.1 router=10.0.0.1 mask=24 lease=60 requested=10.0.0.9)",
		ip + "nvgre(vsid=5001) " + ip + "udp(1>2)", ip + "vxlan(vni=5) " + ip + "udp(1>2)",
	} {
		check(mkFrame(t, text))
	}
	// What the builder does not make.
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	v6a, v6b := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	check((&wire.Frame{IP: &wire.IPFields{Src: a, Dst: b, Options: []byte{1, 1, 1, 1}}, UDP: &wire.UDPFields{}}).Bytes())
	check((&wire.Frame{IP: &wire.IPFields{Src: v6a, Dst: v6b, ForceFragHeader: true}, UDP: &wire.UDPFields{}}).Bytes())
	gre := []byte{0x80, 0, 8, 0, 0, 0, 0, 0, 1, 2}
	check((&wire.Frame{IP: &wire.IPFields{Src: a, Dst: b, Proto: wire.ProtoGRE}, Payload: gre}).Bytes())
	check((&wire.Frame{IP: &wire.IPFields{Src: a, Dst: b}, DHCP: &wire.DHCPFields{Type: wire.DHCPAck, DNS: []netip.Addr{a}, HostName: "h", DomainName: "d"}}).Bytes())
	check((&wire.Frame{IP: &wire.IPFields{Src: v6a, Dst: v6b}, ND: &wire.NDFields{Type: wire.ICMP6RouterAdv, Prefixes: []wire.NDPrefix{{}}}}).Bytes())
	check(mkFrame(t, ip+"udp(1>2)")[:30])
	for layer, defs := range layerFields {
		for _, d := range defs {
			if name := layer + "." + d.name; !seen[name] && !slices.Contains([]string{"nd.rest"}, name) {
				t.Errorf("no frame shows %s", name)
			}
		}
	}
}

func TestShortNamesExist(t *testing.T) {
	for name, s := range shortFields {
		if _, err := resolve(name, "", ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, l := range s.layers {
			if !slices.ContainsFunc(layerFields[l], func(d fieldDef) bool { return d.name == s.field }) {
				t.Errorf("%s: %s has no field %s", name, l, s.field)
			}
		}
	}
	for layer, words := range sugarOf {
		for _, w := range words {
			for _, f := range w.fields {
				if ref, err := resolve(f[0], "", layer); err != nil {
					t.Errorf("%s %s: %v", layer, w.word, err)
				} else if f[1] != "" {
					if _, err := parseValue(ref.kind, f[1]); err != nil {
						t.Errorf("%s %s: %v", layer, w.word, err)
					}
				}
			}
		}
	}
}

func TestGoldenVectorsCanBeWritten(t *testing.T) {
	tests := []struct{ text, hex string }{
		{"eth(00-15-5D-10-00-0A>00-15-5D-10-00-01) ip(172.16.0.10>203.0.113.80 df id=0x1234) tcp(49700>443 S seq=1000 win=64240)",
			"00155d10000100155d10000a0800450000281234400080060031ac10000acb007150c22401bb000003e8000000005002faf004bf0000"},
		{"eth(00-15-5D-24-00-0A>broadcast) arp(who-has 10.127.130.1 tell 10.127.130.110)",
			"ffffffffffff00155d24000a0806000108000604000100155d24000a0a7f826e0000000000000a7f8201"},
		{"eth(00-00-5E-00-01-01>00-15-5D-82-00-23) ip(198.51.100.1>10.127.130.35 ttl=250 id=0x77) icmp(frag-needed mtu=1400) quote ip(10.127.130.35>203.0.113.80 ttl=120 id=0x1235 df len=1480 proto=6) payload=hex:c35101bb000003e8",
			"00155d82002300005e00010108004500003800770000fa010977c63364010a7f822303042e8f00000578450005c812354000780622080a7f8223cb007150c35101bb000003e8"},
	}
	for _, test := range tests {
		got := fmt.Sprintf("%x", mkFrame(t, test.text))
		if got != test.hex {
			t.Errorf("%s\n got %s\nwant %s", test.text, got, test.hex)
		}
	}
}
