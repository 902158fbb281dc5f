package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// maxVLAN is the highest VLAN ID that may be assigned (802.1Q).
const maxVLAN = 4094

// tag is a frame's place among the VLANs while it is inside the switch, where
// frames carry no 802.1Q header.
type tag struct {
	vid uint16 // the VLAN that the wire shows; 0 is none
	// primary and role place the frame in a private VLAN (rule VS-26). An
	// ordinary frame is its own primary and promiscuous: nothing but its VLAN
	// restricts it.
	primary uint16
	role    PrivateVLAN
	prio    wire.TCI // priority and drop eligibility, ID zero
	hasPrio bool     // prio came in a tag that may be shown again
}

// vlanSet is a bit per VLAN ID.
type vlanSet [(maxVLAN + 64) / 64]uint64

func (s *vlanSet) add(id uint16)      { s[id/64] |= 1 << (id % 64) }
func (s *vlanSet) has(id uint16) bool { return id <= maxVLAN && s[id/64]>>(id%64)&1 != 0 }

// secondary is what the switch knows of a secondary VLAN.
type secondary struct {
	primary uint16
	role    PrivateVLAN
}

// ingress assigns the frame to a VLAN (pipeline step 3). ok is false when the
// port may not send it. p has been parsed; a tag is taken off.
func (s *snapshot) ingress(in *port, p *vfp.Packet) (t tag, ok bool) {
	id := uint16(0)
	if p.Meta.HasVLAN {
		tci := p.Meta.TCI
		id = tci.ID()
		t.prio = tci &^ 0xfff
		t.hasPrio = in.keepsPriority()
		stripTag(p)
	}
	return s.assign(in, id, t)
}

// assign is ingress of a frame that says it is in VLAN id; 0 says nothing. t
// has the priority.
func (s *snapshot) assign(in *port, id uint16, t tag) (_ tag, ok bool) {
	v := &in.cfg.VLAN
	switch v.Mode {
	case VLANAccess, VLANPrivate:
		// An access port speaks untagged; VID 0 is only a priority (VS-24).
		if id != 0 {
			return t, false
		}
		t.vid = in.accessID()
	case VLANTrunk:
		switch {
		case id == 0:
			t.vid = v.Native
		case in.allowed.has(id):
			t.vid = id
		default:
			return t, false
		}
	default:
		// The wire is a trunk for all VLANs; a port without VLAN speaks
		// untagged (VS-24, the tag drop inferred).
		if id != 0 && in.cfg.Kind != ExternalPort {
			return t, false
		}
		if id > maxVLAN {
			return t, false
		}
		t.vid = id
	}
	t.primary = t.vid
	if v.Mode == VLANPrivate {
		t.primary, t.role = v.Primary, v.Private
	} else if sec, known := s.secondaries[t.vid]; known {
		// A secondary VLAN arriving on a trunk keeps its restrictions: the
		// other half of the private VLAN may be behind the wire (RFC 5517).
		t.primary, t.role = sec.primary, sec.role
	}
	return t, true
}

// admits reports whether frames of t may leave through the port (step 8).
func (q *port) admits(t tag) bool {
	v := &q.cfg.VLAN
	if v.AllowUntagged && t.vid == 0 && (v.Mode == VLANAccess || v.Mode == VLANTrunk) {
		return true
	}
	switch v.Mode {
	case VLANAccess:
		return t.vid == v.AccessID
	case VLANTrunk:
		return t.vid == v.Native || q.allowed.has(t.vid)
	case VLANPrivate:
		if t.primary != v.Primary {
			return false
		}
		switch {
		case t.role == Promiscuous || v.Private == Promiscuous:
			return true
		case t.role == Community && v.Private == Community:
			return t.vid == v.Secondary
		}
		return false
	}
	return t.vid == 0 || q.cfg.Kind == ExternalPort
}

// accessID is the VLAN of what the port sends untagged.
func (q *port) accessID() uint16 {
	v := &q.cfg.VLAN
	switch {
	case v.Mode == VLANAccess:
		return v.AccessID
	case v.Mode == VLANTrunk:
		return v.Native
	case v.Mode == VLANPrivate && v.Private == Promiscuous:
		return v.Primary
	case v.Mode == VLANPrivate:
		return v.Secondary
	}
	return 0
}

// keepsPriority reports whether a priority tag survives at the port.
func (q *port) keepsPriority() bool {
	return q.cfg.VLAN.AllowIeeePriorityTag || q.cfg.VLAN.Mode == VLANTrunk || q.cfg.Kind == ExternalPort
}

// egressTag is the 802.1Q header that frames of t carry behind the port.
// Call it only when the port admits t.
func (q *port) egressTag(t tag) (tci wire.TCI, tagged bool) {
	id := uint16(0)
	switch q.cfg.VLAN.Mode {
	case VLANTrunk:
		if t.vid != q.cfg.VLAN.Native {
			id = t.vid
		}
	case VLANNone:
		id = t.vid // 0 but on the external port
	}
	if id == 0 && !(t.hasPrio && q.keepsPriority()) {
		return 0, false
	}
	tci = wire.TCI(id)
	if t.hasPrio {
		tci |= t.prio
	}
	return tci, true
}

// stripTag takes the 802.1Q header off a parsed frame.
func stripTag(p *vfp.Packet) {
	wire.StripTag(p.Bytes())
	p.TrimFront(wire.VLANTagLen)
	shift(&p.Meta, -wire.VLANTagLen)
	p.Meta.HasVLAN, p.Meta.TCI = false, 0
}

// pushTag puts an 802.1Q header on a parsed frame. It reports false when the
// headroom is used up.
func pushTag(p *vfp.Packet, tci wire.TCI) bool {
	b := p.Prepend(wire.VLANTagLen)
	if b == nil {
		return false
	}
	wire.PutTag(b, tci)
	shift(&p.Meta, wire.VLANTagLen)
	p.Meta.HasVLAN, p.Meta.TCI = true, tci
	return true
}

// shift moves all offsets of m by n bytes, which is cheaper than parsing the
// same headers again at another place.
func shift(m *wire.Meta, n int) {
	m.L2Len += n
	m.L3 += n
	m.L4 += n
	m.Payload += n
	m.End += n
	if m.FragHeader != 0 {
		m.FragHeader = uint16(int(m.FragHeader) + n)
	}
}
