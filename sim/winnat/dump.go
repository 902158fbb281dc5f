package winnat

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Counters count packets since New.
type Counters struct {
	TranslatedOut uint64 // container to outside
	TranslatedIn  uint64 // outside to container
	Hairpinned    uint64 // container to container by way of an external address
	FromHost      uint64 // host socket to a published port
	ToHost        uint64 // answers to those
	Queued        uint64 // fragments that had to wait
	Released      uint64 // of those, the ones whose first fragment came
	Drops         vfp.DropCounters
}

func (c *Counters) translated(h hook, v Verdict) {
	switch {
	case v == ToHost:
		c.ToHost++
	case h == hookOut:
		c.TranslatedOut++
	case h == hookIn:
		c.TranslatedIn++
	case h == hookHost:
		c.FromHost++
	default:
		c.Hairpinned++
	}
}

// Counters are the counts at time now.
func (n *NAT) Counters(now int64) Counters {
	n.frags.expire(n, now)
	return n.counters
}

// Usage is how much of the translator is in use.
type Usage struct {
	TCP, UDP, ICMP ProtoUsage
	FragmentsHeld  int
}

// ProtoUsage is the share of one protocol.
type ProtoUsage struct {
	Mappings int
	Sessions int
	Ports    int // external ports or identifiers reserved
}

// Usage is the use at time now.
func (n *NAT) Usage(now int64) Usage {
	n.expireAll(now)
	n.frags.expire(n, now)
	var u [numProtos]ProtoUsage
	n.eachSession(func(_ uint32, s *session) {
		pi, _ := protoIndex(s.fwd.Proto())
		u[pi].Sessions++
	})
	for i := range n.pools {
		for j := range n.pools[i].blocks {
			b := &n.pools[i].blocks[j]
			u[i].Ports += len(b.used)
			u[i].Mappings += len(b.used) - b.free
		}
	}
	return Usage{TCP: u[tcp], UDP: u[udp], ICMP: u[icmp], FragmentsHeld: n.frags.held}
}

// MappingInfo describes a mapping. Ports are identifiers for ICMP.
type MappingInfo struct {
	Proto    uint8
	Inside   netip.AddrPort
	External netip.AddrPort // without address: all of the host's
	Remote   netip.AddrPort // invalid unless the mapping depends on it
	Static   bool
	Sessions int
	Left     time.Duration // until the last session ends without traffic; 0 for static ones
}

// Mappings lists the mappings that exist at time now, static ones included,
// sorted by protocol and external port.
func (n *NAT) Mappings(now int64) []MappingInfo {
	n.expireAll(now)
	left := make(map[uint32]time.Duration)
	published := make(map[uint32]int) // sessions by index in Static + 1
	n.eachSession(func(_ uint32, s *session) {
		n.pull(s)
		if s.kind == dynamic {
			left[s.mapping] = max(left[s.mapping], time.Duration(s.deadline-now))
			return
		}
		published[n.cfg.publishedIndex(s.fwd.Proto(), s.fwd.Dst(), s.fwd.DstPort())]++
	})
	var out []MappingInfo
	for i := range n.mappings {
		m := &n.mappings[i]
		if m.sessions == 0 {
			continue
		}
		info := MappingInfo{
			Proto: m.proto, Inside: addrPort(m.inside, m.port), External: addrPort(n.exts[m.ext].addr, m.extPort),
			Sessions: m.sessions, Left: left[uint32(i)],
		}
		if m.remote != 0 {
			info.Remote = addrPort(m.remote, m.remotePort)
		}
		out = append(out, info)
	}
	for i, s := range n.cfg.Static {
		out = append(out, MappingInfo{
			Proto: s.Proto, Inside: s.Internal, External: netip.AddrPortFrom(s.VIP, s.ExternalPort),
			Static: true, Sessions: published[uint32(i+1)],
		})
	}
	slices.SortStableFunc(out, func(a, b MappingInfo) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.External.Port(), b.External.Port()),
			a.External.Addr().Compare(b.External.Addr()), a.Inside.Compare(b.Inside))
	})
	return out
}

// SessionInfo describes a session as seen from inside.
type SessionInfo struct {
	Proto    uint8
	Kind     string // "dynamic", "static" or "host"
	Inside   netip.AddrPort
	External netip.AddrPort
	Remote   netip.AddrPort
	State    string // of TCP, otherwise empty
	Left     time.Duration
}

// Sessions lists the sessions that exist at time now, sorted by protocol,
// external end and remote end.
func (n *NAT) Sessions(now int64) []SessionInfo {
	n.expireAll(now)
	var out []SessionInfo
	n.eachSession(func(_ uint32, s *session) {
		n.pull(s)
		// Dynamic sessions run from inside, the others towards it.
		in, ext := s.fwd, s.out
		if s.kind != dynamic {
			in, ext = s.out.Reverse(), s.fwd.Reverse()
		}
		info := SessionInfo{
			Proto: s.fwd.Proto(), Kind: kindNames[s.kind], Left: time.Duration(s.deadline - now),
			Inside: addrPort(in.Src(), in.SrcPort()), External: addrPort(ext.Src(), ext.SrcPort()), Remote: addrPort(ext.Dst(), ext.DstPort()),
		}
		if info.Proto == wire.ProtoTCP {
			info.State = phaseNames[s.tcp.phase()]
		}
		if info.Proto == wire.ProtoICMP {
			info.Remote = addrPort(ext.Dst(), 0)
		}
		out = append(out, info)
	})
	slices.SortFunc(out, func(a, b SessionInfo) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), a.External.Compare(b.External), a.Remote.Compare(b.Remote), a.Inside.Compare(b.Inside))
	})
	return out
}

// Dump writes mappings, sessions and counters at time now as text for people
// and golden files.
func (n *NAT) Dump(w io.Writer, now int64) error {
	e := &errWriter{w: w}
	c := n.Counters(now)
	e.printf("mapping %v, filtering tcp %v, udp %v, hairpin %v\n", n.cfg.Mapping, n.cfg.FilteringTCP, n.cfg.FilteringUDP, n.cfg.Hairpin)
	e.printf("mappings:\n")
	for _, m := range n.Mappings(now) {
		ext := m.External.String()
		if !m.External.Addr().IsValid() {
			ext = fmt.Sprintf("*:%d", m.External.Port())
		}
		kind, left := "dynamic", fmt.Sprintf(", %v left", m.Left)
		if m.Static {
			kind, left = "static", ""
		}
		e.printf("  %-4s %-21s <-> %-21s %s", protoName(m.Proto), m.Inside, ext, kind)
		if m.Remote.IsValid() {
			e.printf(" for %s", m.Remote)
		}
		e.printf(", %d sessions%s\n", m.Sessions, left)
	}
	e.printf("sessions:\n")
	for _, s := range n.Sessions(now) {
		e.printf("  %-4s %-21s %-21s > %-21s %s %s %v left\n", protoName(s.Proto), s.Inside, s.External, s.Remote, s.Kind, cmp.Or(s.State, "-"), s.Left)
	}
	e.printf("packets: out %d, in %d, hairpin %d, from host %d, to host %d, queued %d, released %d\n",
		c.TranslatedOut, c.TranslatedIn, c.Hairpinned, c.FromHost, c.ToHost, c.Queued, c.Released)
	for r, count := range c.Drops {
		if count != 0 {
			e.printf("drop %v: %d\n", vfp.Drop(r), count)
		}
	}
	return e.err
}

// errWriter keeps the first error.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}
