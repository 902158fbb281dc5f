package vfp

import (
	"math/bits"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/wire"
)

// Field names a condition of a Match, for traces: the first one that a packet
// does not meet.
type Field uint8

const (
	FieldNone Field = iota // the rule matches
	FieldNever
	FieldEtherType
	FieldProto
	FieldSrc
	FieldDst
	FieldSrcPort
	FieldDstPort
	FieldEthSrc
	FieldEthDst
	FieldVNI
	FieldInPort
	FieldFunc
)

func (f Field) String() string {
	return [...]string{"", "never matches", "EtherType", "protocol", "source address", "destination address",
		"source port", "destination port", "source MAC", "destination MAC", "VNI", "switch port", "condition"}[f]
}

// conditions is a set of fields that a rule asks about.
type conditions uint16

// asks are the conditions of the match.
func (m *Match) asks() (c conditions) {
	add := func(f Field, on bool) {
		if on {
			c |= 1 << f
		}
	}
	add(FieldNever, m.Never)
	add(FieldEtherType, m.EtherType != 0)
	add(FieldProto, len(m.Protos) > 0)
	add(FieldSrc, len(m.Src) > 0)
	add(FieldDst, len(m.Dst) > 0)
	add(FieldSrcPort, len(m.SrcPorts) > 0)
	add(FieldDstPort, len(m.DstPorts) > 0)
	add(FieldEthSrc, len(m.EthSrc) > 0)
	add(FieldEthDst, len(m.EthDst) > 0)
	add(FieldVNI, m.VNI != 0)
	add(FieldInPort, len(m.InPorts) > 0)
	add(FieldFunc, m.Func != nil)
	return c
}

// miss returns the first condition that w does not meet, FieldNone when all
// are met.
func (m *Match) miss(w *Walk) Field { return m.unmet(w, m.asks()) }

// unmet is miss for a match that is known to ask for certain conditions. This
// is the definition of matching; the classifier only skips rules that cannot
// match.
func (m *Match) unmet(w *Walk, asks conditions) Field {
	h := &w.H
	for ; asks != 0; asks &= asks - 1 {
		f, met := Field(bits.TrailingZeros16(uint16(asks))), false
		switch f {
		case FieldEtherType:
			met = m.EtherType == h.EtherType
		case FieldProto:
			met = h.Src.IsValid() && slices.Contains(m.Protos, h.Proto)
		case FieldSrc:
			met = inPrefixes(m.Src, h.Src)
		case FieldDst:
			met = inPrefixes(m.Dst, h.Dst)
		case FieldSrcPort:
			met = inPorts(m.SrcPorts, h, h.SrcPort)
		case FieldDstPort:
			met = inPorts(m.DstPorts, h, h.DstPort)
		case FieldEthSrc:
			met = slices.Contains(m.EthSrc, h.EthSrc)
		case FieldEthDst:
			met = slices.Contains(m.EthDst, h.EthDst)
		case FieldVNI:
			met = m.VNI == w.VNI
		case FieldInPort:
			met = slices.Contains(m.InPorts, w.InPort)
		case FieldFunc:
			met = m.Func(w)
		}
		if !met { // FieldNever never is
			return f
		}
	}
	return FieldNone
}

func inPrefixes(ps []netip.Prefix, a netip.Addr) bool {
	for i := range ps {
		if ps[i].Contains(a) {
			return true
		}
	}
	return false
}

// inPorts holds for protocols that have ports only: an ICMP identifier is in
// the header but is nobody's port (rule ACL-13).
func inPorts(rs []PortRange, h *Header, port uint16) bool {
	if h.Proto != wire.ProtoTCP && h.Proto != wire.ProtoUDP {
		return false
	}
	for _, r := range rs {
		if port >= r.Lo && port <= r.Hi {
			return true
		}
	}
	return false
}
