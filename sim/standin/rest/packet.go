package rest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// packetForm is how a packet is written.
const packetForm = `udp|tcp|icmp|NUMBER [SOURCE[:PORT]] > DESTINATION[:PORT] [ttl=N] [tos=N] [df] [flags=S] [type=N] [code=N] [id=N] [seq=N] [len=N] ['PAYLOAD']`

// packet is a packet to be traced, as it was written.
type packet struct {
	proto    uint8
	src, dst netip.AddrPort // source address invalid: the sender's
	ttl, tos uint8
	df       bool
	flags    uint8  // TCP
	typ      *uint8 // ICMP; nil is an echo request
	code     uint8
	id, seq  uint16
	payload  []byte
}

// Ports of packets that do not name one, and the longest payload.
const (
	defaultSource = 40000
	maxPayload    = 9000
)

func badPacket(format string, args ...any) error {
	return fmt.Errorf("%s: expected %s", fmt.Sprintf(format, args...), packetForm)
}

// parsePacket reads a packet in the form of packetForm.
func parsePacket(text string) (*packet, error) {
	text, payload, quoted, err := cutPayload(text)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(text)
	p := &packet{flags: wire.TCPSyn, payload: payload}
	if len(words) == 0 {
		return nil, badPacket("there is no packet")
	}
	proto, rest := words[0], words[1:]
	if len(rest) > 0 && rest[0] != ">" {
		if p.src, err = parseEnd(rest[0]); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	if len(rest) < 2 || rest[0] != ">" {
		return nil, badPacket("there is no \">\" with a destination behind it")
	}
	if p.dst, err = parseEnd(rest[1]); err != nil {
		return nil, err
	}
	if p.src.Addr().IsValid() && p.src.Addr().Is4() != p.dst.Addr().Is4() {
		return nil, badPacket("%s and %s are not of one version", p.src.Addr(), p.dst.Addr())
	}
	if err := p.setProto(proto); err != nil {
		return nil, err
	}
	for _, w := range rest[2:] {
		if err := p.option(w, quoted); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// cutPayload takes the text in quotes off the end.
func cutPayload(text string) (rest string, payload []byte, quoted bool, err error) {
	text = strings.TrimSpace(text)
	before, after, ok := strings.Cut(text, "'")
	if !ok {
		return text, nil, false, nil
	}
	inside, ok := strings.CutSuffix(after, "'")
	if !ok || len(inside) > maxPayload {
		return "", nil, false, badPacket("the payload has no closing quote at the end, or more than %d bytes", maxPayload)
	}
	return before, []byte(inside), true, nil
}

// parseEnd reads an address with or without port.
func parseEnd(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil && a.Addr().Zone() == "" {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, badPacket("%q is no address", s)
	}
	return netip.AddrPortFrom(a.Unmap(), 0), nil
}

func (p *packet) setProto(name string) error {
	switch strings.ToLower(name) {
	case "udp":
		p.proto = wire.ProtoUDP
	case "tcp":
		p.proto = wire.ProtoTCP
	case "icmp", "icmp6", "icmpv6":
		p.proto = wire.ProtoICMP
		if p.dst.Addr().Is6() {
			p.proto = wire.ProtoICMPv6
		}
	default:
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return badPacket("%q is no protocol", name)
		}
		p.proto = uint8(n)
	}
	if p.proto != wire.ProtoUDP && p.proto != wire.ProtoTCP {
		if p.src.Port() != 0 || p.dst.Port() != 0 {
			return badPacket("%s has no ports", name)
		}
		return nil
	}
	if p.dst.Port() == 0 {
		return badPacket("%s needs a destination port", name)
	}
	if p.src.Port() == 0 {
		p.src = netip.AddrPortFrom(p.src.Addr(), defaultSource)
	}
	return nil
}

func (p *packet) option(word string, quoted bool) error {
	name, value, given := strings.Cut(word, "=")
	if name == "df" && !given {
		p.df = true
		return nil
	}
	if name == "flags" {
		var ok bool
		if p.flags, ok = wire.ParseTCPFlags(value); !ok {
			return badPacket("TCP flags %q: a letter is none of %s", value, wire.TCPFlagLetters)
		}
		return nil
	}
	sizes := map[string]int{"ttl": 8, "tos": 8, "type": 8, "code": 8, "id": 16, "seq": 16, "len": 16}
	n, err := strconv.ParseUint(value, 0, max(sizes[name], 1))
	if sizes[name] == 0 || err != nil || name == "len" && (quoted || n > maxPayload) {
		return badPacket("%q is no option of a packet, or its value does not fit", word)
	}
	switch name {
	case "ttl":
		p.ttl = uint8(n)
	case "tos":
		p.tos = uint8(n)
	case "type":
		t := uint8(n)
		p.typ = &t
	case "code":
		p.code = uint8(n)
	case "id":
		p.id = uint16(n)
	case "seq":
		p.seq = uint16(n)
	case "len":
		p.payload = make([]byte, n)
	}
	return nil
}

// build makes the frame, with the addresses of Ethernet still open. src is the
// sender's address where the packet does not name one.
func (p *packet) build(src netip.Addr) (*wire.Frame, error) {
	if p.src.Addr().IsValid() {
		src = p.src.Addr()
	}
	f := &wire.Frame{
		IP:      &wire.IPFields{Src: src, Dst: p.dst.Addr(), Proto: p.proto, TTL: p.ttl, TOS: p.tos, DF: p.df && src.Is4()},
		Payload: p.payload,
	}
	switch p.proto {
	case wire.ProtoUDP:
		f.UDP = &wire.UDPFields{SrcPort: p.src.Port(), DstPort: p.dst.Port()}
	case wire.ProtoTCP:
		f.TCP = &wire.TCPFields{SrcPort: p.src.Port(), DstPort: p.dst.Port(), Flags: p.flags, Window: 64240, Seq: uint32(p.seq)}
	case wire.ProtoICMP, wire.ProtoICMPv6:
		typ := uint8(8)
		if p.proto == wire.ProtoICMPv6 {
			typ = 128
		}
		if p.typ != nil {
			typ = *p.typ
		}
		f.ICMP = &wire.ICMPFields{Type: typ, Code: p.code, ID: p.id, Seq: p.seq}
	}
	_, err := f.Build()
	return f, err
}
