package vfp

import (
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

// miss returns the first condition that w does not meet, FieldNone when all
// are met. This is the definition of matching; the classifier only skips
// rules that cannot match.
func (m *Match) miss(w *Walk) Field {
	h := &w.H
	switch {
	case m.Never:
		return FieldNever
	case m.EtherType != 0 && m.EtherType != h.EtherType:
		return FieldEtherType
	case len(m.Protos) > 0 && (!h.Src.IsValid() || !slices.Contains(m.Protos, h.Proto)):
		return FieldProto
	case len(m.Src) > 0 && !inPrefixes(m.Src, h.Src):
		return FieldSrc
	case len(m.Dst) > 0 && !inPrefixes(m.Dst, h.Dst):
		return FieldDst
	case len(m.SrcPorts) > 0 && !inPorts(m.SrcPorts, h, h.SrcPort):
		return FieldSrcPort
	case len(m.DstPorts) > 0 && !inPorts(m.DstPorts, h, h.DstPort):
		return FieldDstPort
	case len(m.EthSrc) > 0 && !slices.Contains(m.EthSrc, h.EthSrc):
		return FieldEthSrc
	case len(m.EthDst) > 0 && !slices.Contains(m.EthDst, h.EthDst):
		return FieldEthDst
	case m.VNI != 0 && m.VNI != w.VNI:
		return FieldVNI
	case len(m.InPorts) > 0 && !slices.Contains(m.InPorts, w.InPort):
		return FieldInPort
	case m.Func != nil && !m.Func(w):
		return FieldFunc
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

// accepts reports whether the group looks at packets of the family.
func (f Family) accepts(of Family) bool { return f == AnyFamily || f == of }
