package vfp

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// HeaderOf is what rules see of a parsed frame. A frame that is not IP, or
// whose IP header is broken, has Ethernet fields only.
func HeaderOf(frame []byte, m *wire.Meta) (h Header) {
	h.read(frame, m)
	return h
}

// read makes h the header of a parsed frame.
func (h *Header) read(frame []byte, m *wire.Meta) {
	if len(frame) < wire.EthernetLen {
		*h = Header{}
		return
	}
	h.EthDst, h.EthSrc, h.EtherType = wire.MAC(frame[:6]), wire.MAC(frame[6:12]), m.EtherType
	switch {
	case m.IsIPv4:
		ip := frame[m.L3 : m.L3+wire.IPv4MinLen]
		h.Src, h.Dst = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	case m.IsIPv6:
		h.Src, h.Dst = m.Src(frame), m.Dst(frame)
	default:
		h.Src, h.Dst, h.Proto, h.SrcPort, h.DstPort = netip.Addr{}, netip.Addr{}, 0, 0, 0
		return
	}
	h.Proto, h.SrcPort, h.DstPort = m.Proto, m.SrcPort, m.DstPort
}

// Begin starts the walk of a packet that was parsed and has entered the
// switch through p.InPort. The packet must not change until the walk is done.
func (w *Walk) Begin(now int64, p *Packet, zone uint32, tr *Trace) {
	// Field by field: clearing all of it would take longer than walking a layer
	// does. What engineRefs' own fields say is not there is left as it was.
	w.Now, w.ID, w.InPort, w.Port, w.Dir, w.Zone = now, p.ID, p.InPort, 0, 0, zone
	w.Frame, w.Meta, w.Trace = p.Bytes(), &p.Meta, tr
	w.Decap, w.VNI, w.DecTTL = false, 0, 0
	if w.Encap != (Encap{}) {
		w.Encap = Encap{}
	}
	w.Fwd, w.Drop = Forward{}, DropNone
	w.Replies, w.Copies, w.NewFrame = nil, nil, nil
	w.MaxLen, w.NoCache, w.Target, w.Turn = 0, false, "", false
	w.In.read(w.Frame, w.Meta)
	w.H = w.In
	w.flows.reset()
}

// NATPort is the port that tells whose translated flow a packet answers: its
// destination port or, in an ICMP error, the source port of the packet that
// the error quotes. Port 0 means that there is none. frame and m are what h
// speaks of.
func NATPort(h *Header, frame []byte, m *wire.Meta) (proto uint8, port uint16) {
	if m != nil && m.IsICMPError() {
		if q, ok := wire.ParseQuoted(frame, m); ok {
			return q.Proto, q.SrcPort
		}
	}
	return h.Proto, h.DstPort
}

// family is the header's family as groups select it.
func (h *Header) family() Family {
	switch {
	case h.Src.Is4():
		return IPv4
	case h.Src.IsValid():
		return IPv6
	}
	return NonIP
}
