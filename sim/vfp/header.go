package vfp

import (
	"github.com/hnsim/hnsim/sim/wire"
)

// HeaderOf is what rules see of a parsed frame. A frame that is not IP, or
// whose IP header is broken, has Ethernet fields only.
func HeaderOf(frame []byte, m *wire.Meta) Header {
	var h Header
	if len(frame) < wire.EthernetLen {
		return h
	}
	e := wire.Ethernet(frame)
	h.EthSrc, h.EthDst, h.EtherType = e.Src(), e.Dst(), m.EtherType
	if !m.IsIP() {
		return h
	}
	h.Src, h.Dst = m.Src(frame), m.Dst(frame)
	h.Proto, h.SrcPort, h.DstPort = m.Proto, m.SrcPort, m.DstPort
	return h
}

// Begin starts the walk of a packet that was parsed and has entered the
// switch through p.InPort. The packet must not change until the walk is done.
func (w *Walk) Begin(now int64, p *Packet, zone uint32, tr *Trace) {
	*w = Walk{
		Now: now, ID: p.ID, InPort: p.InPort, Zone: zone,
		Frame: p.Bytes(), Meta: &p.Meta, Trace: tr,
	}
	w.In = HeaderOf(w.Frame, w.Meta)
	w.H = w.In
}

// NATPort is the port that tells whose translated flow a packet answers: its
// destination port or, in an ICMP error, the source port of the packet that
// the error quotes. Port 0 means that there is none. frame and m are what h
// speaks of.
func NATPort(h *Header, frame []byte, m *wire.Meta) (proto uint8, port uint16) {
	if m != nil {
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
