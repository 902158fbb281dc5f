package hns

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/winnat"
)

// NATOptions are WinNAT settings outside the documents: what Set-NetNat
// changes (contract 3.3, rule NAT-14).
type NATOptions struct {
	FilteringTCP, FilteringUDP *winnat.Filtering
	Timers                     *winnat.Timers
	// Sessions is how many there may be at a time, 0 for the default of
	// package winnat. The contract knows no such limit; the model has one so
	// that its memory has.
	Sessions int
	// FirewallOff are the firewall rules of published ports that the
	// administrator has disabled, by name (rule NAT-32).
	FirewallOff map[string]bool
}

// FirewallRule is an inbound rule of the host's firewall that HNS added for a
// published port of a nat network (rule NAT-32).
type FirewallRule struct {
	Name     string
	Proto    uint8
	Port     uint16 // of the host
	Disabled bool
}

// FirewallRules lists the rules that HNS has added for the endpoints of s. They
// come and go with the mappings.
func (c *Compiler) FirewallRules(s *State) []FirewallRule {
	var out []FirewallRule
	for _, n := range s.Networks {
		if n.Type != hcn.NAT && n.Type != hcn.ICS {
			continue
		}
		for _, e := range s.EndpointsOf(n.Num) {
			maps, err := c.staticMappings(e)
			if err != nil {
				continue // such a state was never applied
			}
			for _, m := range maps {
				out = append(out, FirewallRule{firewallRuleName(e, m.Proto, m.ExternalPort), m.Proto, m.ExternalPort, m.Closed})
			}
		}
	}
	return out
}

func firewallRuleName(e *Endpoint, proto uint8, port uint16) string {
	return fmt.Sprintf("HNS-%s-%d-%d", strings.ToLower(e.Doc.ID), proto, port)
}

// compileNAT makes the host's WinNAT of all its nat networks (rules NAT-01,
// NAT-10, NAT-30) and the published ports of VFP endpoints that the host
// itself may use (rule L2B-30).
func (c *Compiler) compileNAT(p *fabric.HostProgram, s *State) error {
	var cfg winnat.Config
	for _, n := range s.Networks {
		if n.Type != hcn.NAT && n.Type != hcn.ICS {
			continue
		}
		for _, sub := range n.Subnets {
			if sub.Prefix.Addr().Is4() {
				cfg.Internal = append(cfg.Internal, winnat.InternalNet{Prefix: sub.Prefix, Gateway: sub.Gateway})
			}
		}
		for _, e := range s.EndpointsOf(n.Num) {
			maps, err := c.staticMappings(e)
			if err != nil {
				return err
			}
			cfg.Static = append(cfg.Static, maps...)
		}
	}
	p.LocalVIPs = append(p.LocalVIPs, c.pools.localVIPs()...)
	if len(cfg.Internal) == 0 {
		return nil
	}
	c.natKnobs(&cfg)
	p.NAT = &cfg
	return nil
}

// natKnobs sets what the profile and Set-NetNat say.
func (c *Compiler) natKnobs(cfg *winnat.Config) {
	k := &c.Profile.Knobs
	cfg.Timers = winnat.Timers{
		ICMPQuery: k.NATTimerICMP, UDP: k.NATTimerUDP,
		TCPTransient: k.NATTimerTCPTransient, TCPEstablished: k.NATTimerTCPEstabl,
		UDPInboundRefresh: k.NATUDPInboundRefresh,
	}
	switch k.NATMapping {
	case "ADM":
		cfg.Mapping = winnat.MapAddress
	case "APDM":
		cfg.Mapping = winnat.MapAddressAndPort
	}
	cfg.FilteringTCP, cfg.FilteringUDP = filtering(k.NATFilteringTCP), filtering(k.NATFilteringUDP)
	cfg.RewriteIPID, cfg.TCPSeqCheck = k.RewriteIPID, k.TCPSeqCheck
	cfg.LoopbackPublish, cfg.BlockSize = k.LoopbackPublish, k.NATPortBlock
	if k.NATHairpin == "drop" {
		cfg.Hairpin = winnat.HairpinDrop
	}
	if o := c.NAT; o.FilteringTCP != nil {
		cfg.FilteringTCP = *o.FilteringTCP
	}
	if o := c.NAT; o.FilteringUDP != nil {
		cfg.FilteringUDP = *o.FilteringUDP
	}
	if o := c.NAT; o.Timers != nil {
		cfg.Timers = *o.Timers
	}
	cfg.Limits.Sessions = c.NAT.Sessions
}

func filtering(knob string) winnat.Filtering {
	if knob == "EIF" {
		return winnat.FilterEndpointIndependent
	}
	return winnat.FilterAddress
}

// staticMappings are the published ports of an endpoint of a nat network.
func (c *Compiler) staticMappings(e *Endpoint) ([]winnat.StaticMapping, error) {
	var out []winnat.StaticMapping
	for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyPortMapping) {
		set, err := hcn.DecodeSettings[hcn.PortMappingSettings](p)
		if err != nil {
			return nil, err
		}
		if !e.Addr().Is4() {
			continue
		}
		m := winnat.StaticMapping{
			Proto: uint8(set.Protocol), ExternalPort: set.ExternalPort,
			Internal:       netip.AddrPortFrom(e.Addr(), set.InternalPort),
			LocalRoutedVIP: set.Flags&hcn.NatLocalRoutedVip != 0,
			Closed:         c.NAT.FirewallOff[firewallRuleName(e, uint8(set.Protocol), set.ExternalPort)],
		}
		if set.VIP != "" {
			if m.VIP, err = netip.ParseAddr(set.VIP); err != nil {
				return nil, &hcn.Error{Code: hcn.ErrInvalidPolicy, Path: "VIP", Found: set.VIP, Expected: "an address of the host"}
			}
		}
		out = append(out, m)
	}
	return out, nil
}
