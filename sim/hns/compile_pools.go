package hns

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/snat"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// pools are the NAT port pools and published ports of a host's VFP endpoints.
// They outlive single programs: live flows hold their ports (rule L2B-23).
type pools struct {
	host    *vfp.PortSpace
	virtual map[netip.Addr]*vfp.PortSpace // of NAT addresses that are not the host's (VirtualIP)
	hostIPs []netip.Addr
	icmp    bool // knob vfpIcmpNat
	idle    int64
	block   int  // knob vfpPortBlock
	overlay bool // knob overlayOutbound
	byEP    map[uint32]*endpointNAT
	pending map[uint32]*endpointNAT // of the state being compiled, or of what changes with it
	takers  takers                  // of byEP, or of what it is about to be
	before  takers                  // of byEP, during a change
	undo    []func()
	// published are the host ports that endpoints publish, and where.
	published map[heldPort][]publication
	lb        balancerPools
}

// endpointNAT is what one endpoint's policies amount to and what it holds.
type endpointNAT struct {
	out  *snat.Outbound // nil: no OutBoundNAT
	max  int
	maps []snat.Mapping // published by VFP
	uses []portUse      // host ports that publishing holds
	// local lists what the host itself may use (flag LocalRoutedVip).
	local []fabric.LocalVIP
}

// portUse is a published port of an address; an invalid address stands for
// the host.
type portUse struct {
	addr  netip.Addr
	proto uint8
	port  uint16
}

func (p *pools) space(addr netip.Addr) *vfp.PortSpace {
	if !addr.IsValid() || slices.Contains(p.hostIPs, addr) {
		return p.host
	}
	if p.virtual[addr] == nil {
		p.virtual[addr] = vfp.NewPortSpace()
	}
	return p.virtual[addr]
}

// owner names the switch port that holds a port of addr.
func (p *pools) owner(now int64, addr netip.Addr, proto uint8, port uint16) (vfp.PortID, bool) {
	if pool := p.balancerPool(addr, proto, port); pool != nil {
		return pool.Holder(now, port)
	}
	sp := p.host
	if !slices.Contains(p.hostIPs, addr) {
		if sp = p.virtual[addr]; sp == nil {
			return 0, false
		}
	}
	own, use, ok := sp.OwnerOf(proto, port)
	if use == vfp.StaticUse {
		own, ok = p.publisher(sp, addr, proto, port)
	}
	if !ok || use != vfp.VFPUse && use != vfp.StaticUse || own < uint64(firstEndpointPort) || own >= balancerOwner {
		return 0, false
	}
	return vfp.PortID(own), true
}

// takers counts the endpoints that have pools, by the address that they
// translate to.
type takers map[netip.Addr]int

func (t takers) add(w *endpointNAT, n int) {
	if w == nil || w.out == nil {
		return
	}
	if t[w.out.To] += n; t[w.out.To] == 0 {
		delete(t, w.out.To)
	}
}

// mayTake tells which ports of which addresses a pool may come to hold before
// the next state; nil means that no endpoint has a pool.
func (p *pools) mayTake() func(netip.Addr, uint16) bool {
	spaces := map[netip.Addr]*vfp.PortSpace{}
	for to := range p.takers {
		spaces[to] = p.space(to)
		if spaces[to] == p.host {
			for _, a := range p.hostIPs {
				spaces[a] = p.host
			}
		}
	}
	for _, a := range p.lb.sources() {
		spaces[a] = p.host
	}
	if len(spaces) == 0 {
		return nil
	}
	return func(a netip.Addr, port uint16) bool {
		s := spaces[a]
		return s != nil && port >= s.Dynamic().Lo && port <= s.Dynamic().Hi
	}
}

// reconcile brings the holdings in line with s. What is new is reserved at
// once; what is no longer wanted is released by commit only, so that a failed
// operation leaves everything as it was.
func (p *pools) reconcile(s *State) (commit func(), err error) {
	p.begin()
	next, count := map[uint32]*endpointNAT{}, takers{}
	var release []func()
	for _, e := range s.Endpoints {
		want, rel, err := p.want(s.NetworkByNum(e.Network), e)
		if err != nil {
			p.rollback()
			return nil, err
		}
		if want != nil {
			next[e.Num] = want
			count.add(want, 1)
		}
		release = append(release, rel...)
	}
	for _, num := range slices.Sorted(maps.Keys(p.byEP)) {
		if next[num] == nil {
			release = append(release, p.releaser(num))
		}
	}
	p.pending, p.takers = next, count
	rel, err := p.reconcileBalancers(s)
	if err != nil {
		p.rollback()
		return nil, err
	}
	release = append(release, rel...)
	return func() {
		for _, f := range release {
			f()
		}
		p.byEP = next
		p.end()
		p.lb.commit()
	}, nil
}

// reconcileOnly is reconcile when nothing but these endpoints has changed: gone
// are those that are no more, or were something else, come those that are new,
// or are something else now.
func (p *pools) reconcileOnly(nets func(*Endpoint) *Network, gone, come []*Endpoint) (commit func(), err error) {
	p.begin()
	p.pending, p.takers = map[uint32]*endpointNAT{}, maps.Clone(p.takers)
	if p.takers == nil {
		p.takers = takers{}
	}
	for _, e := range gone {
		p.takers.add(p.byEP[e.Num], -1)
		p.pending[e.Num] = nil
	}
	var release []func()
	for _, e := range come {
		want, rel, err := p.want(nets(e), e)
		if err != nil {
			p.rollback()
			return nil, err
		}
		p.pending[e.Num] = want
		p.takers.add(want, 1)
		release = append(release, rel...)
	}
	for _, e := range gone {
		if p.pending[e.Num] == nil && p.byEP[e.Num] != nil {
			release = append(release, p.releaser(e.Num))
		}
	}
	return func() {
		for _, f := range release {
			f()
		}
		for num, w := range p.pending {
			if w == nil {
				delete(p.byEP, num)
			} else {
				p.byEP[num] = w
			}
		}
		p.end()
	}, nil
}

// want is what an endpoint is to have, and holds it; nil is nothing.
func (p *pools) want(n *Network, e *Endpoint) (w *endpointNAT, release []func(), err error) {
	if n == nil || e.Remote || n.Type == hcn.Transparent {
		return nil, nil, nil
	}
	if w, err = p.wish(n, e); err == nil {
		release, err = p.hold(e, w)
	}
	return w, release, err
}

// begin and end enclose a change.
func (p *pools) begin() { p.undo, p.before = nil, p.takers }

func (p *pools) end() { p.pending, p.undo, p.before = nil, nil, nil }

func (p *pools) rollback() {
	for _, f := range slices.Backward(p.undo) {
		f()
	}
	p.takers = p.before
	p.end()
	p.lb.rollback()
}

// wish reads the endpoint's policies. All OutBoundNAT policies together make
// one translation: their exceptions add up, and a policy with destinations
// asks for those alone (rules L2B-21, L2B-22, L2B-28).
func (p *pools) wish(n *Network, e *Endpoint) (*endpointNAT, error) {
	w := &endpointNAT{}
	outbound := hcn.FindPolicies(e.Doc.Policies, hcn.PolicyOutBoundNAT)
	if n.Type == hcn.Overlay && !p.overlay {
		outbound = nil // D-22: accepted, without effect
	}
	for _, pol := range outbound {
		set, err := hcn.DecodeSettings[hcn.OutBoundNATSettings](pol)
		if err != nil {
			return nil, err
		}
		if err := w.addOutbound(set, p.nodeIP(n)); err != nil {
			return nil, err
		}
	}
	if err := w.addProxies(n, e, p.nodeIP(n)); err != nil {
		return nil, err
	}
	if w.out != nil {
		w.out.ICMP, w.out.Idle = p.icmp, p.idle
	}
	if err := w.addMappings(e, p.nodeIP(n)); err != nil {
		return nil, err
	}
	if n.Type == hcn.NAT || n.Type == hcn.ICS {
		w.maps, w.local = nil, nil // WinNAT's business, for the host as well (rule NAT-36)
	}
	return w, nil
}

// addMappings reads the published ports.
func (w *endpointNAT) addMappings(e *Endpoint, node netip.Addr) error {
	for _, pol := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyPortMapping) {
		set, err := hcn.DecodeSettings[hcn.PortMappingSettings](pol)
		if err != nil {
			return err
		}
		vip := netip.Addr{}
		if set.VIP != "" {
			if vip, err = netip.ParseAddr(set.VIP); err != nil {
				return &hcn.Error{Code: hcn.ErrInvalidPolicy, Path: "VIP", Found: set.VIP, Expected: "an address of the host"}
			}
		}
		w.uses = append(w.uses, portUse{vip, uint8(set.Protocol), set.ExternalPort})
		if !vip.IsValid() {
			vip = node
		}
		if !vip.IsValid() || !e.Addr().IsValid() {
			continue
		}
		w.maps = append(w.maps, snat.Mapping{Proto: uint8(set.Protocol), VIP: vip, ExternalPort: set.ExternalPort,
			Internal: e.Addr(), InternalPort: set.InternalPort})
		if set.Flags&hcn.NatLocalRoutedVip != 0 {
			w.local = append(w.local, fabric.LocalVIP{Proto: uint8(set.Protocol), VIP: vip, Port: set.ExternalPort,
				Targets: []netip.AddrPort{netip.AddrPortFrom(e.Addr(), set.InternalPort)}})
		}
	}
	return nil
}

// nodeIP is the address that translated packets take: the network's
// ManagementIP, else the host's first.
func (p *pools) nodeIP(n *Network) netip.Addr {
	if n.ManagementIP.IsValid() {
		return n.ManagementIP
	}
	if len(p.hostIPs) > 0 {
		return p.hostIPs[0]
	}
	return netip.Addr{}
}

func (w *endpointNAT) addOutbound(set hcn.OutBoundNATSettings, node netip.Addr) error {
	to := node
	if set.VirtualIP != "" {
		a, err := netip.ParseAddr(set.VirtualIP)
		if err != nil {
			return &hcn.Error{Code: hcn.ErrInvalidPolicy, Detail: "VirtualIP " + set.VirtualIP}
		}
		to = a
	}
	if !to.IsValid() {
		return &hcn.Error{Code: hcn.ErrInvalidPolicy, Detail: "OutBoundNAT: the host has no address to translate to"}
	}
	if w.out == nil {
		w.out = &snat.Outbound{To: to}
	}
	if set.VirtualIP != "" {
		w.out.To = to
	}
	w.max = max(w.max, int(set.MaxPortPoolUsage))
	exc, err := prefixes(set.Exceptions)
	if err != nil {
		return err
	}
	dst, err := prefixes(set.Destinations)
	if err != nil {
		return err
	}
	w.out.Exceptions = append(w.out.Exceptions, exc...)
	w.out.Destinations = append(w.out.Destinations, dst...)
	w.out.Everywhere = w.out.Everywhere || len(dst) == 0
	return nil
}

// prefixes parses addresses and prefixes.
func prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, &hcn.Error{Code: hcn.ErrInvalidPolicy, Detail: "address or prefix " + s}
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// hold reserves what want needs beyond what the endpoint holds already and
// returns what to release once the change is final.
func (p *pools) hold(e *Endpoint, want *endpointNAT) (release []func(), err error) {
	owner := uint64(EndpointPort(e.Num))
	old := p.byEP[e.Num]
	if old == nil {
		old = &endpointNAT{}
	}
	switch {
	case want.out != nil && old.out != nil && want.out.To == old.out.To && want.max == old.max:
		want.out.TCP, want.out.UDP, want.out.ICMPPool = old.out.TCP, old.out.UDP, old.out.ICMPPool
	default:
		if old.out != nil {
			release = append(release, closePools(old.out))
		}
		if want.out != nil {
			if err := p.openPools(owner, want); err != nil {
				return nil, err
			}
		}
	}
	for _, u := range want.uses {
		if slices.Contains(old.uses, u) {
			continue
		}
		if err := p.publish(u, owner); err != nil {
			return nil, err
		}
		p.undo = append(p.undo, func() { p.unpublish(u, owner) })
	}
	for _, u := range old.uses {
		if !slices.Contains(want.uses, u) {
			release = append(release, func() { p.unpublish(u, owner) })
		}
	}
	return release, nil
}

// portTaken is the refusal of a published port: another mapping answers with
// its own code, sockets and exclusions as a sharing violation (rule NAT-33).
func portTaken(u portUse, held vfp.Use) error {
	code := hcn.ErrSharingViolation
	if held == vfp.StaticUse {
		code = hcn.ErrPortAlreadyExists
	}
	return hcn.Errorf(code, "port %d of protocol %d is held as %s", u.port, u.proto, held)
}

// openPools reserves the first block of each pool: without one the policy
// cannot be programmed (rule L2B-23).
func (p *pools) openPools(owner uint64, want *endpointNAT) error {
	open := func(proto uint8) (*vfp.NATPool, error) {
		pool, err := vfp.NewNATPool(p.space(want.out.To), proto, owner, want.max, p.block)
		if err != nil {
			return nil, &hcn.Error{Code: hcn.ErrPortAlreadyExists, Detail: err.Error()}
		}
		p.undo = append(p.undo, pool.Close)
		return pool, nil
	}
	var err error
	if want.out.TCP, err = open(wire.ProtoTCP); err != nil {
		return err
	}
	if want.out.UDP, err = open(wire.ProtoUDP); err != nil {
		return err
	}
	if want.out.ICMP {
		want.out.ICMPPool, err = open(wire.ProtoICMP)
	}
	return err
}

func closePools(o *snat.Outbound) func() {
	return func() {
		for _, pool := range []*vfp.NATPool{o.TCP, o.UDP, o.ICMPPool} {
			if pool != nil {
				pool.Close()
			}
		}
	}
}

func (p *pools) releaser(num uint32) func() {
	old, owner := p.byEP[num], uint64(EndpointPort(num))
	return func() {
		if old.out != nil {
			closePools(old.out)()
		}
		for _, u := range old.uses {
			p.unpublish(u, owner)
		}
	}
}

// layer is the NAT layer of an endpoint's port, if it has any policy that
// needs one. routed names destinations that outbound NAT must leave alone,
// leave packets that a load balancer translates.
func (p *pools) layer(e *Endpoint, routed func(netip.Addr) bool, leave func(*vfp.Walk) bool) []vfp.Layer {
	h, changes := p.pending[e.Num]
	if !changes {
		h = p.byEP[e.Num]
	}
	if h == nil || h.out == nil && len(h.maps) == 0 {
		return nil
	}
	var out *snat.Outbound
	if h.out != nil {
		o := *h.out
		o.Routed, o.Leave = routed, leave
		out = &o
	}
	return []vfp.Layer{snat.Layer(out, h.maps)}
}

func newPools(host *vfp.PortSpace, profile hcn.Profile, adapters []Adapter) pools {
	p := pools{
		host: host, virtual: map[netip.Addr]*vfp.PortSpace{}, byEP: map[uint32]*endpointNAT{},
		lb:        balancerPools{shared: profile.Knobs.LBSharedPools, block: profile.Knobs.VFPPortBlock, byOwner: map[uint64]*balancerPool{}},
		published: map[heldPort][]publication{},
		icmp:      profile.Knobs.VFPICMPNAT, block: profile.Knobs.VFPPortBlock, overlay: profile.Knobs.OverlayOutbound, idle: int64(profile.Knobs.VFPNATIdle),
	}
	for _, a := range adapters {
		for _, pfx := range a.Addrs {
			p.hostIPs = append(p.hostIPs, pfx.Addr())
		}
	}
	return p
}

// localVIPs are the VFP-published ports that the host may use itself.
func (p *pools) localVIPs() []fabric.LocalVIP {
	var out []fabric.LocalVIP
	for _, num := range slices.Sorted(maps.Keys(p.pending)) {
		out = append(out, p.pending[num].local...)
	}
	return out
}
