//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// frameLen is the length of all frames, without FCS.
const frameLen = 64

// The addresses of the traffic: a client of 10.0.0.0/8 sends through a router
// to the outside; where the router translates, it is known as natAddr there.
var (
	routerIn = netip.MustParseAddr("10.0.0.1")
	natAddr  = netip.MustParseAddr("203.0.113.1")
	nextHop  = netip.MustParseAddr("203.0.113.254")
	server   = netip.MustParseAddr("198.18.0.1")
	inMAC    = wire.MAC{2, 0, 0, 0, 1, 1} // of the router towards the clients
	peerMAC  = wire.MAC{2, 0, 0, 0, 2, 2} // of whoever takes what comes out
)

// Flows differ by source port, then by destination port, so that one address is
// enough for all of them behind a NAT.
const portsOfFlows = 50_000

// macOf is the MAC address of station i, for traffic of many stations.
func macOf(i int) wire.MAC {
	return wire.MAC{2, 0x15, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
}

// builder makes frames of flows from one template.
type builder struct {
	frame []byte
	meta  wire.Meta
}

func newBuilder() (*builder, error) {
	f := wire.Frame{EthSrc: macOf(0), EthDst: inMAC, IP: &wire.IPFields{Src: netip.MustParseAddr("10.0.0.2"), Dst: server, TTL: 64},
		UDP: &wire.UDPFields{SrcPort: 1024, DstPort: 2000}, Payload: make([]byte, frameLen-wire.EthernetLen-28)}
	frame, err := f.Build()
	if err != nil {
		return nil, err
	}
	b := &builder{frame: frame}
	if wire.Parse(frame, &b.meta) != wire.OK || len(frame) != frameLen {
		return nil, fmt.Errorf("the template is wrong: %d bytes, %s", len(frame), wire.Summary(frame))
	}
	return b, nil
}

// flow writes the frame of flow f.
func (b *builder) flow(to []byte, f int) {
	copy(to, b.frame)
	m := b.meta
	wire.SetIPv4Src(to, &m, wire.Addr4(netip.MustParseAddr("10.0.0.2"))+uint32(f%250))
	wire.SetPorts(to, &m, uint16(1024+f%portsOfFlows), uint16(2000+f/portsOfFlows))
}

// kind says which frames a system is sent.
type kind int

const (
	routed   kind = iota // flows through a router
	switched             // as many stations as flows, each sends to any other
	tunnel               // flows between two stations
)

// traffic is a sequence of frames, one behind the other, a power of two so that
// an index can be masked. It is cyclic.
type traffic struct {
	frames []byte
	n, at  int
}

// newTraffic makes traffic that picks flows at random, or takes them in turn.
func newTraffic(k kind, flows int, inTurn bool) (*traffic, error) {
	b, err := newBuilder()
	if err != nil {
		return nil, err
	}
	n := 1 << 17
	for n < flows {
		n *= 2
	}
	t := &traffic{frames: make([]byte, n*frameLen), n: n}
	r := rand.New(rand.NewPCG(1, uint64(flows)))
	for i := range n {
		f := r.IntN(flows)
		if inTurn {
			f = i
		}
		to := t.frames[i*frameLen : (i+1)*frameLen]
		b.flow(to, f)
		e := wire.Ethernet(to)
		switch k {
		case switched:
			e.SetSrc(macOf(f))
			e.SetDst(macOf(flows + r.IntN(flows)))
		case tunnel:
			e.SetSrc(macOf(0))
			e.SetDst(macOf(1))
		}
	}
	return t, nil
}

// next is the next frame.
func (t *traffic) next() []byte {
	f := t.frames[t.at*frameLen : (t.at+1)*frameLen : (t.at+1)*frameLen]
	if t.at++; t.at == t.n {
		t.at = 0
	}
	return f
}

// pcap is the traffic as a capture file of n frames.
func (t *traffic) pcap(n int) []byte {
	out := make([]byte, 0, 24+n*(16+frameLen))
	le := binary.LittleEndian
	for _, v := range []uint32{0xa1b2c3d4, 4<<16 | 2, 0, 0, 1 << 16, 1} {
		out = le.AppendUint32(out, v)
	}
	for range n {
		for _, v := range []uint32{0, 0, frameLen, frameLen} {
			out = le.AppendUint32(out, v)
		}
		out = append(out, t.next()...)
	}
	return out
}
