package vfp

import (
	"github.com/hnsim/hnsim/sim/wire"
)

// maxOuters bounds the outer headers that a store keeps ready.
const maxOuters = 4096

// outer is an encapsulation made ready to push: the headers as bytes, to which
// a packet adds its lengths, its entropy port and, if so configured, its DSCP
// and ECN.
type outer struct {
	spec  Encap
	out   wire.Outer
	size  int
	bytes [wire.VXLANOverhead6]byte
	sum   uint64 // of the IPv4 header with length and checksum zero

	folded uint32 // sum, folded to 16 bits
	copied uint8  // bits of the inner TOS that go outside
	tunnel Tunnel
}

func newOuter(e Encap) *outer {
	o := &outer{spec: e, out: wire.Outer{
		EthDst: e.EthDst, EthSrc: e.EthSrc, Src: e.Src, Dst: e.Dst, TTL: e.TTL, DF: e.DF,
		VNI: e.VNI, DstPort: e.DstPort, FlowID: e.FlowID,
	}}
	if e.Kind == NVGRE {
		o.size = o.out.NVGREOverhead()
		wire.PutNVGRE(o.bytes[:o.size], &o.out)
	} else {
		o.size = o.out.VXLANOverhead()
		wire.PutVXLAN(o.bytes[:o.size], &o.out)
	}
	if e.Dst.Is4() {
		ip := wire.IPv4(o.bytes[wire.EthernetLen:])
		ip.SetTotalLen(0)
		ip.SetChecksum(0)
		o.sum = wire.Sum(ip[:wire.IPv4MinLen], 0)
		o.folded = uint32(wire.Fold(o.sum))
	}
	if o.size == wire.VXLANOverhead4 {
		o.tunnel.dst, o.tunnel.bytes = e.Dst, [wire.VXLANOverhead4]byte(o.bytes[:])
	}
	if e.DSCPCopy {
		o.copied |= 0xfc
	}
	if e.ECNCopy {
		o.copied |= 3
	}
	return o
}

// outerFor returns the ready headers for e, whatever its SrcPort.
func (s *FlowStore) outerFor(e Encap) *outer {
	e.SrcPort = 0
	o := s.outers[e]
	if o == nil {
		if len(s.outers) >= maxOuters {
			clear(s.outers)
		}
		o = newOuter(e)
		s.outers[e] = o
	}
	return o
}

// tos is the outer DSCP and ECN of a packet (rule OV-15).
func (o *outer) tos(p *Packet) uint8 {
	if o.copied == 0 {
		return 0
	}
	return p.Meta.TOS(p.Bytes()) & o.copied
}

// push puts the headers in front of the frame. It reports false when there is
// no room for them, or the packet would be longer than IP can say.
func (o *outer) push(p *Packet, srcPort uint16) bool {
	tos := o.tos(p)
	if p.Len()+o.size-wire.EthernetLen > 0xffff {
		return false
	}
	b := p.Prepend(o.size)
	if b == nil {
		return false
	}
	if !o.spec.Dst.Is4() {
		o.push6(b, srcPort, tos)
		return true
	}
	copy(b, o.bytes[:o.size])
	ip := wire.IPv4(b[wire.EthernetLen:])
	total := len(b) - wire.EthernetLen
	ip.SetTotalLen(total)
	ip.SetTOS(tos)
	ip.SetChecksum(^wire.Fold(o.sum + uint64(total) + uint64(tos)))
	if o.spec.Kind == VXLAN {
		udp := wire.UDP(ip[wire.IPv4MinLen:])
		udp.SetSrcPort(srcPort)
		udp.SetLength(len(udp))
	}
	return true
}

// push6 does without the prepared bytes: over IPv6 the UDP checksum covers
// the whole packet anyway.
func (o *outer) push6(b []byte, srcPort uint16, tos uint8) {
	out := o.out
	out.SrcPort, out.TOS = srcPort, tos
	if o.spec.Kind == NVGRE {
		wire.PutNVGRE(b, &out)
		return
	}
	wire.PutVXLAN(b, &out)
}
