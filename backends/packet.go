package backends

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/hnsim/hnsim/sim/wire"
)

// Packet is the packet of a SendPacket from a source address and port, without
// Ethernet addresses. It has the IP identification id unless the stimulus names
// one. What cannot be built is a *UsageError. The payload is that of the
// stimulus, not a copy.
func (s *Stimulus) Packet(src netip.AddrPort, id uint16) (*wire.Frame, error) {
	if s.IPID != 0 {
		id = s.IPID
	}
	f := &wire.Frame{
		IP:      &wire.IPFields{Src: src.Addr(), Dst: s.Dst.Addr(), TTL: s.TTL, TOS: s.TOS, DF: s.DF && src.Addr().Is4(), ID: uint32(id)},
		Payload: s.Payload,
	}
	switch s.Proto {
	case "udp":
		f.UDP = &wire.UDPFields{SrcPort: src.Port(), DstPort: s.Dst.Port(), NoChecksum: s.NoChecksum}
	case "tcp":
		flags, ok := wire.ParseTCPFlags(s.TCPFlags)
		if !ok {
			return nil, &UsageError{Msg: fmt.Sprintf("TCP flags %q: expected letters of %s", s.TCPFlags, wire.TCPFlagLetters)}
		}
		if src.Port() == 0 {
			return nil, &UsageError{Msg: "send tcp: a segment needs a source port"}
		}
		f.TCP = &wire.TCPFields{SrcPort: src.Port(), DstPort: s.Dst.Port(), Seq: s.Seq, Ack: s.Ack, Flags: flags, Window: 64240}
	case "icmp", "icmp6":
		f.ICMP = &wire.ICMPFields{Type: s.ICMPType, Code: s.ICMPCode, ID: s.ICMPID, Seq: s.ICMPSeq}
	default:
		n, err := strconv.ParseUint(s.Proto, 10, 8)
		if err != nil {
			return nil, &UsageError{Msg: fmt.Sprintf("send: protocol %q: expected udp, tcp, icmp, icmp6 or a number", s.Proto)}
		}
		f.IP.Proto = uint8(n)
	}
	return f, nil
}
