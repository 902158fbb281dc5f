package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// domain is the isolation domain of a frame inside the switch. Frames from a
// port that serves all zones belong to any until something decides.
type domain struct {
	zone     uint32
	any      bool
	confined bool // the zone is all there is
}

// domainOf is the domain of a frame from in after a walk that left zone.
func domainOf(in *port, zone uint32) domain {
	return domain{zone, in.anyZone && zone == 0, in.cfg.Confined}
}

// holds reports whether frames of the domain may reach q. What belongs to no
// zone yet never reaches a tunnelled port.
func (d domain) holds(q *port) bool {
	if q.anyZone {
		return !d.confined
	}
	return d.any && !q.cfg.Tunnelled && !q.cfg.Confined || !d.any && q.cfg.Zone == d.zone
}

// settle puts a frame without zone into that of its destination, whose layers
// then see it.
func (d domain) settle(w *vfp.Walk, dst *port) {
	if d.any && !dst.anyZone {
		w.Zone = dst.cfg.Zone
	}
}

// audience is a set of destination ports.
type audience uint8

const (
	onePort     audience = iota
	everyone             // broadcast and multicast (rules VS-14, VS-15)
	unknown              // unknown unicast: uplink and spoofing ports (rules VS-11, VS-12)
	localOnly            // every other endpoint port (rule OV-11)
	wireAndHost          // never a local endpoint (rule L2T-04)
	nobody               // copies have been made (rule SDN-07)
)

// decision is the outcome of the forwarding decision (pipeline step 6).
type decision struct {
	drop vfp.Drop // set: nobody gets the frame
	who  audience
	none vfp.Drop // why the frame is dropped if the audience is empty; unset: that is no drop
	port *port    // of onePort
	toPA bool     // of onePort: the next hop is to be resolved
	// stable means that the same frame would get the same decision until the
	// next Apply: nothing learned was looked at.
	stable bool
}

func refuse(r vfp.Drop) decision { return decision{drop: r, stable: true} }

// question is what the decision depends on.
type question struct {
	now int64
	in  *port
	dom domain
	tag tag
	dst wire.MAC
}

// decide turns the walk's Forward into ports.
func (s *Switch) decide(w *vfp.Walk, q *question) decision {
	switch w.Fwd.Kind {
	case vfp.ToPort:
		return s.snap.directed(q, s.snap.port(w.Fwd.Port))
	case vfp.ToWire:
		return s.snap.directed(q, s.snap.external)
	case vfp.ToHost:
		return s.snap.directed(q, s.snap.host(q))
	case vfp.ToPA:
		tunnel := *q
		if w.Encap.Kind != vfp.NoEncap {
			tunnel.dom.confined = false // it is the outer packet that leaves
		}
		d := s.snap.directed(&tunnel, s.snap.external)
		d.toPA = true
		return d
	case vfp.Hairpin:
		return decision{port: q.in, stable: true}
	case vfp.LocalFlood:
		return decision{who: localOnly}
	case vfp.WireAndHost:
		return decision{who: wireAndHost}
	case vfp.CopiesOnly:
		return decision{who: nobody}
	}
	return s.byMAC(q)
}

// directed sends the frame to dst, which a layer chose. Isolation holds for
// layers as well.
func (s *snapshot) directed(q *question, dst *port) decision {
	switch {
	case dst == nil || !q.dom.holds(dst):
		return refuse(vfp.DropNoRoute)
	case isolated(q.in, dst):
		return refuse(vfp.DropPortAcl)
	}
	return decision{port: dst, stable: true}
}

// host is the host port for the frame: the one that owns the destination MAC,
// else the first of the domain.
func (s *snapshot) host(q *question) *port {
	var first *port
	for _, h := range s.hosts {
		if !q.dom.holds(h) {
			continue
		}
		if h.cfg.MAC == q.dst {
			return h
		}
		if first == nil {
			first = h
		}
	}
	return first
}

// byMAC is the switch's own decision: static table, learned addresses, else
// unknown.
func (s *Switch) byMAC(q *question) decision {
	if q.dst.IsMulticast() {
		return decision{who: everyone}
	}
	dst, found := s.snap.lookup(q)
	stable := true
	if found == absent {
		dst, found = s.learned(q)
		stable = found == absent && len(s.snap.spoofing) == 0
	}
	switch {
	case found == ambiguous:
		return refuse(vfp.DropUnknownUnicast)
	case found == present && dst == q.in:
		// A bridge never returns a frame to the port it came from.
		return decision{drop: vfp.DropNoRoute, stable: stable}
	case found == present && isolated(q.in, dst):
		return decision{drop: vfp.DropPortAcl, stable: stable}
	case found == present:
		return decision{port: dst, stable: stable}
	}
	return s.snap.unknownUnicast(q, stable)
}

// unknownUnicast decides on a frame whose destination nobody owns. With the
// uplink as the only taker it is an ordinary unicast.
func (s *snapshot) unknownUnicast(q *question, stable bool) decision {
	if s.flood {
		return decision{who: everyone, none: vfp.DropUnknownUnicast}
	}
	if len(s.spoofing) > 0 {
		return decision{who: unknown, none: vfp.DropUnknownUnicast}
	}
	up := s.external
	if up == nil || up == q.in || !q.dom.holds(up) || !up.admits(q.tag) {
		return decision{drop: vfp.DropUnknownUnicast, stable: stable}
	}
	return decision{port: up, stable: stable}
}

// presence is the result of a table lookup.
type presence uint8

const (
	absent presence = iota
	present
	ambiguous // in several zones, and the frame is in none
)

// lookup finds the owner of the destination in the static table (rule VS-10).
// A port whose VLAN takes the frame goes before one that does not; a port of
// the frame's own zone before one that serves all, and for a frame without
// zone the other way round.
func (s *snapshot) lookup(q *question) (*port, presence) {
	var best *port
	bestRank, tie := 0, false
	for _, c := range s.static[q.dst] {
		if !q.dom.holds(c) {
			continue
		}
		rank := 1
		if c.admits(q.tag) {
			rank += 2
		}
		if q.dom.any == c.anyZone {
			rank++
		}
		switch {
		case rank > bestRank:
			best, bestRank, tie = c, rank, false
		case rank == bestRank && q.dom.any && !c.anyZone && c.cfg.Zone != best.cfg.Zone:
			tie = true
		}
	}
	switch {
	case best == nil:
		return nil, absent
	case tie:
		return nil, ambiguous
	}
	return best, present
}

// learned finds the port with MAC spoofing that last sent from the
// destination (rule VS-13).
func (s *Switch) learned(q *question) (*port, presence) {
	if len(s.snap.spoofing) == 0 {
		return nil, absent
	}
	if !q.dom.any {
		if p := s.learnedIn(q, q.dom.zone); p != nil {
			return p, present
		}
		if p := s.learnedIn(q, 0); p != nil {
			return p, present
		}
		return nil, absent
	}
	var best *port
	for _, zone := range s.snap.spoofZones {
		p := s.learnedIn(q, zone)
		switch {
		case p == nil:
		case best == nil:
			best = p
		default:
			return nil, ambiguous
		}
	}
	if best == nil {
		return nil, absent
	}
	return best, present
}

func (s *Switch) learnedIn(q *question, zone uint32) *port {
	id, ok := s.macs.find(q.now, zone, q.dst)
	if !ok {
		return nil
	}
	if p := s.snap.port(id); p != nil && q.dom.holds(p) && p.admits(q.tag) {
		return p
	}
	return nil
}

// isolated reports whether DisableICC keeps two endpoints apart.
func isolated(a, b *port) bool {
	return a != b && (a.cfg.Isolated || b.cfg.Isolated) &&
		a.cfg.Kind == EndpointPort && b.cfg.Kind == EndpointPort
}

// includes reports whether c belongs to the audience of a frame. VLAN, zone
// and isolation bound every audience without a drop: the frame was never
// meant for those ports.
func (q *question) includes(who audience, c *port) bool {
	if c == q.in || !q.dom.holds(c) || isolated(q.in, c) || !c.admits(q.tag) {
		return false
	}
	switch who {
	case unknown:
		return c.cfg.MACSpoofing || c.cfg.Kind == ExternalPort && q.in.cfg.Kind != ExternalPort
	case localOnly:
		return c.cfg.Kind == EndpointPort
	case wireAndHost:
		return c.cfg.Kind != EndpointPort
	case nobody:
		return false
	}
	return true
}
