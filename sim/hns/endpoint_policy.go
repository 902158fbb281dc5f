package hns

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/hcn"
)

// endpointPolicies takes over what an endpoint's policies say, checks them
// against the rest of the store, and assigns host ports. It is called for the
// complete list: on creation and after every change.
func (t *tx) endpointPolicies(n *Network, e *Endpoint) error {
	e.PA = netip.Addr{}
	e.EncapOverhead, e.EncapGiven = 0, false
	if n.Type == hcn.Overlay || n.Type == hcn.L2Bridge || n.Type == hcn.L2Tunnel {
		e.EncapOverhead = 50 // F.2
	}
	if n.Type == hcn.Overlay && !e.Remote {
		e.PA = n.ManagementIP
	}
	for i := range e.Doc.Policies {
		path := fmt.Sprintf("Policies[%d]", i)
		if err := t.endpointPolicy(n, e, &e.Doc.Policies[i], path); err != nil {
			return err
		}
	}
	return t.hostPorts(e)
}

func (t *tx) endpointPolicy(n *Network, e *Endpoint, p *hcn.Policy, path string) error {
	switch p.Type {
	case hcn.PolicyProviderAddress:
		s, err := hcn.DecodeSettings[hcn.ProviderAddressSettings](*p)
		if err != nil {
			return err
		}
		e.PA, _ = netip.ParseAddr(s.ProviderAddress)
	case hcn.PolicyEncapOverhead:
		s, err := hcn.DecodeSettings[hcn.EncapOverheadSettings](*p)
		if err != nil {
			return err
		}
		e.EncapOverhead, e.EncapGiven = s.Overhead, true
	case hcn.PolicyACL, hcn.PolicyTierACL:
		return n.checkSets(*p, path+".Settings")
	case hcn.PolicyPortMapping:
		if e.Remote {
			return hcn.ErrorAt(hcn.ErrInvalidRemoteEndpointOp, path, "PortMapping on a remote endpoint", "a local endpoint")
		}
	}
	return nil
}

// checkSets refuses addresses of ACLs and tiers that are neither addresses nor
// sets of the network; "Any" is the word that people try (rule ACL-04).
func (n *Network) checkSets(p hcn.Policy, path string) error {
	ids, err := hcn.ACLSetIDs(p)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !n.hasSet(id) {
			return hcn.ErrorAt(hcn.ErrInvalidPolicy, path, fmt.Sprintf("%q", id), "an address, a prefix, or the id of a SetPolicy of the network")
		}
	}
	return nil
}

func (n *Network) hasSet(id string) bool {
	for _, p := range hcn.FindPolicies(n.Doc.Policies, hcn.PolicySetPolicy) {
		if s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p); err == nil && s.ID == id {
			return true
		}
	}
	return false
}

// published is a port of the host that HNS has given away. vip is invalid for
// every address of the host.
type published struct {
	proto hcn.ProtocolNumber
	port  uint16
	vip   netip.Addr
}

func (h published) clashes(o published) bool {
	return h.proto == o.proto && h.port == o.port && (!h.vip.IsValid() || !o.vip.IsValid() || h.vip == o.vip)
}

// publishedBy reads the host port of a PortMapping policy.
func publishedBy(s *hcn.PortMappingSettings) published {
	vip, _ := netip.ParseAddr(s.VIP)
	return published{s.Protocol, s.ExternalPort, vip}
}

// takenPorts are the host ports of all objects but the endpoint itself and
// one load balancer.
func (t *tx) takenPorts(but *Endpoint, butLB *LoadBalancer) map[published]string {
	taken := map[published]string{}
	for _, e := range t.next.Endpoints {
		if e == but {
			continue
		}
		for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyPortMapping) {
			if s, err := hcn.DecodeSettings[hcn.PortMappingSettings](p); err == nil {
				taken[publishedBy(&s)] = fmt.Sprintf("endpoint %q", e.label())
			}
		}
	}
	for _, l := range t.next.LoadBalancers {
		if l == butLB || len(l.Doc.FrontendVIPs) > 0 {
			continue
		}
		for _, m := range l.Doc.PortMappings {
			taken[published{proto: m.Protocol, port: m.ExternalPort}] = "load balancer " + l.Doc.ID
		}
	}
	return taken
}

// clash returns the owner of a port that h cannot have beside, "" if none.
// The smallest owner is named so that map order never shows.
func clash(taken map[published]string, h published) string {
	owner := ""
	for o, who := range taken {
		if h.clashes(o) && (owner == "" || who < owner) {
			owner = who
		}
	}
	return owner
}

// hostPorts reserves the endpoint's published ports among HNS's own, and
// chooses those that the document leaves open (rules NAT-33, NAT-34).
func (t *tx) hostPorts(e *Endpoint) error {
	if _, any := hcn.FindPolicy(e.Doc.Policies, hcn.PolicyPortMapping); !any {
		return nil
	}
	kept := t.keptPorts(e.Num)
	taken := t.takenPorts(t.next.EndpointByNum(e.Num), nil)
	var open []int
	for i, p := range e.Doc.Policies {
		if p.Type != hcn.PolicyPortMapping {
			continue
		}
		s, err := hcn.DecodeSettings[hcn.PortMappingSettings](p)
		if err != nil {
			return err
		}
		h := publishedBy(&s)
		if h.port == 0 {
			open = append(open, i)
			continue
		}
		path := fmt.Sprintf("Policies[%d].Settings.ExternalPort", i)
		if owner := clash(taken, h); owner != "" {
			return hcn.ErrorAt(hcn.ErrPortAlreadyExists, path, fmt.Sprint(h.port), "a port that "+owner+" does not publish")
		}
		if !kept[h] && t.s.cfg.Ports != nil && t.s.cfg.Ports.Busy(uint8(h.proto), h.port) {
			return hcn.ErrorAt(hcn.ErrSharingViolation, path, fmt.Sprint(h.port), "a port that nothing on the host holds or excludes")
		}
		taken[h] = fmt.Sprintf("endpoint %q", e.label())
	}
	for _, i := range open {
		if err := t.assignPort(e, i, taken); err != nil {
			return err
		}
	}
	return nil
}

// keptPorts are the ports that the endpoint holds already: the host reports
// them as busy because of the endpoint itself.
func (t *tx) keptPorts(num uint32) map[published]bool {
	kept := map[published]bool{}
	old := t.s.cur.EndpointByNum(num)
	if old == nil || num == 0 {
		return kept
	}
	for _, p := range hcn.FindPolicies(old.Doc.Policies, hcn.PolicyPortMapping) {
		if s, err := hcn.DecodeSettings[hcn.PortMappingSettings](p); err == nil {
			kept[publishedBy(&s)] = true
		}
	}
	return kept
}

// Bounds of the host's dynamic port range (contract section 0.6).
const (
	firstDynamicPort = 49152
	dynamicPorts     = 65536 - firstDynamicPort
)

func (t *tx) assignPort(e *Endpoint, policy int, taken map[published]string) error {
	p := &e.Doc.Policies[policy]
	s, err := hcn.DecodeSettings[hcn.PortMappingSettings](*p)
	if err != nil {
		return err
	}
	h := publishedBy(&s)
	start := t.next.counters.below(dynamicPorts)
	for i := uint64(0); i < dynamicPorts; i++ {
		h.port = uint16(firstDynamicPort + (start+i)%dynamicPorts)
		if clash(taken, h) != "" || t.s.cfg.Ports != nil && t.s.cfg.Ports.Busy(uint8(h.proto), h.port) {
			continue
		}
		s.ExternalPort = h.port
		*p = withSettings(*p, s)
		taken[h] = fmt.Sprintf("endpoint %q", e.label())
		return nil
	}
	return hcn.ErrorAt(hcn.ErrPortAlreadyExists, fmt.Sprintf("Policies[%d].Settings.ExternalPort", policy), "0", "a free port in the dynamic range")
}

// withSettings is the policy with other settings and all else kept.
func withSettings(p hcn.Policy, settings any) hcn.Policy {
	q := hcn.NewPolicy(p.Type, settings)
	q.Extras = p.Extras
	return q
}
