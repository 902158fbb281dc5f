package wire

import (
	"encoding/binary"
	"net/netip"
)

// What a proxy needs to answer for a neighbour and to replace link-layer
// addresses inside ARP and neighbour discovery (rules L2B-02, L2B-04, OV-10).

// ARPOf returns the ARP message of a parsed frame.
func ARPOf(frame []byte, m *Meta) (ARP, bool) {
	if m == nil || !m.IsARP {
		return nil, false
	}
	return ARP(frame[m.L3:]), true
}

// SenderAddr is the sender's IPv4 address as netip has it.
func (a ARP) SenderAddr() netip.Addr { return AddrFrom4(a.SenderIP()) }

// TargetAddr is the address that is asked for.
func (a ARP) TargetAddr() netip.Addr { return AddrFrom4(a.TargetIP()) }

// Answer makes the reply to a request: the target is at mac.
func (a ARP) Answer(mac MAC) []byte {
	return (&Frame{
		EthDst: a.SenderMAC(), EthSrc: mac,
		ARP: &ARPFields{
			Op: ARPReply, SenderMAC: mac, SenderIP: a.TargetAddr(),
			TargetMAC: a.SenderMAC(), TargetIP: a.SenderAddr(),
		},
	}).Bytes()
}

// NDOf returns the neighbour discovery message of a parsed frame.
func NDOf(frame []byte, m *Meta) (ND, bool) {
	if m == nil || !m.IsIPv6 || !m.HasL4 || m.Proto != ProtoICMPv6 {
		return nil, false
	}
	nd := ND(frame[m.L4:m.End])
	return nd, nd.IsValid()
}

// SolicitTarget is the address that a neighbour solicitation asks for.
func SolicitTarget(frame []byte, m *Meta) (netip.Addr, bool) {
	nd, ok := NDOf(frame, m)
	if !ok || nd.Type() != ICMP6NeighborSol {
		return netip.Addr{}, false
	}
	return AddrFrom16(nd.Target()), true
}

// AnswerSolicitation makes the advertisement that answers a neighbour
// solicitation: solicited, override, with mac as target. It is nil when the
// frame is no solicitation, or one of duplicate address detection, which a
// proxy must not answer for the address's own owner.
func AnswerSolicitation(frame []byte, m *Meta, mac MAC) []byte {
	target, ok := SolicitTarget(frame, m)
	if !ok || m.Src(frame).IsUnspecified() {
		return nil
	}
	return (&Frame{
		EthDst: Ethernet(frame).Src(), EthSrc: mac,
		IP: &IPFields{Src: target, Dst: m.Src(frame), TTL: NDHopLimit},
		ND: &NDFields{Type: ICMP6NeighborAdv, Flags: NDSolicited | NDOverride, Target: target, TargetLL: mac},
	}).Bytes()
}

// SetNDLinkAddr replaces the source and target link-layer address options of
// a neighbour discovery message and mends its checksum. It reports whether
// there was any.
func SetNDLinkAddr(frame []byte, m *Meta, mac MAC) bool {
	nd, ok := NDOf(frame, m)
	if !ok {
		return false
	}
	found := false
	var d Delta
	for o := range nd.Options {
		if o.Type() != NDOptSourceLL && o.Type() != NDOptTargetLL {
			continue
		}
		found = true
		// Options start at multiples of 8, so the address is evenly aligned.
		for i := 0; i < 6; i += 2 {
			d += Delta16(binary.BigEndian.Uint16(o[2+i:]), binary.BigEndian.Uint16(mac[i:]))
		}
		o.SetLL(mac)
	}
	if found {
		m.mendL4(frame, d)
	}
	return found
}
