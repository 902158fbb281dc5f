package hns

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/hcn"
)

// defaultVxlanPort is the UDP port of an overlay without a VxlanPort policy.
const defaultVxlanPort = 4789

// HNS versions and builds at which what the service fills in changed.
const (
	hnsIPSubnets  = 11    // subnets show ids and IP subnets, endpoint ids are lower case
	hnsSwitchGUID = 15    // networks show their switch
	buildNATVLAN  = 20348 // NAT networks share one switch and differ by VLAN
	buildNATGone  = 17763 // NAT networks do not outlive a reboot
	// VFP's extension calls itself a filter.
	buildVFPFilter = 22000
)

// CreateNetwork creates a network from a document in either shape. id is the
// identity that the caller chose, or "".
func (s *Service) CreateNetwork(id string, settings []byte) (string, error) {
	err := s.change(func(t *tx) error {
		doc, shape, err := hcn.DecodeNetworkShape(settings)
		if err != nil {
			return err
		}
		n, err := t.createNetwork(id, doc, shape)
		if err != nil {
			return hcn.InShape(err, shape, settings)
		}
		id = n.Doc.ID
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (t *tx) createNetwork(id string, doc *hcn.Network, shape hcn.Shape) (*Network, error) {
	if err := t.oldBuild(shape); err != nil {
		return nil, err
	}
	if err := hcn.ValidateNetwork(doc, t.profile()); err != nil {
		return nil, err
	}
	n := &Network{Doc: doc, Type: doc.Type, createdAt: t.s.cfg.Now(), VxlanPort: defaultVxlanPort}
	if n.Type == "" {
		n.Type = hcn.NAT
		doc.Type = hcn.NAT
	}
	switch n.Type {
	case hcn.Mirrored, hcn.Infiniband, hcn.ConstrainedICS:
		return nil, hcn.ErrorAt(hcn.ErrRequestUnsupported, "Type", string(n.Type), "a type that the model runs: it reads this one but has no data plane for it")
	}
	if n.Type == hcn.ICS && t.s.cfg.ICSDisabled {
		return nil, hcn.ErrorAt(hcn.ErrICSDisabled, "Type", string(n.Type), "a host whose SharedAccess service can be started")
	}
	var err error
	if doc.ID, err = t.chooseID(id, doc.ID, func(id string) bool { return t.next.NetworkByID(id) != nil }); err != nil {
		return nil, err
	}
	for _, other := range t.next.Networks {
		if doc.Name != "" && other.Doc.Name == doc.Name {
			return nil, hcn.ErrorAt(hcn.ErrNetworkAlreadyExists, "Name", fmt.Sprintf("%q", doc.Name), "a name that no other network has")
		}
	}
	for _, step := range []func(*Network) error{t.bindUplink, t.chooseSubnets, t.checkNATSpace, t.chooseLayer, t.choosePool, t.checkVSIDs, t.networkPolicies} {
		if err := step(n); err != nil {
			return nil, err
		}
	}
	t.finishNetwork(n)
	return n, nil
}

// oldBuild refuses v2 documents on a service that predates them, if the knob
// says so.
func (t *tx) oldBuild(shape hcn.Shape) error {
	p := t.profile()
	if shape == hcn.V2 && p.Knobs.V2OnOldBuilds == "refuse" && !p.Supports(hcn.FeatureV2Api) {
		return hcn.Errorf(hcn.ErrNotImplemented, "HNS %s has no v2 interface", p.Version)
	}
	return nil
}

// finishNetwork numbers the network and fills in what section F.1 lists.
func (t *tx) finishNetwork(n *Network) {
	c := &t.next.counters
	c.network++
	n.Num = c.network
	p := t.profile()
	n.Doc.Version = p.Version.Object()
	n.Doc.State = 1
	if n.Type == hcn.NAT && p.OSBuild >= buildNATVLAN {
		n.Doc.Flags |= hcn.EnableNonPersistent
	}
	n.ids = networkIDs{activity: c.guid(), iface: c.guid(), hostNIC: c.guid(), hostPort: c.guid(), hostAlloc: c.guid(),
		natAlloc: c.guid(), switchID: c.guid()}
	t.next.Networks = append(t.next.Networks, n)
	t.dirty = true
	t.note(NetworkPreCreate, n.Doc.ID)
	t.note(NetworkCreate, n.Doc.ID)
}

// bindUplink chooses the adapter of an external type (D.3 #15, #16, #19).
func (t *tx) bindUplink(n *Network) error {
	if !n.Type.External() {
		return nil
	}
	u, path, err := t.findUplink(n)
	if err != nil {
		return err
	}
	switch {
	case t.s.absent[u.Name]:
		return hcn.ErrorAt(hcn.ErrAdapterNotFound, path, fmt.Sprintf("adapter %q, which was taken out", u.Name), "an adapter that is there")
	case u.Virtual:
		return hcn.ErrorAt(hcn.ErrInvalidParameter, path, fmt.Sprintf("the virtual adapter %q", u.Name), "a physical adapter")
	case u.Bound:
		return hcn.ErrorAt(hcn.ErrInvalidParameter, path, fmt.Sprintf("adapter %q, which carries another external switch", u.Name), "an adapter without one")
	}
	if n.Type.UsesVFP() && t.withoutVFP(u) {
		return hcn.ErrorAt(hcn.ErrVFPNotAllowed, "Type", string(n.Type), fmt.Sprintf("the forwarding extension on adapter %q", u.Name))
	}
	if n.Type == hcn.Transparent && t.hasTransparent(u.Name) {
		// Rule TR-09: a transparent network has its adapter for itself among
		// transparent networks.
		return hcn.ErrorAt(hcn.ErrInvalidParameter, path, fmt.Sprintf("adapter %q, which carries another transparent network", u.Name), "another adapter")
	}
	n.Uplink, n.HostMAC = u.Name, u.MAC
	for _, a := range u.Addrs {
		if a.Addr().Is4() {
			n.ManagementIP = a.Addr()
			break
		}
	}
	return nil
}

func (t *tx) hasTransparent(uplink string) bool {
	for _, n := range t.next.Networks {
		if n.Uplink == uplink && n.Type == hcn.Transparent {
			return true
		}
	}
	return false
}

// findUplink finds the adapter that the document names, by name, GUID, alias
// or layer; without any of them the first physical adapter, preferring one
// that the network can have. path is the place that named it.
func (t *tx) findUplink(n *Network) (*Uplink, string, error) {
	for i, p := range n.Doc.Policies {
		path := fmt.Sprintf("Policies[%d].Settings", i)
		var match func(u *Uplink) bool
		var wanted string
		switch p.Type {
		case hcn.PolicyNetAdapterName:
			s, _ := hcn.DecodeSettings[hcn.NetAdapterNameSettings](p)
			path, wanted = path+".NetworkAdapterName", s.NetworkAdapterName
			match = func(u *Uplink) bool { return u.Name == wanted || "vEthernet ("+u.Name+")" == wanted }
		case hcn.PolicyInterfaceConstraint:
			s, _ := hcn.DecodeSettings[hcn.InterfaceConstraintSettings](p)
			if s.InterfaceGuid == "" && s.InterfaceAlias == "" {
				continue
			}
			wanted = s.InterfaceGuid + s.InterfaceAlias
			match = func(u *Uplink) bool {
				return s.InterfaceGuid != "" && hcn.SameID(u.GUID, s.InterfaceGuid) || s.InterfaceGuid == "" && u.Name == s.InterfaceAlias
			}
		case hcn.PolicyLayerConstraint:
			s, _ := hcn.DecodeSettings[hcn.LayerConstraintSettings](p)
			name, err := t.uplinkOfLayer(s.LayerID, path+".LayerId")
			if err != nil {
				return nil, "", err
			}
			wanted = name
			match = func(u *Uplink) bool { return u.Name == name }
		default:
			continue
		}
		for i := range t.s.cfg.Uplinks {
			if match(&t.s.cfg.Uplinks[i]) {
				return &t.s.cfg.Uplinks[i], path, nil
			}
		}
		return nil, "", hcn.ErrorAt(hcn.ErrAdapterNotFound, path, fmt.Sprintf("%q", wanted), "one of the host's adapters: "+t.adapterNames())
	}
	return t.defaultUplink(n)
}

func (t *tx) adapterNames() string {
	var out string
	for i, u := range t.s.cfg.Uplinks {
		if i > 0 {
			out += ", "
		}
		out += u.Name
	}
	return out
}

func (t *tx) uplinkOfLayer(layer, path string) (string, error) {
	for _, n := range t.next.Networks {
		if n.Uplink != "" && hcn.SameID(n.LayerGUID, layer) {
			return n.Uplink, nil
		}
	}
	return "", hcn.ErrorAt(hcn.ErrLayerNotFound, path, fmt.Sprintf("%q", layer), "the layer of an external network")
}

func (t *tx) defaultUplink(n *Network) (*Uplink, string, error) {
	var first *Uplink
	for i := range t.s.cfg.Uplinks {
		u := &t.s.cfg.Uplinks[i]
		if u.Virtual {
			continue
		}
		if first == nil {
			first = u
		}
		if n.Type == hcn.Transparent && t.hasTransparent(u.Name) || n.Type.UsesVFP() && t.withoutVFP(u) || u.Bound || t.s.absent[u.Name] {
			continue
		}
		return u, "Type", nil
	}
	if first == nil {
		return nil, "", hcn.ErrorAt(hcn.ErrAdapterNotFound, "Type", string(n.Type), "a host with a physical adapter")
	}
	return first, "Type", nil
}

// chooseLayer finds the switch: that of the uplink, the shared one of NAT
// networks on builds that have it, or a new one (F.1, G.1).
func (t *tx) chooseLayer(n *Network) error {
	sharedNAT := n.Type == hcn.NAT && t.profile().OSBuild >= buildNATVLAN
	for _, other := range t.next.Networks {
		if n.Uplink != "" && other.Uplink == n.Uplink || sharedNAT && other.Type == hcn.NAT {
			n.Layer, n.LayerGUID = other.Layer, other.LayerGUID
			break
		}
	}
	if n.Layer == 0 {
		t.next.counters.layer++
		n.Layer, n.LayerGUID = t.next.counters.layer, t.next.counters.guid()
	}
	if sharedNAT {
		n.NATVLAN = t.freeNATVLAN()
	}
	return nil
}

func (t *tx) freeNATVLAN() uint16 {
	taken := map[uint16]bool{}
	for _, n := range t.next.Networks {
		taken[n.NATVLAN] = true
	}
	for v := uint16(1); ; v++ {
		if !taken[v] {
			return v
		}
	}
}

// choosePool takes the MAC pool of the document or makes one, and the MACs of
// the host vNIC and of the distributed router.
func (t *tx) choosePool(n *Network) error {
	if ranges := n.Doc.MacPool.Ranges; len(ranges) > 0 {
		n.Pool.First, _ = hcn.ParseMAC(ranges[0].StartMacAddress)
		n.Pool.Last, _ = hcn.ParseMAC(ranges[0].EndMacAddress)
	} else {
		n.Pool = t.poolBlock()
		n.Doc.MacPool.Ranges = []hcn.MacRange{{StartMacAddress: hcn.FormatMAC(n.Pool.First), EndMacAddress: hcn.FormatMAC(n.Pool.Last)}}
	}
	if !n.Type.External() && n.Type != hcn.Private {
		return t.chooseGatewayMAC(n)
	}
	if n.Type == hcn.Overlay {
		return t.chooseDRMAC(n)
	}
	return nil
}

// chooseGatewayMAC honours the v1 member GatewayMac, which ICS networks show;
// otherwise the host vNIC takes an address of the pool (F.3).
func (t *tx) chooseGatewayMAC(n *Network) error {
	if raw, ok := n.Doc.Extras.Get("GatewayMac"); ok {
		var text string
		mac, err := [6]byte{}, json.Unmarshal(raw, &text)
		if err == nil {
			mac, err = hcn.ParseMAC(text)
		}
		if err != nil {
			return hcn.ErrorAt(hcn.ErrInvalidNetwork, "GatewayMac", string(raw), "a MAC address")
		}
		n.HostMAC = mac
		return nil
	}
	if n.Type == hcn.ICS { // F.1: the first of the block
		n.HostMAC = n.Pool.First
		return nil
	}
	mac, err := t.freeMAC(n)
	n.HostMAC = mac
	return err
}

func (t *tx) chooseDRMAC(n *Network) error {
	if p, ok := hcn.FindPolicy(n.Doc.Policies, hcn.PolicyDrMacAddress); ok {
		s, err := hcn.DecodeSettings[hcn.DrMacAddressSettings](p)
		if err != nil {
			return err
		}
		n.DRMAC, err = hcn.ParseMAC(s.Address)
		return err
	}
	r := t.next.counters.next()
	n.DRMAC = [6]byte{0x00, 0x15, 0x5D, byte(r), byte(r >> 8), byte(r >> 16)}
	return nil
}

// checkVSIDs refuses a VSID that another overlay on the same adapter has (C.3).
func (t *tx) checkVSIDs(n *Network) error {
	if n.Type != hcn.Overlay {
		return nil
	}
	for _, other := range t.next.Networks {
		if other.Num == n.Num || other.Type != hcn.Overlay || other.Uplink != n.Uplink {
			continue
		}
		for _, mine := range n.Subnets {
			for _, theirs := range other.Subnets {
				if mine.VSID == theirs.VSID {
					return hcn.ErrorAt(t.knobs().VSIDTaken, subnetPath(mine)+".Policies", fmt.Sprintf("VSID %d", mine.VSID),
						fmt.Sprintf("a VSID that network %q does not have", other.Doc.Name))
				}
			}
		}
	}
	return nil
}

// networkPolicies fills in the policies that HNS sets itself.
func (t *tx) networkPolicies(n *Network) error {
	set := func(kind hcn.PolicyType, settings any) {
		p := hcn.NewPolicy(kind, settings)
		for i := range n.Doc.Policies {
			if n.Doc.Policies[i].Type == kind {
				n.Doc.Policies[i] = p
				return
			}
		}
		n.Doc.Policies = append(n.Doc.Policies, p)
	}
	if n.NATVLAN != 0 {
		set(hcn.PolicyVLAN, hcn.IsolationSettings{IsolationID: uint32(n.NATVLAN)})
	}
	if n.ManagementIP.IsValid() {
		set(hcn.PolicyProviderAddress, hcn.ProviderAddressSettings{ProviderAddress: n.ManagementIP.String()})
	}
	if n.Type == hcn.Overlay {
		set(hcn.PolicyDrMacAddress, hcn.DrMacAddressSettings{Address: hcn.FormatMAC(n.DRMAC)})
	}
	if err := t.extensionPolicies(n); err != nil {
		return err
	}
	return n.readPolicies()
}

// readPolicies takes over what policies say about the network as a whole.
func (n *Network) readPolicies() error {
	n.VxlanPort = defaultVxlanPort
	if p, ok := hcn.FindPolicy(n.Doc.Policies, hcn.PolicyVxlanPort); ok {
		s, err := hcn.DecodeSettings[hcn.VxlanPortSettings](p)
		if err != nil {
			return err
		}
		n.VxlanPort = s.Port
	}
	return nil
}

// hostPrefixes are the prefixes that the host itself has addresses in.
func (t *tx) hostPrefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, u := range t.s.cfg.Uplinks {
		for _, a := range u.Addrs {
			out = append(out, a.Masked())
		}
	}
	return append(out, t.s.cfg.HostPrefixes...)
}
