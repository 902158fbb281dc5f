package linux

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

// balancer is a load balancer (section 8 of the contract).
type balancer struct {
	doc      *hcn.LoadBalancer
	num      int
	net      *network    // of its backends
	backends []*endpoint // those with an IPv4 address
}

// front is what a load balancer answers to.
type front struct {
	vip                netip.Addr
	proto              uint8
	external, internal uint16
	spread             hcn.DistributionType
	internalOnly       bool // endpoints of its network only (rule LB-17)
}

func (s *store) balancer(id string) *balancer {
	for _, b := range s.balancers {
		if hcn.SameID(b.doc.ID, id) {
			return b
		}
	}
	return nil
}

func (s *store) createBalancer(id string, body json.RawMessage) (string, error) {
	doc, err := hcn.DecodeLoadBalancer(body)
	if err != nil {
		return "", err
	}
	if err := hcn.ValidateLoadBalancer(doc, &s.profile); err != nil {
		return "", err
	}
	b := &balancer{doc: doc}
	if doc.ID, err = s.chooseID(id, doc.ID); err != nil {
		return "", err
	}
	for i, ref := range doc.HostComputeEndpoints {
		e := s.endpoint(ref)
		if e == nil {
			return "", hcn.ErrorAt(hcn.ErrEndpointNotFound, fmt.Sprintf("HostComputeEndpoints[%d]", i), fmt.Sprintf("%q", ref), "the id of an endpoint")
		}
		doc.HostComputeEndpoints[i] = e.doc.ID // in the letters of the endpoint's own document (rule B6a)
		if b.net == nil {
			b.net = e.net
		}
		if e.ipv4().IsValid() {
			b.backends = append(b.backends, e)
		}
	}
	if b.net == nil {
		b.net = s.network(doc.HostComputeNetwork)
	}
	if doc.Flags&hcn.LBIPv6 != 0 {
		return "", unsupported("IPv6 load balancers have no counterpart on the Linux backend")
	}
	for _, m := range doc.PortMappings {
		if m.Flags&hcn.PreserveDIP != 0 {
			return "", unsupported("PreserveDIP has no counterpart on the Linux backend")
		}
	}
	if err := s.checkFronts(b); err != nil {
		return "", err
	}
	doc.Version, doc.State = s.profile.Version.Object(), 2 // section F.5
	b.num = s.number()
	s.balancers = append(s.balancers, b)
	return doc.ID, nil
}

// forgetBackend drops the references to an endpoint that is gone; a load
// balancer without any stays, and does nothing (rule LB-09, section B.9).
func (s *store) forgetBackend(e *endpoint) {
	for _, b := range s.balancers {
		b.backends = without(b.backends, func(o *endpoint) bool { return o == e })
		b.doc.HostComputeEndpoints = without(b.doc.HostComputeEndpoints, func(id string) bool { return hcn.SameID(id, e.doc.ID) })
	}
}

// checkFronts refuses an address, protocol and port that another load balancer
// has (rule LB-18).
func (s *store) checkFronts(b *balancer) error {
	for _, o := range s.balancers {
		for i, m := range b.doc.PortMappings {
			for _, t := range o.doc.PortMappings {
				if m.Protocol != t.Protocol || m.ExternalPort != t.ExternalPort || !shareVIP(b.doc, o.doc) {
					continue
				}
				return hcn.ErrorAt(hcn.ErrPortAlreadyExists, fmt.Sprintf("PortMappings[%d].ExternalPort", i), fmt.Sprint(m.ExternalPort),
					"a port that no other load balancer has at this address")
			}
		}
	}
	return nil
}

func shareVIP(a, b *hcn.LoadBalancer) bool {
	if len(a.FrontendVIPs) == 0 || len(b.FrontendVIPs) == 0 {
		return len(a.FrontendVIPs) == len(b.FrontendVIPs)
	}
	return slices.ContainsFunc(a.FrontendVIPs, func(v string) bool { return slices.Contains(b.FrontendVIPs, v) })
}

func (b *balancer) direct() bool { return b.doc.Flags&hcn.EnableDSR != 0 }

// fronts are the addresses and ports; without an address of its own it serves
// the host's.
func (b *balancer) fronts(host []netip.Addr) []front {
	vips := host
	if len(b.doc.FrontendVIPs) > 0 {
		vips = nil
		for _, v := range b.doc.FrontendVIPs {
			if a, err := netip.ParseAddr(v); err == nil && a.Is4() {
				vips = append(vips, a)
			}
		}
	}
	var out []front
	for _, m := range b.doc.PortMappings {
		for _, v := range vips {
			out = append(out, front{v, uint8(m.Protocol), m.ExternalPort, m.InternalPort, m.DistributionType, m.Flags&hcn.EnableILB != 0})
		}
	}
	return out
}

// source is the address that speaks for clients, where a backend must not see
// them (rules LB-02, OV-25).
func (b *balancer) source() netip.Addr {
	if a, err := netip.ParseAddr(b.doc.SourceVIP); err == nil && b.net.kind == hcn.Overlay {
		for _, e := range b.backends {
			if b.net.subnetOf(e.ipv4()) == nil && !slices.ContainsFunc(b.net.remoteRoutes(), func(r remoteRoute) bool { return r.dst.Contains(e.ipv4()) }) {
				return b.net.managed // a node or somebody outside
			}
		}
		return a
	}
	return b.net.managed
}
