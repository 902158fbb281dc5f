package winnat

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// The places of the contract's reference topology (0.4), and a few more.
var places = map[string]netip.Addr{
	"h1":  netip.MustParseAddr("10.127.130.35"),
	"h1b": netip.MustParseAddr("10.127.130.36"), // a second address of the host
	"lo":  netip.MustParseAddr("127.0.0.1"),
	"gw":  netip.MustParseAddr("172.16.0.1"),
	"cn1": netip.MustParseAddr("172.16.0.10"),
	"cn2": netip.MustParseAddr("172.16.0.11"),
	"x":   netip.MustParseAddr("203.0.113.80"),
	"x2":  netip.MustParseAddr("198.51.100.9"),
	"r":   netip.MustParseAddr("198.51.100.1"),
}

var (
	h1MAC  = wire.MustMAC("00-15-5D-82-00-23")
	rMAC   = wire.MustMAC("00-00-5E-00-01-01")
	gwMAC  = wire.MustMAC("00-15-5D-10-00-01")
	cn1MAC = wire.MustMAC("00-15-5D-10-00-0A")
)

func place(name string) netip.Addr {
	if a, ok := places[name]; ok {
		return a
	}
	return netip.MustParseAddr(name)
}

func placeName(a netip.Addr) string {
	for name, p := range places { // addresses are distinct: the order does not matter
		if p == a {
			return name
		}
	}
	return a.String()
}

// stubPorts hands out blocks from first on, for every protocol alike, blocks
// times.
type stubPorts struct {
	first  uint16
	blocks int
	next   [256]int
	log    []string
}

func (s *stubPorts) ReserveBlock(proto uint8, size int, _ uint64) (uint16, bool) {
	if s.next[proto] == s.blocks {
		return 0, false
	}
	lo := s.first + uint16(s.next[proto]*size)
	s.next[proto]++
	s.log = append(s.log, fmt.Sprintf("reserve %s %d+%d", protoName(proto), lo, size))
	return lo, true
}

func (s *stubPorts) ReleaseBlock(proto uint8, lo uint16, size int, _ uint64) {
	s.log = append(s.log, fmt.Sprintf("release %s %d+%d", protoName(proto), lo, size))
}

// lab is a translator with the nat network of the reference topology behind
// it. External ports begin at 50001.
type lab struct {
	t     *testing.T
	n     *NAT
	ports *stubPorts
}

func baseConfig() Config {
	return Config{Internal: []InternalNet{{Prefix: netip.MustParsePrefix("172.16.0.0/24"), Gateway: place("gw")}}}
}

// publish8080 is host port 8080 to port 80 of cn1.
var publish8080 = StaticMapping{Proto: wire.ProtoTCP, ExternalPort: 8080, Internal: netip.MustParseAddrPort("172.16.0.10:80")}

func newLab(t *testing.T, change func(*Config)) *lab {
	t.Helper()
	cfg := baseConfig()
	if change != nil {
		change(&cfg)
	}
	ports := &stubPorts{first: 50001, blocks: 100}
	n, err := New(cfg, ports, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &lab{t: t, n: n, ports: ports}
}

func (l *lab) apply(change func(*Config)) {
	l.t.Helper()
	cfg := baseConfig()
	change(&cfg)
	if err := l.n.Apply(cfg); err != nil {
		l.t.Fatal(err)
	}
}

// endpoint reads "cn1:80" or "x".
func endpoint(s string) (netip.Addr, uint16) {
	name, port, ok := strings.Cut(s, ":")
	if !ok {
		return place(name), 0
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		panic(err)
	}
	return place(name), uint16(p)
}

var icmpTypes = map[string]uint8{
	"echo": wire.ICMPEcho, "reply": wire.ICMPEchoReply, "timestamp": wire.ICMPTimestamp, "timestamp-reply": wire.ICMPTimestampReply, "router-adv": 9,
}

const tcpLetters = "FSRPA"

// mkFrame builds a packet from text:
//
//	tcp cn1:49700>x:443 SA     flags of FSRPA
//	udp cn1:5000>x:53          nosum: without checksum
//	echo cn1:7>x               the identifier stands with the sender of a query,
//	reply x>h1:50001           and the receiver of its reply
//	sctp cn1>x                 or gre, esp, igmp
func mkFrame(text string) *wire.Frame {
	words := strings.Fields(text)
	from, to, _ := strings.Cut(words[1], ">")
	src, sp := endpoint(from)
	dst, dp := endpoint(to)
	f := &wire.Frame{
		EthDst: gwMAC, EthSrc: cn1MAC,
		IP: &wire.IPFields{Src: src, Dst: dst, ID: 0x1234, DF: true, TOS: 0x2a}, Payload: []byte("hello"),
	}
	switch words[0] {
	case "tcp":
		f.TCP = &wire.TCPFields{SrcPort: sp, DstPort: dp, Seq: 1000, Window: 64240}
		for _, letter := range words[2] {
			f.TCP.Flags |= 1 << strings.IndexRune(tcpLetters, letter)
		}
		if f.TCP.Flags&wire.TCPSyn != 0 {
			f.Payload = nil
		}
	case "udp":
		f.UDP = &wire.UDPFields{SrcPort: sp, DstPort: dp, NoChecksum: len(words) > 2 && words[2] == "nosum"}
	case "sctp", "gre", "esp", "igmp":
		f.IP.Proto = map[string]uint8{"sctp": 132, "gre": wire.ProtoGRE, "esp": wire.ProtoESP, "igmp": wire.ProtoIGMP}[words[0]]
	default:
		typ, ok := icmpTypes[words[0]]
		if !ok {
			panic("unknown packet " + text)
		}
		f.ICMP = &wire.ICMPFields{Type: typ, ID: max(sp, dp), Seq: 3}
	}
	return f
}

func mkPacket(frame []byte) *vfp.Packet {
	p := vfp.NewPacket(frame)
	p.Parse()
	return p
}

// show is the inverse of mkFrame, as far as NAT is concerned.
func show(frame []byte) string {
	var m wire.Meta
	wire.Parse(frame, &m)
	src, dst := placeName(m.Src(frame)), placeName(m.Dst(frame))
	switch {
	case m.Proto == wire.ProtoTCP && m.HasL4:
		flags := ""
		for i, letter := range []byte(tcpLetters) {
			if m.TCPFlags>>i&1 != 0 {
				flags += string(letter)
			}
		}
		return fmt.Sprintf("tcp %s:%d>%s:%d %s", src, m.SrcPort, dst, m.DstPort, flags)
	case m.Proto == wire.ProtoUDP && m.HasL4:
		return fmt.Sprintf("udp %s:%d>%s:%d", src, m.SrcPort, dst, m.DstPort)
	case m.IsICMPQuery():
		for name, typ := range icmpTypes {
			if typ != m.ICMPType {
				continue
			}
			if isRequest(typ) {
				return fmt.Sprintf("%s %s:%d>%s", name, src, m.SrcPort, dst)
			}
			return fmt.Sprintf("%s %s>%s:%d", name, src, dst, m.SrcPort)
		}
	}
	return fmt.Sprintf("proto %d %s>%s", m.Proto, src, dst)
}

// pass sends a frame by one of the four places at a time and returns the
// outcome as text, and the packet. It checks what holds for every packet: the
// checksums stay valid, Meta stays true, nothing but addresses, ports and
// checksums changes, and what is not translated does not change at all.
func (l *lab) pass(at time.Duration, where string, frame []byte) (string, *vfp.Packet, Result) {
	l.t.Helper()
	p := mkPacket(frame)
	res := l.call(at, where, p)
	after := p.Bytes()
	if res.Verdict != Translated && res.Verdict != ToHost {
		if !bytes.Equal(frame, after) {
			l.t.Errorf("%s %s: %v, yet the packet changed to %s", where, show(frame), res.Verdict, show(after))
		}
	} else {
		l.checkRewrite(frame, p)
	}
	return l.outcome(res, p), p, res
}

func (l *lab) call(at time.Duration, where string, p *vfp.Packet) Result {
	now := int64(at)
	switch where {
	case "out":
		return l.n.Outbound(now, p, place("h1"))
	case "out-b": // by a route to another interface
		return l.n.Outbound(now, p, place("h1b"))
	case "in":
		return l.n.Inbound(now, p, p.Meta.Dst(p.Bytes()))
	case "back":
		return l.n.Hairpin(now, p)
	case "host":
		return l.n.HostOutbound(now, p)
	}
	panic("unknown place " + where)
}

func (l *lab) outcome(res Result, p *vfp.Packet) string {
	switch res.Verdict {
	case Translated:
		return show(p.Bytes())
	case Dropped:
		if p.Verdict != vfp.Dropped || p.Reason != res.Drop || res.Drop == vfp.DropNone {
			l.t.Errorf("dropped with %v, but the packet says %v", res.Drop, p.Reason)
		}
		return "drop " + res.Drop.String()
	case ToHost:
		return "to host " + show(p.Bytes())
	}
	return res.Verdict.String()
}

func (l *lab) checkRewrite(before []byte, p *vfp.Packet) {
	l.t.Helper()
	after := p.Bytes()
	if err := wire.VerifyChecksums(before); err == nil {
		if err := wire.VerifyChecksums(after); err != nil {
			l.t.Errorf("%s became %s: %v", show(before), show(after), err)
		}
	}
	var m wire.Meta
	wire.Parse(after, &m)
	if m != p.Meta {
		l.t.Errorf("Meta is %+v, the frame says %+v", p.Meta, m)
	}
	if len(before) != len(after) {
		l.t.Fatalf("length changed from %d to %d", len(before), len(after))
	}
	may := changeable(before, &m, l.n.cfg.RewriteIPID)
	for i := range before {
		if before[i] != after[i] && !may[i] {
			l.t.Errorf("%s: byte %d changed from %02x to %02x", show(before), i, before[i], after[i])
		}
	}
}

// changeable are the bytes that translation may change.
func changeable(frame []byte, m *wire.Meta, id bool) map[int]bool {
	may := map[int]bool{}
	mark := func(from, n int) {
		for i := from; i < from+n; i++ {
			may[i] = true
		}
	}
	mark(m.L3+10, 2) // IP checksum
	mark(m.L3+12, 8)
	if id {
		mark(m.L3+4, 2)
	}
	if !m.HasL4 {
		return may
	}
	switch m.Proto {
	case wire.ProtoTCP:
		mark(m.L4, 4)
		mark(m.L4+16, 2)
	case wire.ProtoUDP:
		mark(m.L4, 4)
		mark(m.L4+6, 2)
	case wire.ProtoICMP:
		mark(m.L4+2, 2)
		if m.IsICMPError() {
			mark(m.Payload, m.End-m.Payload)
		} else {
			mark(m.L4+4, 2)
		}
	}
	return may
}

// run plays a script, one packet a line:
//
//	time  place  packet  ->  outcome
//
// place is out, in, back or host; the outcome a packet (translated), "to host"
// and a packet, "not mine", "queued", or "drop" and a reason. Empty lines and
// what follows a # do not count.
func (l *lab) run(script string) {
	l.t.Helper()
	for _, line := range strings.Split(script, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		arrow := slices.Index(words, "->")
		at, err := time.ParseDuration(words[0])
		if err != nil || arrow < 3 {
			l.t.Fatalf("script line %q: %v", line, err)
		}
		want := strings.Join(words[arrow+1:], " ")
		got, _, _ := l.pass(at, words[1], mkFrame(strings.Join(words[2:arrow], " ")).Bytes())
		if got = strings.TrimSpace(got); got != want {
			l.t.Errorf("%s\n got %s", strings.TrimSpace(line), got)
		}
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func asDuration(ns int64) time.Duration { return time.Duration(ns) }
