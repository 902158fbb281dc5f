package winnat

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// mkError is an ICMP error of reporter about an offending packet, quoting n
// bytes behind the IP header.
func mkError(reporter string, offending []byte, n int) []byte {
	var m wire.Meta
	wire.Parse(offending, &m)
	return wire.Reporter{IP: place(reporter), QuoteLen: n}.TooBig(offending, &m, 1400)
}

// showError is "r>cn1 about" and the quoted packet.
func showError(frame []byte) string {
	var m wire.Meta
	wire.Parse(frame, &m)
	// To read the quote as a packet, stretch it to the length that it claims.
	q, ok := wire.ParseQuoted(frame, &m)
	if !ok {
		return "no quote in " + show(frame)
	}
	inner := make([]byte, 14, 2000)
	wire.Ethernet(inner).SetType(wire.EtherTypeIPv4)
	inner = append(inner, frame[q.L3:q.End]...)
	inner = append(inner, make([]byte, max(0, 14+wire.IPv4(frame[q.L3:]).TotalLen()-len(inner)))...)
	inner = inner[:14+wire.IPv4(frame[q.L3:]).TotalLen()]
	if q.Proto == wire.ProtoTCP && q.End-q.L4 < wire.TCPMinLen {
		wire.TCP(inner[q.L4-q.L3+14:]).SetHeaderLen(20)
	}
	return placeName(m.Src(frame)) + ">" + placeName(m.Dst(frame)) + " about " + strings.TrimSpace(show(inner))
}

func TestICMPErrors(t *testing.T) {
	const (
		udpOut  = "0s out udp cn1:5000>x:53 -> udp h1:50001>x:53\n"
		tcpOut  = "0s out tcp cn1:5000>x:443 S -> tcp h1:50001>x:443 S\n"
		echoOut = "0s out echo cn1:7>x -> echo h1:50001>x\n"
		webIn   = "0s in tcp x:9>h1:8080 S -> tcp x:9>cn1:80 S\n0s out tcp cn1:80>x:9 SA -> tcp h1:8080>x:9 SA\n"
		hairpin = "0s back tcp cn2:9>h1:8080 S -> tcp h1:50001>cn1:80 S\n0s back tcp cn1:80>h1:50001 SA -> tcp h1:8080>cn2:9 SA\n"
		loop    = "0s host tcp lo:9>lo:8080 S -> tcp gw:9>cn1:80 S\n"
	)
	tests := []struct {
		name     string
		before   string
		where    string
		reporter string
		about    string
		want     string
	}{
		{"NAT-53 from a router about UDP", udpOut, "in", "r", "udp h1:50001>x:53", "r>cn1 about udp cn1:5000>x:53"},
		{"NAT-53 from the remote end itself", udpOut, "in", "x", "udp h1:50001>x:53", "x>cn1 about udp cn1:5000>x:53"},
		{"NAT-53 about TCP", tcpOut, "in", "r", "tcp h1:50001>x:443 S", "r>cn1 about tcp cn1:5000>x:443"},
		{"NAT-53 about an ICMP query", echoOut, "in", "r", "echo h1:50001>x", "r>cn1 about echo cn1:7>x"},
		{"NAT-53 about a reply of a published port", webIn, "in", "r", "tcp h1:8080>x:9 SA", "r>cn1 about tcp cn1:80>x:9"},
		{"NAT-53 outbound, about what a published port received", webIn, "out", "cn1", "tcp x:9>cn1:80 A", "h1>x about tcp x:9>h1:8080"},
		{"NAT-53 outbound, about what a mapping let in", udpOut, "out", "cn1", "udp x:53>cn1:5000", "h1>x about udp x:53>h1:50001"},
		{"NAT-53 outbound, from the host about what it could not deliver", webIn, "out", "gw", "tcp x:9>cn1:80 A", "h1>x about tcp x:9>h1:8080"},
		{"NAT-53 through a hairpin, from the receiver", hairpin, "back", "cn1", "tcp h1:50001>cn1:80 A", "h1>cn2 about tcp cn2:9>h1:8080"},
		{"NAT-53 through a hairpin, from the sender", hairpin, "back", "cn2", "tcp h1:8080>cn2:9 A", "h1>cn1 about tcp cn1:80>h1:50001"},
		{"NAT-53 to the host about its own connection", loop, "back", "cn1", "tcp gw:9>cn1:80 A", "lo>lo about tcp lo:9>lo:8080"},
		{"NAT-54 about a tuple that nobody has, in our ports", udpOut, "in", "r", "udp h1:50002>x:53", "drop NoMapping"},
		{"NAT-54 about a remote end that the inside has not sent to", udpOut, "in", "r", "udp h1:50001>x2:53", "drop NoMapping"},
		{"NAT-54 about an identifier that nobody has", echoOut, "in", "r", "echo h1:50002>x", "drop NoMapping"},
		{"NAT-54 about an unknown flow of a published port", webIn, "in", "r", "tcp h1:8080>x2:9 SA", "drop NoMapping"},
		{"NAT-54 about the host's own traffic", udpOut, "in", "r", "udp h1:600>x:53", "not mine"},
		{"NAT-54 about the host's own protocols", udpOut, "in", "r", "gre h1>x", "not mine"},
		{"NAT-54 outbound about an unknown flow must not show an internal address", udpOut, "out", "cn1", "udp x2:53>cn1:5000", "drop NoMapping"},
		{"NAT-54 outbound from elsewhere is routed", udpOut, "out", "x2", "udp x:53>x2:5000", "not mine"},
		{"NAT-08 to the host about its own traffic", udpOut, "back", "cn1", "tcp gw:9>cn1:22 A", "not mine"},
		{"NAT-36 from the host itself", loop, "host", "h1", "udp lo:1>lo:2", "not mine"},
	}
	for _, tt := range tests {
		for _, n := range []int{8, 500} {
			t.Run(tt.name, func(t *testing.T) {
				l := newLab(t, func(c *Config) { static8080(c); c.LoopbackPublish = true })
				l.run(tt.before)
				offending := mkFrame(tt.about).Bytes()
				frame := mkError(tt.reporter, offending, n)
				sessions := l.n.Sessions(0)
				got, p, res := l.pass(seconds(1), tt.where, frame)
				if res.Verdict == Translated || res.Verdict == ToHost {
					got = strings.TrimSpace(showError(p.Bytes()))
					checkQuote(t, p.Bytes(), n)
				}
				got = strings.TrimSuffix(strings.TrimSuffix(got, " SA"), " S")
				if got = strings.TrimSuffix(got, " A"); got != tt.want {
					t.Errorf("got %s", got)
				}
				for i, s := range l.n.Sessions(0) {
					if s != sessions[i] {
						t.Errorf("the error changed a session: %+v, was %+v", s, sessions[i])
					}
				}
			})
		}
	}
}

// checkQuote checks what the receiver of an error looks at: that type, code
// and MTU are as sent, and that the quoted packet is one it can have sent,
// quoted checksums included.
func checkQuote(t *testing.T, frame []byte, n int) {
	t.Helper()
	var m wire.Meta
	wire.Parse(frame, &m)
	icmp := wire.ICMPv4(frame[m.L4:])
	if icmp.Type() != wire.ICMPUnreachable || icmp.Code() != wire.ICMPFragNeeded || icmp.MTU() != 1400 {
		t.Errorf("type %d code %d MTU %d", icmp.Type(), icmp.Code(), icmp.MTU())
	}
	q, ok := wire.ParseQuoted(frame, &m)
	if !ok || !q.ChecksumOK {
		t.Fatal("the quoted IP header is damaged")
	}
	if n < 100 {
		return
	}
	whole := append(make([]byte, 14), frame[q.L3:q.End]...)
	wire.Ethernet(whole).SetType(wire.EtherTypeIPv4)
	if err := wire.VerifyChecksums(whole); err != nil {
		t.Errorf("quoted packet: %v", err)
	}
}

func TestNAT53ErrorsNeitherEndNorExtendAMapping(t *testing.T) {
	l := newLab(t, nil)
	l.run("0s out udp cn1:5000>x:53 -> udp h1:50001>x:53")
	frame := mkError("r", mkFrame("udp h1:50001>x:53").Bytes(), 8)
	if _, _, res := l.pass(seconds(100), "in", bytes.Clone(frame)); res.Verdict != Translated || res.Rule != "NAT-53" {
		t.Error(res)
	}
	l.run("119s in udp x:53>h1:50001 -> udp x:53>cn1:5000")
	if got, _, _ := l.pass(seconds(121), "in", frame); got != "drop NoMapping" {
		t.Error(got)
	}
}

func TestNAT54ErrorsOfExpiredSessionsDoNotDependOnTick(t *testing.T) {
	l := newLab(t, nil)
	l.run(`
		0s  out udp cn1:5000>x:53 -> udp h1:50001>x:53
		60s out udp cn1:5000>x2:53 -> udp h1:50001>x2:53`)
	if got, _, _ := l.pass(seconds(121), "in", mkError("r", mkFrame("udp h1:50001>x:53").Bytes(), 8)); got != "drop NoMapping" {
		t.Error(got)
	}
}

func TestNAT54DamagedErrorsAreDropped(t *testing.T) {
	good := mkError("r", mkFrame("udp h1:50001>x:53").Bytes(), 8)
	const icmpAt, quoteAt = 34, 42
	tests := []struct {
		name   string
		damage func([]byte)
		want   string
	}{
		{"quoted IP checksum", func(f []byte) {
			f[quoteAt+8] ^= 1 // TTL
			fixICMP(f)
		}, "drop BadChecksum"},
		{"ICMP checksum", func(f []byte) { f[icmpAt+2] ^= 1 }, "drop BadChecksum"},
		{"fragment", func(f []byte) {
			wire.IPv4(f[14:]).SetFrag(false, true, 0)
			fixIP(f)
		}, "drop Malformed"},
		{"quote of an ICMP error", func(f []byte) {
			f[quoteAt+9] = wire.ProtoICMP
			f[quoteAt+20] = wire.ICMPUnreachable
			fixICMP(f)
		}, "not mine"},
		{"quote of a later fragment", func(f []byte) {
			wire.IPv4(f[quoteAt:]).SetFrag(false, false, 80)
			fixICMP(f)
		}, "not mine"},
		{"quote of IPv6", func(f []byte) { f[quoteAt] = 0x65; fixICMP(f) }, "not mine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.run("0s out udp cn1:5000>x:53 -> udp h1:50001>x:53")
			f := bytes.Clone(good)
			tt.damage(f)
			if got, _, _ := l.pass(0, "in", f); got != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestNAT54AQuotedErrorIsNoQueryWithIdentifierZero(t *testing.T) {
	l := newLab(t, nil)
	l.run("0s out echo cn1:0>x -> echo h1:50001>x")
	f := mkError("cn1", mkFrame("reply x>cn1:0").Bytes(), 8)
	f[42+20] = wire.ICMPUnreachable
	fixICMP(f)
	if got, _, _ := l.pass(0, "out", f); got != "drop NoMapping" {
		t.Error(got)
	}
}

func fixIP(f []byte) {
	ip := wire.IPv4(f[14:34])
	ip.SetChecksum(0)
	ip.SetChecksum(wire.Checksum(ip))
}

func fixICMP(f []byte) {
	b := wire.ICMPv4(f[34:])
	b.SetChecksum(0)
	b.SetChecksum(wire.Checksum(b))
}
