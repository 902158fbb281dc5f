package linux

import (
	"bytes"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// The kernel translates on the host's routed path; VFP does it in the switch,
// before the host's own stack. What the host's interface shows of translated
// traffic is therefore left out of what the host "received": it never was the
// host's.

// hidden leaves such sightings out of a batch.
func (w *world) hidden(batch []sighting) []sighting {
	flows := map[*host][]*netlink.ConntrackFlow{}
	return without(batch, func(s sighting) bool {
		nd := w.nodes[s.role]
		if s.kind != backends.Received || nd == nil || nd.host == nil || !nd.host.translates() {
			return false
		}
		h := nd.host
		var m wire.Meta
		if wire.Parse(s.frame, &m) != wire.OK || !m.IsIPv4 || !h.onUplink(s.where) {
			return false
		}
		if discarded(batch, s) {
			return true
		}
		if _, ok := flows[h]; !ok {
			list, err := h.space.nl.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			if err != nil {
				return false // the sighting stays: too much is better than too little
			}
			flows[h] = list
		}
		return h.translated(s.frame, &m, flows[h])
	})
}

// translates reports whether an endpoint of a switch has its addresses
// translated.
func (h *host) translates() bool {
	for e := range h.ports {
		if e.net.kind.External() && len(e.snats())+len(e.mappings()) > 0 {
			return true
		}
	}
	return len(h.balanced()) > 0
}

func (h *host) onUplink(dev string) bool {
	for _, u := range h.store.uplinks {
		if u.bridge == dev {
			return true
		}
	}
	return false
}

// discarded reports whether a rule said that nobody owns the packet.
func discarded(batch []sighting, s sighting) bool {
	for _, d := range batch {
		if d.kind == backends.DroppedAt && d.role == s.role && d.reason == "NoMapping" && len(d.frame) > wire.EthernetLen &&
			bytes.Equal(d.frame[wire.EthernetLen:], s.frame[wire.EthernetLen:]) {
			return true
		}
	}
	return false
}

// translated reports whether a packet, or the one that an ICMP error quotes,
// belongs to a connection of an endpoint.
func (h *host) translated(frame []byte, m *wire.Meta, flows []*netlink.ConntrackFlow) bool {
	src := netip.AddrPortFrom(m.Src(frame), m.SrcPort)
	dst := netip.AddrPortFrom(m.Dst(frame), m.DstPort)
	proto := m.Proto
	if m.IsICMPError() {
		const icmpHeader = 8
		quoted := append(make([]byte, 12, wire.EthernetLen+len(frame)), 0x08, 0x00)
		quoted = append(quoted, frame[m.L4+icmpHeader:]...)
		if len(quoted) < wire.EthernetLen+wire.IPv4MinLen+4 {
			return false
		}
		ip := quoted[wire.EthernetLen:]
		at := int(ip[0]&15) * 4
		if len(ip) < at+4 {
			return false
		}
		proto = ip[9]
		dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), uint16(ip[at])<<8|uint16(ip[at+1]))
		src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), uint16(ip[at+2])<<8|uint16(ip[at+3]))
	}
	for _, f := range flows {
		if f.Forward.Protocol != proto {
			continue
		}
		reverse := f.Reverse
		if same(reverse.SrcIP, reverse.SrcPort, src) && same(reverse.DstIP, reverse.DstPort, dst) && h.inside(f.Forward.SrcIP) ||
			same(f.Forward.SrcIP, f.Forward.SrcPort, src) && same(f.Forward.DstIP, f.Forward.DstPort, dst) && h.inside(f.Reverse.SrcIP) {
			return true
		}
	}
	return false
}

func same(ip []byte, port uint16, a netip.AddrPort) bool {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap() == a.Addr() && port == a.Port()
}

// inside reports whether an address is that of an endpoint of a switch.
func (h *host) inside(ip []byte) bool {
	a, _ := netip.AddrFromSlice(ip)
	for e := range h.ports {
		if e.net.kind != hcn.NAT && e.ipv4() == a.Unmap() {
			return true
		}
	}
	return false
}
