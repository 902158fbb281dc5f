package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// randomFrame makes a valid frame of any kind that the package knows: both IP
// versions, options, extension headers, tags, padding, tunnels. Checksums are
// right.
func randomFrame(r *rand.Rand) *Frame {
	f := randomPlain(r)
	switch r.IntN(8) {
	case 0:
		return &Frame{EthDst: randomMAC(r), EthSrc: randomMAC(r), IP: randomIP(r, r.IntN(2) == 0), VXLAN: &VXLANFields{VNI: r.Uint32N(1 << 24)}, Inner: f}
	case 1:
		f.VLAN = nil
		return &Frame{EthDst: randomMAC(r), EthSrc: randomMAC(r), IP: randomIP(r, r.IntN(2) == 0), NVGRE: &NVGREFields{VSID: r.Uint32N(1 << 24), FlowID: uint8(r.Uint32())}, Inner: f}
	}
	return f
}

// randomPlain makes a frame without tunnel.
func randomPlain(r *rand.Rand) *Frame {
	f := &Frame{EthDst: randomMAC(r), EthSrc: randomMAC(r), Payload: randomBytes(r, r.IntN(100))}
	if r.IntN(4) == 0 {
		f.VLAN = &VLANFields{ID: uint16(r.IntN(4096)), Priority: uint8(r.IntN(8)), DropEligible: r.IntN(2) == 0}
	}
	if r.IntN(4) == 0 {
		f.PadTo = MinFrameLen
	}
	kind := r.IntN(8)
	if kind == 7 {
		f.ARP = &ARPFields{Op: uint16(1 + r.IntN(2)), SenderMAC: randomMAC(r), TargetMAC: randomMAC(r), SenderIP: randomAddr(r, true), TargetIP: randomAddr(r, true)}
		f.Payload = nil
		return f
	}
	v4 := r.IntN(2) == 0
	f.IP = randomIP(r, v4)
	switch kind {
	case 0, 1:
		f.UDP = &UDPFields{SrcPort: randomPort(r), DstPort: randomPort(r), NoChecksum: v4 && r.IntN(4) == 0}
	case 2, 3:
		f.TCP = &TCPFields{
			SrcPort: randomPort(r), DstPort: randomPort(r), Seq: r.Uint32(), Ack: r.Uint32(),
			Flags: uint8(r.Uint32()), Window: uint16(r.Uint32()), Urgent: uint16(r.Uint32()),
		}
		// NOPs in front put the MSS value at odd offsets too.
		for range r.IntN(4) {
			f.TCP.Options = append(f.TCP.Options, TCPOptNop)
		}
		f.TCP.Options = append(f.TCP.Options, TCPOptMSS, 4, byte(r.Uint32()), byte(r.Uint32()))
	case 4, 5:
		f.ICMP = &ICMPFields{Type: ICMPEcho, ID: uint16(r.Uint32()), Seq: uint16(r.Uint32())}
		if !v4 {
			f.ICMP.Type = ICMP6Echo
		}
		if r.IntN(2) == 0 {
			randomQuote(r, f, v4)
		}
	case 6:
		if v4 {
			break // an IP packet of a protocol that we do not know
		}
		f.ND = &NDFields{
			Type: uint8(ICMP6RouterSol + r.IntN(5)), Flags: uint8(r.Uint32()), Target: randomAddr(r, false), Dest: randomAddr(r, false),
			SourceLL: randomMAC(r), TargetLL: randomMAC(r), MTU: r.Uint32(), HopLimit: 64,
			Prefixes: []NDPrefix{{Addr: Addr16(randomAddr(r, false)), Bits: 64, OnLink: true, ValidSec: 3600}},
		}
		f.Payload = nil
	}
	return f
}

// randomQuote makes f an ICMP error about a packet.
func randomQuote(r *rand.Rand, f *Frame, v4 bool) {
	q := &Frame{IP: randomIP(r, v4), Payload: randomBytes(r, r.IntN(40))}
	switch r.IntN(3) {
	case 0:
		q.UDP = &UDPFields{SrcPort: randomPort(r), DstPort: randomPort(r), NoChecksum: v4 && r.IntN(4) == 0}
	case 1:
		q.TCP = &TCPFields{SrcPort: randomPort(r), DstPort: randomPort(r), Seq: r.Uint32()}
	case 2:
		q.ICMP = &ICMPFields{Type: ICMPEcho, ID: uint16(r.Uint32()), Seq: uint16(r.Uint32())}
		if !v4 {
			q.ICMP.Type = ICMP6Echo
		}
	}
	b := q.Bytes()
	var m Meta
	Parse(b, &m)
	cut := m.End // all of it, or the header and eight bytes
	if r.IntN(2) == 0 {
		cut = min(cut, m.L4+8)
	}
	f.ICMP = &ICMPFields{Type: ICMPUnreachable, Code: ICMPFragNeeded, MTU: 1400}
	if !v4 {
		f.ICMP = &ICMPFields{Type: ICMP6PacketTooBig, MTU: 1280}
	}
	f.Payload = b[EthernetLen:cut]
}

func randomIP(r *rand.Rand, v4 bool) *IPFields {
	ip := &IPFields{
		Src: randomAddr(r, v4), Dst: randomAddr(r, v4),
		TTL: uint8(r.Uint32()), TOS: uint8(r.Uint32()), ID: r.Uint32(), DF: v4 && r.IntN(2) == 0,
		Proto: 0,
	}
	if v4 && r.IntN(3) == 0 {
		ip.Options = []byte{0x94, 4, 0, 0}[:4:4] // router alert
	}
	if !v4 {
		ip.Label = r.Uint32N(1 << 20)
		if r.IntN(3) == 0 {
			ip.Ext = append(ip.Ext, ExtFields{Proto: ProtoHopByHop, Data: []byte{5, 2, 0, 0, 1, 0}})
		}
		if r.IntN(3) == 0 {
			ip.Ext = append(ip.Ext, ExtFields{Proto: ProtoDestOpts, Data: []byte{1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}})
		}
		ip.ForceFragHeader = r.IntN(5) == 0
	}
	return ip
}

// randomPort avoids the ports whose payload is decoded.
func randomPort(r *rand.Rand) uint16 { return uint16(5000 + r.IntN(60000)) }

func randomMAC(r *rand.Rand) MAC {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], r.Uint64())
	b[0] &^= 1
	return MAC(b[:6])
}

func randomAddr(r *rand.Rand, v4 bool) netip.Addr {
	if v4 {
		return AddrFrom4(r.Uint32())
	}
	var b [16]byte
	copy(b[:], randomBytes(r, 16))
	b[0] = 0x20
	return AddrFrom16(b)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
