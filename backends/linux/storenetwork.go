package linux

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// defaultVxlanPort is the UDP port of an overlay without a VxlanPort policy.
const defaultVxlanPort = 4789

// buildNATFlags is the first OS build that marks nat networks (section F.1).
const buildNATFlags = 20348

// kinds are the network types that have kernel objects here.
var kinds = map[hcn.NetworkType]bool{
	hcn.NAT: true, hcn.Transparent: true, hcn.L2Bridge: true, hcn.Overlay: true, hcn.Internal: true, hcn.Private: true,
}

func (s *store) createNetwork(id string, body []byte) (string, error) {
	doc, shape, err := hcn.DecodeNetworkShape(body)
	if err != nil {
		return "", err
	}
	n, err := s.buildNetwork(id, doc)
	if err != nil {
		return "", hcn.InShape(err, shape, body)
	}
	n.created, n.layer = fileTime(time.Now()), strings.ToLower(s.guid())
	s.networks = append(s.networks, n)
	return n.doc.ID, nil
}

func (s *store) buildNetwork(id string, doc *hcn.Network) (*network, error) {
	if err := hcn.ValidateNetwork(doc, &s.profile); err != nil {
		return nil, err
	}
	if err := refuseIPv6(doc); err != nil {
		return nil, err
	}
	if doc.Type == "" {
		doc.Type = hcn.NAT
	}
	n := &network{doc: doc, kind: doc.Type, vxlanPort: defaultVxlanPort}
	if !kinds[n.kind] {
		return nil, unsupported("networks of type %s have no counterpart on the Linux backend", n.kind)
	}
	for _, o := range s.networks {
		if doc.Name != "" && o.doc.Name == doc.Name {
			return nil, hcn.ErrorAt(hcn.ErrNetworkAlreadyExists, "Name", fmt.Sprintf("%q", doc.Name), "a name that no other network has")
		}
	}
	var err error
	if doc.ID, err = s.chooseID(id, doc.ID); err != nil {
		return nil, err
	}
	n.num = s.number()
	for _, step := range []func(*network) error{s.chooseUplink, s.chooseSubnets, s.chooseMACs, s.checkNetworkPolicies} {
		if err := step(n); err != nil {
			return nil, err
		}
	}
	n.doc.Version, n.doc.State = s.profile.Version.Object(), 1
	if n.kind == hcn.NAT && s.profile.OSBuild >= buildNATFlags {
		n.doc.Flags |= hcn.EnableNonPersistent
	}
	return n, nil
}

// refuseIPv6 is what a build without dual stack answers (L2B-17, D-10): on
// networks that rewrite MAC addresses this backend has none (see missing).
func refuseIPv6(doc *hcn.Network) error {
	if !doc.Type.UsesVFP() {
		return nil
	}
	for _, s := range doc.Subnets() {
		if p, err := netip.ParsePrefix(s.IpAddressPrefix); err == nil && p.Addr().Is6() {
			return hcn.ErrorAt(hcn.ErrInvalidNetwork, "Ipams", "the IPv6 prefix "+s.IpAddressPrefix, "IPv4, without "+hcn.FeatureIPv6DualStack)
		}
	}
	return nil
}

// chooseUplink finds the adapter of an external network: the one that a policy
// names, or the first (D.3 #15, TR-09).
func (s *store) chooseUplink(n *network) error {
	n.bridge = fmt.Sprintf("net%d", n.num)
	if !n.kind.External() {
		return nil
	}
	var wanted string
	for _, p := range n.doc.Policies {
		switch p.Type {
		case hcn.PolicyNetAdapterName:
			set, err := hcn.DecodeSettings[hcn.NetAdapterNameSettings](p)
			if err != nil {
				return err
			}
			wanted = set.NetworkAdapterName
		case hcn.PolicyVLAN:
			return unsupported("VLANs have no counterpart on the Linux backend")
		}
	}
	for _, u := range s.uplinks {
		if wanted == "" && !s.transparentOn(u, n) || wanted != "" && (u.name == wanted || "vEthernet ("+u.name+")" == wanted) {
			n.uplink = u
			break
		}
	}
	switch {
	case n.uplink == nil && wanted != "":
		return hcn.ErrorAt(hcn.ErrAdapterNotFound, "Policies", fmt.Sprintf("%q", wanted), "one of the host's adapters")
	case n.uplink == nil:
		n.uplink = s.uplinks[0]
	}
	if s.transparentOn(n.uplink, n) {
		return hcn.ErrorAt(hcn.ErrInvalidParameter, "Type", fmt.Sprintf("adapter %q, which carries another transparent network", n.uplink.name), "another adapter")
	}
	n.hostMAC = n.uplink.mac
	for _, a := range n.uplink.addrs {
		if a.Addr().Is4() {
			n.managed = a.Addr()
			break
		}
	}
	if n.kind != hcn.Overlay {
		n.bridge = n.uplink.bridge
	}
	return nil
}

// transparentOn reports whether another transparent network is in n's way.
func (s *store) transparentOn(u *uplink, n *network) bool {
	for _, o := range s.networks {
		if n.kind == hcn.Transparent && o.uplink == u && o.kind == hcn.Transparent {
			return true
		}
	}
	return false
}

func (s *store) chooseSubnets(n *network) error {
	if n.kind == hcn.NAT && len(n.doc.Subnets()) == 0 {
		if err := s.natSubnet(n); err != nil {
			return err
		}
	}
	if err := n.readSubnets(); err != nil || n.kind != hcn.NAT {
		return err
	}
	for _, sub := range n.subnets {
		if s.overlaps(sub.prefix) {
			return hcn.ErrorAt(s.profile.Knobs.NATClash, "Ipams[0].Subnets[0].IpAddressPrefix", sub.prefix.String(), "a prefix that nothing on the host has")
		}
	}
	return nil
}

// readSubnets takes prefixes, gateways and VSIDs out of the document.
func (n *network) readSubnets() error {
	n.subnets = nil
	for _, d := range n.doc.Subnets() {
		p, err := netip.ParsePrefix(d.IpAddressPrefix)
		if err != nil {
			return hcn.ErrorAt(hcn.ErrInvalidNetwork, "Ipams", fmt.Sprintf("%q", d.IpAddressPrefix), "a prefix")
		}
		sub := subnet{prefix: p.Masked(), doc: d}
		for _, r := range d.Routes {
			if gw, err := netip.ParseAddr(r.NextHop); err == nil && isDefault(r) {
				sub.gateway = gw
			}
		}
		if n.kind == hcn.NAT && !sub.gateway.IsValid() {
			sub.gateway = sub.prefix.Addr().Next() // rule NAT-02
			d.Routes = append(d.Routes, hcn.Route{NextHop: sub.gateway.String(), DestinationPrefix: "0.0.0.0/0"})
		}
		for _, p := range d.Policies {
			switch p.Type {
			case hcn.PolicyVSID:
				set, err := hcn.DecodeSettings[hcn.IsolationSettings](p)
				if err != nil {
					return err
				}
				sub.vsid = set.IsolationID
			case hcn.PolicyVLAN:
				return unsupported("VLANs have no counterpart on the Linux backend")
			}
		}
		n.subnets = append(n.subnets, sub)
	}
	return nil
}

func isDefault(r hcn.Route) bool {
	return r.DestinationPrefix == "0.0.0.0/0" || r.DestinationPrefix == "::/0"
}

// natSubnet chooses a free /20 of 172.16.0.0/12 (rule NAT-03).
func (s *store) natSubnet(n *network) error {
	base := netip.MustParsePrefix("172.16.0.0/12")
	first := base.Addr().As4()
	for i := range 256 {
		a := first
		a[1] += byte(i >> 4)
		a[2] = byte(i&15) << 4
		p := netip.PrefixFrom(netip.AddrFrom4(a), 20)
		if s.overlaps(p) {
			continue
		}
		n.doc.Ipams = []hcn.Ipam{{Type: "Static", Subnets: []hcn.Subnet{{IpAddressPrefix: p.String(),
			Routes: []hcn.Route{{NextHop: p.Addr().Next().String(), DestinationPrefix: "0.0.0.0/0"}}}}}}
		return nil
	}
	return hcn.ErrorAt(hcn.ErrInvalidNetwork, "Ipams", "no subnet", "a prefix: all of 172.16.0.0/12 is taken")
}

func (s *store) overlaps(p netip.Prefix) bool {
	for _, u := range s.uplinks {
		for _, a := range u.addrs {
			if a.Overlaps(p) {
				return true
			}
		}
	}
	for _, o := range s.networks {
		for _, sub := range o.subnets {
			if o.kind == hcn.NAT && sub.prefix.Overlaps(p) {
				return true
			}
		}
	}
	return false
}

// chooseMACs settles the pool and the addresses that the network itself has.
func (s *store) chooseMACs(n *network) error {
	if len(n.doc.MacPool.Ranges) == 0 {
		block := byte(s.next())
		n.doc.MacPool.Ranges = []hcn.MacRange{{
			StartMacAddress: fmt.Sprintf("00-15-5D-%02X-F0-00", block), EndMacAddress: fmt.Sprintf("00-15-5D-%02X-FF-FF", block)}}
	}
	switch {
	case n.kind == hcn.Overlay:
		if p, ok := hcn.FindPolicy(n.doc.Policies, hcn.PolicyDrMacAddress); ok {
			set, err := hcn.DecodeSettings[hcn.DrMacAddressSettings](p)
			if err != nil {
				return err
			}
			mac, err := hcn.ParseMAC(set.Address)
			n.drMAC = mac
			return err
		}
		r := s.next()
		n.drMAC = wire.MAC{0x00, 0x15, 0x5D, byte(r), byte(r >> 8), byte(r >> 16)}
	case !n.kind.External():
		if raw, ok := n.doc.Extras.Get("GatewayMac"); ok {
			var text string
			if json.Unmarshal(raw, &text) == nil {
				mac, err := hcn.ParseMAC(text)
				n.hostMAC = mac
				return err
			}
		}
		mac, err := s.poolMAC(n)
		n.hostMAC = mac
		return err
	}
	return nil
}

// poolMAC is the next free address of the network's pool.
func (s *store) poolMAC(n *network) (wire.MAC, error) {
	first, err := hcn.ParseMAC(n.doc.MacPool.Ranges[0].StartMacAddress)
	if err != nil {
		return wire.MAC{}, err
	}
	for {
		v := uint32(first[3])<<16 | uint32(first[4])<<8 | uint32(first[5]) + n.lastMAC
		n.lastMAC++
		mac := wire.MAC{first[0], first[1], first[2], byte(v >> 16), byte(v >> 8), byte(v)}
		taken := mac == n.hostMAC
		for _, e := range s.of(n) {
			taken = taken || e.mac == mac
		}
		if !taken {
			return mac, nil
		}
	}
}

// checkNetworkPolicies reads what the data plane needs, and refuses what the
// store knows to clash.
func (s *store) checkNetworkPolicies(n *network) error {
	if n.managed.IsValid() {
		if _, ok := hcn.FindPolicy(n.doc.Policies, hcn.PolicyProviderAddress); !ok {
			n.doc.Policies = append(n.doc.Policies, hcn.NewPolicy(hcn.PolicyProviderAddress, hcn.ProviderAddressSettings{ProviderAddress: n.managed.String()}))
		}
	}
	if _, ok := hcn.FindPolicy(n.doc.Policies, hcn.PolicyDrMacAddress); !ok && n.kind == hcn.Overlay {
		n.doc.Policies = append(n.doc.Policies, hcn.NewPolicy(hcn.PolicyDrMacAddress, hcn.DrMacAddressSettings{Address: n.drMAC.String()}))
	}
	if p, ok := hcn.FindPolicy(n.doc.Policies, hcn.PolicyVxlanPort); ok {
		set, err := hcn.DecodeSettings[hcn.VxlanPortSettings](p)
		if err != nil {
			return err
		}
		n.vxlanPort = set.Port
	}
	for _, o := range s.networks {
		if n.kind != hcn.Overlay || o.kind != hcn.Overlay || o.uplink != n.uplink {
			continue
		}
		for _, mine := range n.subnets {
			for _, theirs := range o.subnets {
				if mine.vsid == theirs.vsid {
					return hcn.ErrorAt(s.profile.Knobs.VSIDTaken, "Ipams", fmt.Sprintf("VSID %d", mine.vsid), "a VSID that no other network has")
				}
			}
		}
	}
	return nil
}
