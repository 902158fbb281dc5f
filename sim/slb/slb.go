package slb

import (
	"math/bits"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Distribution says which packets go to the same backend (contract 8.1).
type Distribution uint8

const (
	PerFlow           Distribution = iota // 5-tuple: every connection by itself
	PerSourceProtocol                     // 3-tuple: source, VIP, protocol
	PerSource                             // 2-tuple: source, VIP (rule LB-10)
)

// Backend is one place that flows go to.
type Backend struct {
	Addr netip.Addr
	// Port is the switch port of a backend on this host, with its MAC address
	// and zone; zero for backends on other hosts.
	Port vfp.PortID
	MAC  wire.MAC
	Zone uint32
	// Router, when set, is the distributed router's MAC of the overlay network
	// through which a backend on another host is reached. The host itself does
	// not reach it (rule OV-22).
	Router wire.MAC
}

func (b *Backend) local() bool { return b.Port != 0 }

// Frontend is a virtual address with its protocol and port, and what stands
// behind it. VIP and backend addresses are of one IP version.
type Frontend struct {
	ID       string // unique, stable over recompilation: flows live as long as it does
	VIP      netip.Addr
	Node     netip.Addr // of the host, for rule names only
	Proto    uint8
	Port     uint16
	Internal uint16
	Dist     Distribution

	// DSR keeps the client's address (rule LB-03); otherwise SNAT gives the
	// source address and port (rule LB-02) and must be set.
	DSR  bool
	SNAT vfp.DynNAT
	// PreserveDIP keeps the destination too: frames are steered to a backend
	// on this host as they are (rule LB-11).
	PreserveDIP bool

	Backends []Backend
	// Draining are backends that get no new flows but keep those they have
	// (rule LB-08).
	Draining []netip.Addr
}

// key is what a packet must match exactly (rule LB-01).
type key struct {
	vip   netip.Addr
	proto uint8
	port  uint16
}

func (f *Frontend) key() key { return key{f.VIP, f.Proto, f.Port} }

// locals is the frontend with its backends on this host alone.
func (f Frontend) locals() Frontend {
	var out []Backend
	for _, b := range f.Backends {
		if b.local() {
			out = append(out, b)
		}
	}
	f.Backends = out
	return f
}

// Pick is the index, below n, of the backend for a packet: a function of the
// tuple that d names and of nothing else (rule LB-05).
func (d Distribution) Pick(h *vfp.Header, n int) int {
	proto, src, dst := h.Proto, h.SrcPort, h.DstPort
	switch d {
	case PerSource:
		proto, src, dst = 0, 0, 0
	case PerSourceProtocol:
		src, dst = 0, 0
	}
	k := wire.MakeKey6(wire.Addr16(h.Src), wire.Addr16(h.Dst), src, dst, proto, 0)
	// The product's high word is uniform over n if the hash is over 2^64.
	hi, _ := bits.Mul64(k.Hash(), uint64(n))
	return int(hi)
}
