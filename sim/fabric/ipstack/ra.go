package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// Router advertisements (RFC 4861) are only sent in answer to a solicitation:
// the timers of routers that speak by themselves would fire for as long as a
// world lives. Who is configured by them (RFC 4862) takes no notice of
// lifetimes, MTU and other options; the first router that answers stays the
// default.
const (
	raLifetimeSec     = 1800
	prefixValidSec    = 86400
	prefixPreferSec   = 14400
	slaacPrefixLength = 64 // the only length that stateless configuration works with
)

// raConfig is what an interface advertises, and whom it was configured by.
type raConfig struct {
	prefixes []netip.Prefix
	router   netip.Addr
}

// AdvertiseRouter makes the interface answer router solicitations with
// prefixes for stateless configuration; without prefixes it stops.
func (i *Interface) AdvertiseRouter(prefixes ...netip.Prefix) {
	i.ra.prefixes = append([]netip.Prefix(nil), prefixes...)
}

// SolicitRouter asks the link for a router and prefixes. Answers are taken if
// the interface has AcceptRA.
func (s *Stack) SolicitRouter(now int64, i *Interface) {
	s.sendND(now, i, i.addrFor(allRouters), allRouters, &wire.NDFields{
		Type: wire.ICMP6RouterSol, SourceLL: i.cfg.MAC,
	})
}

func (s *Stack) rsInput(now int64, in *Interface, src netip.Addr, nd wire.ND) {
	if len(in.ra.prefixes) == 0 {
		return
	}
	if mac, ok := nd.SourceLL(); ok {
		s.learn(now, in, src, mac, true)
	}
	m := &wire.NDFields{
		Type: wire.ICMP6RouterAdv, HopLimit: 64, LifetimeSec: raLifetimeSec, SourceLL: in.cfg.MAC,
	}
	for _, p := range in.ra.prefixes {
		m.Prefixes = append(m.Prefixes, wire.NDPrefix{
			Addr: wire.Addr16(p.Masked().Addr()), Bits: uint8(p.Bits()), OnLink: true, Autonomous: true,
			ValidSec: prefixValidSec, PreferredSec: prefixPreferSec,
		})
	}
	dst := src
	if src.IsUnspecified() {
		dst = allNodes
	}
	s.sendND(now, in, in.addrFor(allNodes), dst, m) // from the link-local address, as hosts insist
}

func (s *Stack) raInput(now int64, in *Interface, src netip.Addr, nd wire.ND) {
	if !in.cfg.AcceptRA || !src.IsLinkLocalUnicast() {
		return
	}
	if mac, ok := nd.SourceLL(); ok {
		s.learn(now, in, src, mac, true)
	}
	for o := range nd.Options {
		p, ok := o.Prefix()
		if !ok || !p.Autonomous || p.Bits != slaacPrefixLength {
			continue
		}
		a := eui64(netip.PrefixFrom(wire.AddrFrom16(p.Addr), slaacPrefixLength), in.cfg.MAC)
		if !a.IsLinkLocalUnicast() && !in.hasAddr(a) {
			_ = in.AddAddr(netip.PrefixFrom(a, slaacPrefixLength)) // taken elsewhere: nothing to configure
		}
	}
	if nd.RALifetimeSec() > 0 && !in.ra.router.IsValid() {
		in.ra.router = src
		_ = s.AddRoute(Route{Dst: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Via: src, Iface: in.cfg.Name}) // the table is full
	}
}
