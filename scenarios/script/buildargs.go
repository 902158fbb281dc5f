package script

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// elementArgs reads the words between a layer's parentheses. Its first error
// sticks.
type elementArgs struct {
	args []string
	err  error
}

func (a *elementArgs) check(err error) {
	if err != nil && a.err == nil {
		a.err = err
	}
}

// done reports the first error, or words that nobody took.
func (a *elementArgs) done() error {
	if a.err == nil && len(a.args) > 0 {
		return fmt.Errorf("unexpected %s", quoteShort(a.args[0]))
	}
	return a.err
}

func (a *elementArgs) take(what string) string {
	if len(a.args) == 0 {
		a.check(fmt.Errorf("%s is missing", what))
		return ""
	}
	s := a.args[0]
	a.args = a.args[1:]
	return s
}

func (a *elementArgs) number(what string, dst *int, maximum uint64) {
	s := a.take(what)
	if a.err == nil {
		a.check(toUint(dst, maximum)(s))
	}
}

// pair takes "src>dst" if it comes next.
func (a *elementArgs) pair() (src, dst string, ok bool) {
	if len(a.args) == 0 {
		return "", "", false
	}
	src, dst, ok = strings.Cut(a.args[0], ">")
	if ok {
		a.args = a.args[1:]
	}
	return src, dst, ok
}

// options takes the rest: name=value and flags.
func (a *elementArgs) options(attrs ...attr) {
	seen := map[string]bool{}
	var names []string
	for _, at := range attrs {
		names = append(names, at.name)
	}
	for a.err == nil && len(a.args) > 0 {
		text := a.take("")
		name, value, hasValue := strings.Cut(text, "=")
		at := findAttr(attrs, name)
		switch {
		case at == nil:
			a.check(fmt.Errorf("unknown %s%s", quoteShort(name), didYouMean(name, names)))
		case seen[name]:
			a.check(fmt.Errorf("%s is given twice", name))
		case at.flag == hasValue:
			a.check(fmt.Errorf("%s: a flag has no value, others need one", name))
		default:
			if err := at.set(value); err != nil {
				a.check(fmt.Errorf("%s: %w", name, err))
			}
		}
		seen[name] = true
	}
}

func (a *elementArgs) eth(f *wire.Frame) {
	src, dst, ok := a.pair()
	if !ok {
		a.check(fmt.Errorf("expected source>destination"))
		return
	}
	a.check(toMAC(&f.EthSrc)(src))
	a.check(toMAC(&f.EthDst)(dst))
	a.options(attr{name: "type", set: toUint(&f.EtherType, 0xffff)})
}

func (a *elementArgs) vlan(f *wire.Frame) {
	id, prio := 0, 0
	a.number("the VLAN id", &id, 4095)
	a.options(attr{name: "prio", set: toUint(&prio, 7)})
	f.VLAN = &wire.VLANFields{ID: uint16(id), Priority: uint8(prio)}
}

func (a *elementArgs) arp(f *wire.Frame) {
	m := &wire.ARPFields{SenderMAC: f.EthSrc, SenderIP: netip.IPv4Unspecified(), TargetIP: netip.IPv4Unspecified()}
	f.ARP = m
	for a.err == nil && len(a.args) > 0 && !strings.Contains(a.args[0], "=") {
		switch word := a.take(""); word {
		case "who-has":
			m.Op = wire.ARPRequest
			a.check(toAddr(&m.TargetIP)(a.take("the address")))
		case "tell":
			a.check(toAddr(&m.SenderIP)(a.take("the address")))
		case "reply":
			m.Op = wire.ARPReply
			m.TargetMAC = f.EthDst
			a.check(toAddr(&m.SenderIP)(a.take("the address")))
		case "is-at":
			a.check(toMAC(&m.SenderMAC)(a.take("the MAC address")))
		case "to":
			a.check(toAddr(&m.TargetIP)(a.take("the address")))
		default:
			a.check(fmt.Errorf("unknown %s%s", quoteShort(word), didYouMean(word, []string{"who-has", "tell", "reply", "is-at", "to"})))
		}
	}
	a.options(attr{name: "op", set: toUint(&m.Op, 0xffff)},
		attr{name: "sha", set: toMAC(&m.SenderMAC)}, attr{name: "tha", set: toMAC(&m.TargetMAC)},
		attr{name: "spa", set: toAddr(&m.SenderIP)}, attr{name: "tpa", set: toAddr(&m.TargetIP)})
}

func (a *elementArgs) ip(f *wire.Frame, v6 bool) {
	src, dst, ok := a.pair()
	if !ok {
		a.check(fmt.Errorf("expected source>destination"))
		return
	}
	h := &wire.IPFields{}
	f.IP = h
	a.check(toAddr(&h.Src)(src))
	a.check(toAddr(&h.Dst)(dst))
	if a.err == nil && (h.Src.Is6() != h.Dst.Is6() || v6 && !h.Src.Is6()) {
		a.check(fmt.Errorf("%v and %v do not make a packet of this version", h.Src, h.Dst))
	}
	var id int
	bad := false
	a.options(attr{name: "ttl", set: func(v string) error {
		h.TTLZero = v == "0"
		return toUint(&h.TTL, 255)(v)
	}}, attr{name: "tos", set: toUint(&h.TOS, 255)}, attr{name: "id", set: toUint(&id, 1<<32-1)},
		attr{name: "df", flag: true, set: toFlag(&h.DF)}, attr{name: "mf", flag: true, set: toFlag(&h.MF)},
		attr{name: "off", set: toUint(&h.FragOffset, 65528)}, attr{name: "badsum", flag: true, set: toFlag(&bad)},
		attr{name: "len", set: toPointer(&h.Length)},
		attr{name: "proto", set: func(v string) error {
			n, ok := protoNumber(v)
			if !ok {
				return fmt.Errorf("found %s, expected a protocol", quoteShort(v))
			}
			h.Proto = n
			return nil
		}})
	h.ID = uint32(id)
	if bad {
		wrong := uint16(0xdead)
		h.Checksum = &wrong
	}
}

func toPointer[T uint8 | uint16](dst **T) func(string) error {
	return func(v string) error {
		var n T
		*dst = &n
		return toUint(&n, uint64(^T(0)))(v)
	}
}

func (a *elementArgs) ports(src, dst *uint16) {
	s, d, ok := a.pair()
	if !ok {
		a.check(fmt.Errorf("expected source-port>destination-port"))
		return
	}
	a.check(toUint(src, 0xffff)(s))
	a.check(toUint(dst, 0xffff)(d))
}

func (a *elementArgs) udp(f *wire.Frame) {
	h := &wire.UDPFields{}
	f.UDP = h
	a.ports(&h.SrcPort, &h.DstPort)
	a.options(attr{name: "nocsum", flag: true, set: toFlag(&h.NoChecksum)},
		attr{name: "sum", set: toPointer(&h.Checksum)}, attr{name: "len", set: toPointer(&h.Length)})
}

func (a *elementArgs) tcp(f *wire.Frame) {
	h := &wire.TCPFields{}
	f.TCP = h
	a.ports(&h.SrcPort, &h.DstPort)
	// The flags may stand alone, as in the contract's notation: tcp(1>2 SA).
	if len(a.args) > 0 && strings.Trim(a.args[0], "FSRPAUEC") == "" {
		bits, err := tcpBits(a.take(""))
		a.check(err)
		h.Flags = bits
	}
	a.options(attr{name: "flags", set: func(v string) (err error) { h.Flags, err = tcpBits(v); return err }},
		attr{name: "seq", set: toUint(&h.Seq, 1<<32-1)}, attr{name: "ack", set: toUint(&h.Ack, 1<<32-1)},
		attr{name: "win", set: toUint(&h.Window, 0xffff)}, attr{name: "mss", set: toUint(&h.MSS, 0xffff)},
		attr{name: "sum", set: toPointer(&h.Checksum)})
}
