package wire

import "net/netip"

// Reporter is a host or router that tells senders what became of their
// packets. Its methods make ICMP or ICMPv6 errors, whichever answers the
// offending frame, addressed to that frame's source. They return nil when no
// error may be sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4): about an
// ICMP error or redirect, about a later fragment, about a packet to more than
// one host or from none in particular.
//
// Not modelled: rate limits; whoever asks decides how often.
type Reporter struct {
	MAC MAC
	IP  netip.Addr // of the offending packet's version
	TTL uint8      // 0: DefaultTTL
	ID  uint16     // IPv4 identification of the error
	// QuoteLen is how many bytes of an IPv4 payload to quote behind the IP
	// header; 0 is the minimum of eight bytes that RFC 792 requires, as in the
	// contract's vector V3. It is the default because it is what a translator
	// has to get by with, and all that many routers send. IPv6 errors quote as
	// much as fits the minimum MTU (RFC 4443).
	QuoteLen int
}

// TooBig reports "fragmentation needed" or "packet too big" with the MTU of
// the next hop.
func (r Reporter) TooBig(frame []byte, m *Meta, mtu int) []byte {
	if m.IsIPv6 {
		return r.Error(frame, m, ICMPFields{Type: ICMP6PacketTooBig, MTU: uint32(mtu)})
	}
	return r.Error(frame, m, ICMPFields{Type: ICMPUnreachable, Code: ICMPFragNeeded, MTU: uint32(min(mtu, 0xffff))})
}

// HopsExceeded reports that the TTL or hop limit ran out in transit.
func (r Reporter) HopsExceeded(frame []byte, m *Meta) []byte {
	if m.IsIPv6 {
		return r.Error(frame, m, ICMPFields{Type: ICMP6TimeExceeded})
	}
	return r.Error(frame, m, ICMPFields{Type: ICMPTimeExceeded})
}

// Unreachability says why a packet was not delivered, in both versions' codes.
type Unreachability uint8

const (
	NoRoute Unreachability = iota
	HostUnreachable
	ProtoUnreachable // IPv6: parameter problem, unrecognised next header
	PortUnreachable
	Prohibited
)

// Unreachable reports that the packet was not delivered.
func (r Reporter) Unreachable(frame []byte, m *Meta, why Unreachability) []byte {
	codes4 := [...]uint8{ICMPNetUnreachable, ICMPHostUnreachable, ICMPProtoUnreachable, ICMPPortUnreachable, ICMPAdminProhibited}
	codes6 := [...]uint8{ICMP6NoRoute, ICMP6AddrUnreachable, 0, ICMP6PortUnreachable, ICMP6AdminProhibited}
	if int(why) >= len(codes4) {
		return nil
	}
	if !m.IsIPv6 {
		return r.Error(frame, m, ICMPFields{Type: ICMPUnreachable, Code: codes4[why]})
	}
	if why == ProtoUnreachable {
		// Code 1; the pointer, where an MTU would be, leads to the field that
		// named the protocol.
		pointer := IPv6(frame[m.L3:m.End]).WalkExt().Named
		return r.Error(frame, m, ICMPFields{Type: ICMP6ParamProblem, Code: 1, MTU: uint32(pointer)})
	}
	return r.Error(frame, m, ICMPFields{Type: ICMP6Unreachable, Code: codes6[why]})
}

// Error makes an error of any type and code about frame. A tag on the
// offending frame comes back on the error.
func (r Reporter) Error(frame []byte, m *Meta, e ICMPFields) []byte {
	// A multicast packet that is too big is the exception: its sender has to
	// learn the MTU (RFC 4443 section 2.4).
	toMany := m.IsIPv6 && e.Type == ICMP6PacketTooBig
	if !reportable(frame, m, toMany) || r.IP.Is4() != m.IsIPv4 || !r.IP.IsValid() {
		return nil
	}
	quote := frame[m.L3:m.End]
	if m.IsIPv4 {
		quote = quote[:min(len(quote), m.L4-m.L3+max(r.QuoteLen, 8), IPv4MaxQuote)]
	} else {
		quote = quote[:min(len(quote), IPv6MinMTU-IPv6Len-ICMPLen)]
	}
	f := Frame{
		EthDst: Ethernet(frame).Src(), EthSrc: r.MAC,
		IP:      &IPFields{Src: r.IP, Dst: m.Src(frame), TTL: r.TTL, ID: uint32(r.ID)},
		ICMP:    &e,
		Payload: quote,
	}
	if m.HasVLAN {
		f.VLAN = &VLANFields{ID: m.TCI.ID(), Priority: m.TCI.Priority(), DropEligible: m.TCI.DropEligible()}
	}
	return f.Bytes() // cannot fail: versions agree and the quote is short
}

// IPv4MaxQuote is the most that an ICMPv4 error quotes: it is to be no longer
// than 576 bytes (RFC 1812 section 4.3.2.3).
const IPv4MaxQuote = 576 - IPv4MinLen - ICMPLen

// reportable reports whether an error may be sent about a frame; toMany allows
// packets to groups.
func reportable(frame []byte, m *Meta, toMany bool) bool {
	if !m.IsIP() || m.IsICMPError() || (m.Fragment && !m.FirstFragment) {
		return false
	}
	if m.Proto == ProtoICMP || m.Proto == ProtoICMPv6 {
		// Whether a message that we cannot read is an error is not known.
		if !m.HasL4 || (m.IsIPv6 && (m.ICMPType < ICMP6Echo || m.ICMPType == ICMP6Redirect)) {
			return false
		}
	}
	src, dst := m.Src(frame), m.Dst(frame)
	if !isHost(src) {
		return false
	}
	return toMany || (isHost(dst) && !Ethernet(frame).Dst().IsMulticast())
}

// isHost reports whether an address can be that of one host. Subnet broadcasts
// look like hosts: the sender knows its prefix, we do not.
func isHost(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && a != broadcast4
}
