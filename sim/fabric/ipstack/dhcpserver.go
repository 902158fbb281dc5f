package ipstack

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// DHCPServerConfig describes a DHCPv4 server on an interface.
type DHCPServerConfig struct {
	First, Last netip.Addr // the pool, in the prefix of one of the interface's addresses
	Router      netip.Addr // invalid: none
	DNS         netip.Addr // invalid: none
	Lease       time.Duration
	Taken       []netip.Addr // of the pool, but somebody's already: never assigned
}

// maxPool bounds a server's addresses.
const maxPool = 4096

const defaultLease = 24 * time.Hour

// DHCPServer assigns addresses: always the lowest that is free, to the same
// client the same as before.
type DHCPServer struct {
	i      *Interface
	reply  wire.DHCPServer
	lease  time.Duration
	pool   []netip.Addr
	leases map[netip.Addr]leased
}

type leased struct {
	mac   wire.MAC
	until int64
}

// LeaseInfo is one address that a server has assigned.
type LeaseInfo struct {
	Addr netip.Addr
	MAC  wire.MAC
}

// ServeDHCP starts a server on the interface, in place of one that runs there:
// leases of addresses that the new pool has too go on.
func (s *Stack) ServeDHCP(i *Interface, cfg DHCPServerConfig) (*DHCPServer, error) {
	if !cfg.First.Is4() || !cfg.Last.Is4() || cfg.Last.Less(cfg.First) {
		return nil, fmt.Errorf("interface %s: a DHCP pool from %s to %s", i.cfg.Name, cfg.First, cfg.Last)
	}
	if cfg.Lease <= 0 {
		cfg.Lease = defaultLease
	}
	srv := &DHCPServer{i: i, lease: cfg.Lease, leases: make(map[netip.Addr]leased)}
	for _, p := range i.addrs {
		if p.Contains(cfg.First) && p.Contains(cfg.Last) {
			srv.reply = wire.DHCPServer{
				MAC: i.cfg.MAC, IP: p.Addr(), MaskBits: p.Bits(),
				LeaseSec: uint32(min(cfg.Lease/time.Second, 1<<32-1)), Router: cfg.Router,
			}
		}
	}
	if !srv.reply.IP.IsValid() {
		return nil, fmt.Errorf("interface %s: the DHCP pool %s to %s is in none of its prefixes", i.cfg.Name, cfg.First, cfg.Last)
	}
	if cfg.DNS.IsValid() {
		srv.reply.DNS = []netip.Addr{cfg.DNS}
	}
	for a := cfg.First; a.IsValid() && !cfg.Last.Less(a); a = a.Next() {
		if s.isOwn(a) || a == cfg.Router || slices.Contains(cfg.Taken, a) {
			continue
		}
		if len(srv.pool) >= maxPool {
			return nil, fmt.Errorf("interface %s: a DHCP pool of more than %d addresses", i.cfg.Name, maxPool)
		}
		srv.pool = append(srv.pool, a)
		if i.server == nil {
			continue
		}
		if l, ok := i.server.leases[a]; ok {
			srv.leases[a] = l
		}
	}
	i.server = srv
	return srv, nil
}

// Leases are the assigned addresses in ascending order.
func (d *DHCPServer) Leases() []LeaseInfo {
	var out []LeaseInfo
	for a, l := range d.leases {
		out = append(out, LeaseInfo{a, l.mac})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Addr.Less(out[j].Addr) })
	return out
}

func (d *DHCPServer) input(now int64, m wire.DHCP) {
	switch m.Type() {
	case wire.DHCPDiscover:
		if a, ok := d.assign(now, m.ClientMAC()); ok {
			d.send(now, d.reply.OfferFrame(m, a))
		}
	case wire.DHCPRequest:
		d.request(now, m)
	case wire.DHCPRelease:
		if a := wire.AddrFrom4(m.ClientIP()); d.leases[a].mac == m.ClientMAC() {
			delete(d.leases, a)
		}
	}
}

// request confirms what the client wants if that is what it was offered, or
// holds already.
func (d *DHCPServer) request(now int64, m wire.DHCP) {
	if id, ok := m.OptionIP(wire.DHCPOptServerID); ok && wire.AddrFrom4(id) != d.reply.IP {
		// It took another server's offer.
		if a, held := d.holds(m.ClientMAC()); held {
			delete(d.leases, a)
		}
		return
	}
	wanted := wire.AddrFrom4(m.ClientIP())
	if v, ok := m.OptionIP(wire.DHCPOptRequestedIP); ok {
		wanted = wire.AddrFrom4(v)
	}
	if a, ok := d.assign(now, m.ClientMAC()); ok && a == wanted {
		d.send(now, d.reply.AckFrame(m, a))
		return
	}
	nak := d.reply.OfferFrame(m, netip.IPv4Unspecified())
	nak.EthDst, nak.IP.Dst = wire.Broadcast, limitedBroadcast
	nak.DHCP = &wire.DHCPFields{Type: wire.DHCPNak, XID: m.XID(), Broadcast: true, ClientMAC: m.ClientMAC(), ServerID: d.reply.IP}
	d.send(now, nak)
}

func (d *DHCPServer) holds(mac wire.MAC) (netip.Addr, bool) {
	for _, a := range d.pool {
		if l, ok := d.leases[a]; ok && l.mac == mac {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// assign finds the client's address: the one it has, else the lowest that
// nobody has had, else the lowest that has run out.
func (d *DHCPServer) assign(now int64, mac wire.MAC) (netip.Addr, bool) {
	best, ok := d.holds(mac)
	for _, a := range d.pool {
		if _, taken := d.leases[a]; !ok && !taken {
			best, ok = a, true
		}
	}
	for _, a := range d.pool {
		if !ok && d.leases[a].until < now {
			best, ok = a, true
		}
	}
	if ok {
		d.leases[best] = leased{mac, now + int64(d.lease)}
	}
	return best, ok
}

func (d *DHCPServer) send(now int64, f *wire.Frame) {
	s := d.i.s
	f.IP.TTL, f.IP.ID = s.cfg.TTL, s.nextIPID()
	b, err := f.Build()
	if err != nil {
		return // a client that asks from no address cannot be answered
	}
	d.i.transmit(now, b, s.newID())
}
