package vfp

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// Allow lets the packet on.
type Allow struct{}

func (Allow) Name() string { return "allow" }

func (Allow) Apply(*Walk) Outcome { return Continue }

// Block drops the packet with Reason, VfpBlock if none is given.
type Block struct{ Reason Drop }

func (Block) Name() string { return "block" }

func (b Block) Apply(w *Walk) Outcome {
	w.Drop = b.Reason
	if w.Drop == DropNone {
		w.Drop = DropVfpBlock
	}
	return Stop
}

// SetHeaders sets the fields that are given: MAC rewrite and static NAT. Zero
// addresses and nil pointers leave a field as it is; an address of the other
// IP version, and a port of a protocol without ports, do so too.
type SetHeaders struct {
	EthSrc, EthDst   *wire.MAC
	Src, Dst         netip.Addr
	SrcPort, DstPort *uint16
}

func (s SetHeaders) Name() string {
	if s.Src.IsValid() || s.Dst.IsValid() || s.SrcPort != nil || s.DstPort != nil {
		return "nat"
	}
	return "macrewrite"
}

func (s SetHeaders) Apply(w *Walk) Outcome {
	h := &w.H
	if s.EthSrc != nil {
		h.EthSrc = *s.EthSrc
	}
	if s.EthDst != nil {
		h.EthDst = *s.EthDst
	}
	if sameVersion(s.Src, h.Src) {
		h.Src = s.Src
	}
	if sameVersion(s.Dst, h.Dst) {
		h.Dst = s.Dst
	}
	if h.Proto != wire.ProtoTCP && h.Proto != wire.ProtoUDP || w.flows.noPorts {
		return Continue
	}
	if s.SrcPort != nil {
		h.SrcPort = *s.SrcPort
	}
	if s.DstPort != nil {
		h.DstPort = *s.DstPort
	}
	return Continue
}

func sameVersion(a, b netip.Addr) bool {
	return a.IsValid() && b.IsValid() && a.Is4() == b.Is4()
}

// ForwardTo decides where the packet goes.
type ForwardTo struct{ Forward Forward }

func (f ForwardTo) Name() string {
	switch f.Forward.Kind {
	case ToPA:
		return "paroute"
	case Hairpin:
		return "hairpin"
	}
	return "forward"
}

func (f ForwardTo) Apply(w *Walk) Outcome {
	w.Fwd = f.Forward
	return Continue
}

// HairpinBack sends the packet back out of the port it came from.
type HairpinBack struct{}

func (HairpinBack) Name() string { return "hairpin" }

func (HairpinBack) Apply(w *Walk) Outcome {
	w.Fwd = Forward{Kind: Hairpin}
	return Continue
}

// DynNAT gives the packet the source address To and a source port of Pool
// (rule L2B-21). Packets of other protocols than the pool's, of the other IP
// version and, unless ICMP is set, ICMP (rule L2B-26) stay as they are. A rule
// with this action is stateful whatever it says: the flow holds the port, and
// gives it back when it ends.
type DynNAT struct {
	Pool *NATPool
	To   netip.Addr
	ICMP bool // translate the identifiers of echoes too (knob vfpIcmpNat)
}

func (DynNAT) Name() string { return "dynnat" }

// Spaces is the pool, named as real dumps name it: address family, protocol,
// and who translates to what.
func (d DynNAT) Spaces() []Space {
	family, proto := "IPV4", fmt.Sprint(d.Pool.proto)
	if d.To.Is6() {
		family = "IPV6"
	}
	switch d.Pool.proto {
	case wire.ProtoTCP:
		proto = "TCP"
	case wire.ProtoUDP:
		proto = "UDP"
	case wire.ProtoICMP, wire.ProtoICMPv6:
		proto = "ICMP"
	}
	return []Space{{fmt.Sprintf("SLB_NATPOOL_%s_%s_%d_%s", family, proto, d.Pool.owner, d.To), d.Pool.Size()}}
}

func (d DynNAT) Apply(w *Walk) Outcome {
	h := &w.H
	icmp := h.Proto == wire.ProtoICMP || h.Proto == wire.ProtoICMPv6
	switch {
	case h.Proto != d.Pool.proto || !sameVersion(d.To, h.Src):
		return Continue
	case icmp && (!d.ICMP || w.flows.icmpError || !w.flows.known):
		return Continue
	case w.flows.noPorts:
		// A later fragment whose first has not passed: there is nothing to
		// translate it with, and untranslated it must not leave.
		w.Drop, w.NoCache = DropNatFragmentTimeout, true
		return Stop
	case !w.flows.known:
		w.Drop, w.NoCache = DropMalformed, true
		return Stop
	}
	port, ok := w.flows.natPort(d.Pool, w.Now)
	if !ok {
		w.Drop, w.NoCache = DropNatPoolExhausted, true
		return Stop
	}
	h.Src, h.SrcPort = d.To, port
	if icmp {
		h.DstPort = port
	}
	return Continue
}
