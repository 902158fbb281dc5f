package hns

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/fabric"
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

// socketProxies are the L4WFPPROXY policies of endpoints whose compartment is
// there (rule PX-02).
func socketProxies(s *State) ([]fabric.SocketProxy, error) {
	var out []fabric.SocketProxy
	for _, e := range s.Endpoints {
		if e.Remote || e.Compartment == 0 {
			continue
		}
		for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyL4WFPProxy) {
			set, err := hcn.DecodeSettings[hcn.L4WFPProxySettings](p)
			if err != nil {
				return nil, err
			}
			x, err := socketProxy(set)
			if err != nil {
				return nil, err
			}
			x.Compartment, x.Addrs = e.Compartment, addrsOf(e)
			out = append(out, x)
		}
	}
	return out, nil
}

func socketProxy(set hcn.L4WFPProxySettings) (x fabric.SocketProxy, err error) {
	x.Account = set.UserSID
	in, _ := strconv.ParseUint(set.InboundProxyPort, 10, 16) // "" is none; the rest has been validated
	out, _ := strconv.ParseUint(set.OutboundProxyPort, 10, 16)
	x.Inbound, x.Outbound = uint16(in), uint16(out)
	t := &set.FilterTuple
	for _, f := range fields(t.Protocols) {
		n, err := strconv.ParseUint(f, 10, 16)
		if err != nil {
			return x, badACL("FilterTuple.Protocols", f)
		}
		if n < 256 { // 256 is any
			x.Filter.Protos = append(x.Filter.Protos, uint8(n))
		}
	}
	if x.Filter.Local, err = prefixes(fields(t.LocalAddresses)); err != nil {
		return x, err
	}
	if x.Filter.Remote, err = prefixes(fields(t.RemoteAddresses)); err != nil {
		return x, err
	}
	if x.Filter.LocalPorts, err = aclPorts("FilterTuple.LocalPorts", t.LocalPorts); err != nil {
		return x, err
	}
	if x.Filter.RemotePorts, err = aclPorts("FilterTuple.RemotePorts", t.RemotePorts); err != nil {
		return x, err
	}
	if x.InboundExceptions, err = socketExceptions(set.InboundExceptions); err != nil {
		return x, err
	}
	x.OutboundExceptions, err = socketExceptions(set.OutboundExceptions)
	return x, err
}

func socketExceptions(e hcn.ProxyExceptions) (x fabric.SocketExceptions, err error) {
	if x.Addrs, err = prefixes(e.IpAddressExceptions); err != nil {
		return x, err
	}
	x.Ports, err = aclPorts("PortExceptions", strings.Join(e.PortExceptions, ","))
	return x, err
}
