package vfp

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// Header is the part of a packet that rules see and actions change. For ICMP
// echo SrcPort and DstPort both hold the identifier, so that request and
// reply are each other's reverse; for other protocols without ports both are
// zero.
type Header struct {
	EthSrc, EthDst   wire.MAC
	EtherType        uint16
	Src, Dst         netip.Addr // invalid for non-IP frames
	Proto            uint8      // IPv4 protocol or IPv6 upper-layer protocol
	SrcPort, DstPort uint16
}

// Reversed swaps sources and destinations.
func (h Header) Reversed() Header {
	h.EthSrc, h.EthDst = h.EthDst, h.EthSrc
	h.Src, h.Dst = h.Dst, h.Src
	h.SrcPort, h.DstPort = h.DstPort, h.SrcPort
	return h
}

// EncapKind is an encapsulation format.
type EncapKind uint8

const (
	NoEncap EncapKind = iota
	VXLAN
	NVGRE
)

// Encap describes the outer headers to push (contract 7.1, SDN-09). The MACs
// stay zero until the switch has resolved the next hop of Dst.
type Encap struct {
	Kind           EncapKind
	EthSrc, EthDst wire.MAC
	Src, Dst       netip.Addr // PAs
	SrcPort        uint16     // entropy (OV-14)
	DstPort        uint16     // 4789 or VxlanPort
	VNI            uint32     // 24 bits
	FlowID         uint8      // NVGRE
	TTL            uint8
	DF             bool
	DSCPCopy       bool // copy the inner DSCP (OV-15)
	ECNCopy        bool
}

// Copy is a copy of a walk's frame that goes its own way.
type Copy struct {
	H     Header  // what it leaves with
	Encap Encap   // pushed
	Fwd   Forward // ToPort, or ToPA through the external port
	Zone  uint32  // of the destination port; 0: the walk's
	// Raw copies meet no layer at their destination: a monitor sees what there
	// is, whatever its own policy says (rule SDN-12).
	Raw bool
}

// FlowHash is a hash of addresses, protocol and ports: the same for all packets
// of a flow in one direction. Outer headers carry it for those on the way that
// spread flows (rules OV-14, SDN-09).
func (h *Header) FlowHash() uint64 {
	k := wire.Key6{Src: wire.Addr16(h.Src), Dst: wire.Addr16(h.Dst),
		B: uint64(h.SrcPort)<<48 | uint64(h.DstPort)<<32 | uint64(h.Proto)<<24}
	return k.Hash()
}

// Walk is one packet's way through the layers of one or two ports. It lives
// on the caller's stack or in the port; actions must not keep it.
type Walk struct {
	Now    int64
	ID     uint64 // the packet's, for traces
	InPort PortID // port through which the packet entered the switch
	Port   PortID // port whose layers are being walked
	Dir    Dir
	Zone   uint32 // isolation domain: VLAN id, VNI or network number

	H     Header // current state
	In    Header // as the packet entered the switch
	Frame []byte // the frame as it entered, for actions that must look deeper (ARP, ND, DHCP); read only
	Meta  *wire.Meta

	Decap  bool   // strip the outer headers; H then speaks of the inner frame
	VNI    uint32 // of the outer header, when the frame is (or was) encapsulated
	Encap  Encap  // push these
	DecTTL uint8  // hops to take off the TTL

	Fwd     Forward
	Drop    Drop
	Replies [][]byte // frames to send back through the source port (proxy ARP, ICMP errors)
	// Copies are frames that leave besides the one that Fwd decides about:
	// unicast replication (OV-11, SDN-07) and mirroring (SDN-12). Whoever adds
	// one sets NoCache.
	Copies   []Copy
	NewFrame []byte // replaces the whole frame (payload rewrites of ARP and ND); never cached

	// MaxLen, when positive, is the longest entering frame (bytes) for which
	// the walk's result may be reused: longer ones take the slow path again
	// (MTU decisions such as OV-19).
	MaxLen int

	NoCache bool
	Trace   *Trace

	// What a stateful action says of the flow that it makes; both are empty
	// when a layer's groups begin.
	//
	// Target is the party that the action chose, one of Rule.Targets.
	Target string
	// Turn says that the packet leaves through the port it came in by, so that
	// the reply meets the layer in the same direction: traffic from the wire
	// that is balanced to another host (rule LB-16).
	Turn bool

	flows engineRefs
}
