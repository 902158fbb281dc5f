package hns

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/proxy"
	"github.com/hnsim/hnsim/sim/vfp"
)

// proxies are the L4Proxy policies that hold for an endpoint: its own, then its
// network's (rule PX-01). What the proxy itself sends is not sent to it again.
func proxies(n *Network, e *Endpoint) []hcn.L4ProxySettings {
	var out []hcn.L4ProxySettings
	for _, p := range slices.Concat(hcn.FindPolicies(e.Doc.Policies, hcn.PolicyL4Proxy), hcn.FindPolicies(n.Doc.Policies, hcn.PolicyL4Proxy)) {
		s, err := hcn.DecodeSettings[hcn.L4ProxySettings](p)
		if err != nil || slices.ContainsFunc(e.Addrs, func(a Address) bool { return a.IP.String() == s.IP }) {
			continue
		}
		out = append(out, s)
	}
	return out
}

// proxyLayer is the redirection at an endpoint's port.
func proxyLayer(n *Network, e *Endpoint) ([]vfp.Layer, error) {
	var rs []proxy.Redirect
	for _, s := range proxies(n, e) {
		ip, err := netip.ParseAddr(s.IP)
		port, err2 := strconv.ParseUint(s.Port, 10, 16)
		if err != nil || err2 != nil {
			continue // refused by validation before it got here
		}
		r := proxy.Redirect{To: netip.AddrPortFrom(ip, uint16(port)), Proto: uint8(s.Protocol)}
		if r.Exceptions, err = prefixes(s.Exceptions); err != nil {
			return nil, err
		}
		if s.Destination != "" {
			if r.Destinations, err = prefixes([]string{s.Destination}); err != nil {
				return nil, err
			}
		}
		rs = append(rs, r)
	}
	return proxy.Layer(rs), nil
}

// addProxies translates the source of what goes to a proxy that asks for it
// (OutboundNAT of rule PX-01).
func (w *endpointNAT) addProxies(n *Network, e *Endpoint, node netip.Addr) error {
	for _, s := range proxies(n, e) {
		if s.OutboundNAT {
			if err := w.addOutbound(hcn.OutBoundNATSettings{Destinations: []string{s.IP}}, node); err != nil {
				return err
			}
		}
	}
	return nil
}
