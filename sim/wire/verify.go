package wire

import (
	"errors"
	"fmt"
)

// maxTunnelDepth bounds the walk into frames within frames.
const maxTunnelDepth = 4

// ErrChecksum is wrapped by the errors of VerifyChecksums that speak of a wrong
// checksum; other errors speak of a header that cannot be read.
var ErrChecksum = errors.New("wrong checksum")

// VerifyChecksums recomputes every checksum of a frame and of the frames that
// it carries in VXLAN (UDP port VXLANPort) and NVGRE, and returns an error that
// names the outermost wrong layer as Describe does ("inner.udp"), or nil. Of a
// fragment only the IP header can be checked. A missing UDP checksum is right
// over IPv4 and, in VXLAN, over IPv6 (RFC 6935). A frame that is not IP has
// nothing to verify.
func VerifyChecksums(frame []byte) error { return Decoder{}.VerifyChecksums(frame) }

// VerifyChecksums is as the function of that name.
func (d Decoder) VerifyChecksums(frame []byte) error {
	prefix := ""
	for range maxTunnelDepth {
		var m Meta
		if e := Parse(frame, &m); e != OK {
			return fmt.Errorf("%s%s: %v", prefix, m.layerName(), e)
		}
		if err := d.verify(frame, &m); err != nil {
			return fmt.Errorf("%s%w", prefix, err)
		}
		_, t, ok := d.tunnel(frame, &m)
		if !ok {
			return nil
		}
		frame = frame[t.Inner:t.End]
		prefix += innerPrefix
	}
	return nil
}

// layerName is the layer at which parsing ended.
func (m *Meta) layerName() string {
	switch {
	case m.IsIP():
		return protoName(m.Proto)
	case m.EtherType == EtherTypeIPv4 && m.L2Len > 0:
		return layerIPv4
	case m.EtherType == EtherTypeIPv6 && m.L2Len > 0:
		return layerIPv6
	case m.EtherType == EtherTypeARP && m.L2Len > 0:
		return layerARP
	}
	return layerEthernet
}

func (d Decoder) verify(frame []byte, m *Meta) error {
	if m.IsIPv4 && Fold(Sum(frame[m.L3:m.L4], 0)) != 0xffff {
		return fmt.Errorf("%s: %w %#04x", layerIPv4, ErrChecksum, IPv4(frame[m.L3:]).Checksum())
	}
	if !m.HasL4 || m.Fragment {
		return nil
	}
	b := frame[m.L4:m.End]
	name := protoName(m.Proto)
	switch m.Proto {
	case ProtoUDP:
		n := UDP(b).Length()
		if n < UDPLen || n > len(b) {
			return fmt.Errorf("%s: length %d, but %d bytes are there", name, n, len(b))
		}
		if UDP(b).Checksum() == 0 {
			if m.IsIPv6 && m.DstPort != d.vxlanPort() {
				return fmt.Errorf("%s: %w: none over IPv6", name, ErrChecksum)
			}
			return nil
		}
		b = b[:n]
	case ProtoICMP:
		if Fold(Sum(b, 0)) != 0xffff {
			return fmt.Errorf("%s: %w %#04x", name, ErrChecksum, ICMPv4(b).Checksum())
		}
		return nil
	}
	if Fold(Sum(b, m.pseudo(frame, len(b)))) != 0xffff {
		return fmt.Errorf("%s: %w %#04x", name, ErrChecksum, m.l4Checksum(frame))
	}
	return nil
}

// pseudo is the sum of the pseudo-header for n bytes of transport.
func (m *Meta) pseudo(frame []byte, n int) uint64 {
	if m.IsIPv4 {
		ip := IPv4(frame[m.L3:])
		return PseudoSum4(ip.Src(), ip.Dst(), m.Proto, n)
	}
	ip := IPv6(frame[m.L3:])
	return PseudoSum6(ip.Src(), ip.Dst(), m.Proto, n)
}

// l4Checksum is the transport checksum as it stands in the header.
func (m *Meta) l4Checksum(frame []byte) uint16 {
	b := frame[m.L4:m.End]
	switch m.Proto {
	case ProtoTCP:
		return TCP(b).Checksum()
	case ProtoUDP:
		return UDP(b).Checksum()
	}
	return ICMPv4(b).Checksum()
}

// FixChecksums recomputes the IPv4 header checksum and, unless the frame is a
// fragment, the transport checksum; a missing UDP checksum stays missing. It is
// for frames that were written by hand and for offloads (a guest that leaves
// the transport checksum to its NIC); translators mend instead.
func FixChecksums(frame []byte, m *Meta) {
	if m.IsIPv4 {
		ip := IPv4(frame[m.L3:m.L4])
		ip.SetChecksum(0)
		ip.SetChecksum(Checksum(ip))
	}
	if !m.HasL4 || m.Fragment {
		return
	}
	b := frame[m.L4:m.End]
	switch m.Proto {
	case ProtoTCP:
		TCP(b).SetChecksum(0)
		TCP(b).SetChecksum(^Fold(Sum(b, m.pseudo(frame, len(b)))))
	case ProtoUDP:
		n := UDP(b).Length()
		if UDP(b).Checksum() == 0 || n < UDPLen || n > len(b) {
			return
		}
		UDP(b).SetChecksum(0)
		UDP(b).SetChecksum(UDPZero(^Fold(Sum(b[:n], m.pseudo(frame, n)))))
	case ProtoICMP:
		ICMPv4(b).SetChecksum(0)
		ICMPv4(b).SetChecksum(Checksum(b))
	case ProtoICMPv6:
		ICMPv6(b).SetChecksum(0)
		ICMPv6(b).SetChecksum(^Fold(Sum(b, m.pseudo(frame, len(b)))))
	}
}
