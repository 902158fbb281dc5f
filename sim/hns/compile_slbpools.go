package hns

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// balancerOwner is where the owners of load balancers begin in the port space;
// below are switch ports.
const balancerOwner = uint64(1) << 40

// maxSharedPorts bounds a pool that many load balancers share: it is the
// dynamic range that ends its growth.
const maxSharedPorts = 1 << 14

// balancerPools are the SNAT pools of load balancers without DSR, and the node
// ports that load balancers hold. Pools are blocks of the host's ports whatever
// address they translate to (rules LB-02, LB-04).
type balancerPools struct {
	shared    bool // knob lbSharedPools (D-30)
	block     int  // knob vfpPortBlock
	lastOwner uint64

	pools   map[poolKey]*balancerPool
	byOwner map[uint64]*balancerPool // every pool that has not been closed
	ports   map[portUse]uint64       // node ports and who holds them
	pending *balancerHoldings        // of the state being compiled
}

type balancerHoldings struct {
	pools map[poolKey]*balancerPool
	ports map[portUse]uint64
}

// poolKey names a pool over time. Flows of two switches share none: uplink.
type poolKey struct {
	uplink   string
	balancer uint32 // 0: shared
	to       netip.Addr
	proto    uint8
}

type balancerPool struct {
	*vfp.NATPool
	owner uint64
	to    netip.Addr
}

func (b *balancerPools) current() map[poolKey]*balancerPool {
	if b.pending != nil {
		return b.pending.pools
	}
	return b.pools
}

func (b *balancerPools) key(n *Network, l *LoadBalancer, to netip.Addr, proto uint8) poolKey {
	k := poolKey{uplink: n.Uplink, to: to, proto: proto}
	if !b.shared {
		k.balancer = l.Num
	}
	return k
}

// sources are the addresses that load balancers translate to, ascending.
func (b *balancerPools) sources() []netip.Addr {
	var out []netip.Addr
	for _, p := range b.current() {
		out = append(out, p.to)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

func (b *balancerPools) commit() {
	b.pools, b.ports, b.pending = b.pending.pools, b.pending.ports, nil
}

func (b *balancerPools) rollback() { b.pending = nil }

func (b *balancerPools) close(p *balancerPool) {
	p.Close()
	delete(b.byOwner, p.owner)
}

// balancerPool is the load balancers' pool that a port of addr belongs to.
func (p *pools) balancerPool(addr netip.Addr, proto uint8, port uint16) *balancerPool {
	if len(p.lb.byOwner) == 0 {
		return nil
	}
	own, use, ok := p.host.OwnerOf(proto, port)
	if !ok || use != vfp.VFPUse || own < balancerOwner {
		return nil
	}
	if pool := p.lb.byOwner[own]; pool != nil && pool.to == addr {
		return pool
	}
	return nil
}

// lost reports whether a packet is for a pool port that no flow holds.
func (p *pools) lost(w *vfp.Walk) bool {
	if !w.H.Dst.IsValid() {
		return false
	}
	proto, port := vfp.NATPort(&w.H, w.Frame, w.Meta)
	pool := p.balancerPool(w.H.Dst, proto, port)
	if pool == nil {
		return false
	}
	_, held := pool.Holder(w.Now, port)
	return !held
}

// reconcileBalancers reserves what the load balancers of s need beyond what is
// held, and returns what to release when that is final.
func (p *pools) reconcileBalancers(s *State) (release []func(), err error) {
	next := &balancerHoldings{pools: map[poolKey]*balancerPool{}, ports: map[portUse]uint64{}}
	p.lb.pending = next
	for _, l := range s.LoadBalancers {
		n := s.NetworkByNum(l.Network)
		if n == nil || !balances(n) || len(l.Endpoints) == 0 {
			continue
		}
		if err := p.openBalancer(n, l); err != nil {
			return nil, err
		}
		if err := p.holdNodePorts(l); err != nil {
			return nil, err
		}
	}
	for k, pool := range p.lb.pools {
		if next.pools[k] == nil {
			release = append(release, func() { p.lb.close(pool) })
		}
	}
	for u, own := range p.lb.ports {
		if next.ports[u] != own {
			release = append(release, func() { p.host.Release(u.proto, u.port, own) })
		}
	}
	return release, nil
}

// openBalancer finds or opens the pools of a load balancer without DSR; that
// there is no block left is the caller's error (rule L2B-23).
func (p *pools) openBalancer(n *Network, l *LoadBalancer) error {
	if l.DSR {
		return nil
	}
	for _, f := range p.frontendVIPs(l) {
		to := p.sourceOf(n, l, f.vip)
		if !to.IsValid() {
			continue // no address of that family here: nothing can be balanced
		}
		k := p.lb.key(n, l, to, uint8(f.proto))
		if p.lb.pending.pools[k] != nil {
			continue
		}
		pool := p.lb.pools[k]
		if pool == nil {
			var err error
			if pool, err = p.newBalancerPool(k); err != nil {
				return err
			}
		}
		p.lb.pending.pools[k] = pool
	}
	return nil
}

func (p *pools) newBalancerPool(k poolKey) (*balancerPool, error) {
	limit := p.lb.block
	if k.balancer == 0 {
		limit = maxSharedPorts
	}
	p.lb.lastOwner++
	owner := balancerOwner + p.lb.lastOwner
	pool, err := vfp.NewNATPool(p.host, k.proto, owner, limit, p.lb.block)
	if err != nil {
		return nil, &hcn.Error{Code: hcn.ErrPortAlreadyExists, Detail: "SNAT pool of the load balancer: " + err.Error()}
	}
	b := &balancerPool{pool, owner, k.to}
	p.lb.byOwner[owner] = b
	p.undo = append(p.undo, func() { p.lb.close(b) })
	return b, nil
}

// holdNodePorts keeps sockets off the ports that a load balancer without VIPs
// takes on the host's own addresses (contract 8.1).
func (p *pools) holdNodePorts(l *LoadBalancer) error {
	if len(l.Doc.FrontendVIPs) > 0 {
		return nil
	}
	owner := balancerOwner | uint64(l.Num)<<16 // apart from pools by the use of the port
	for _, m := range l.Doc.PortMappings {
		u := portUse{proto: uint8(m.Protocol), port: m.ExternalPort}
		p.lb.pending.ports[u] = owner
		if _, held := p.lb.ports[u]; held {
			continue
		}
		if held := p.host.Reserve(u.proto, u.port, vfp.StaticUse, owner); held != vfp.Free {
			return portTaken(u, held)
		}
		p.undo = append(p.undo, func() { p.host.Release(u.proto, u.port, owner) })
	}
	return nil
}

// frontendVIPs are the frontends of a load balancer with the host's own
// addresses in place of none (NodePort).
func (p *pools) frontendVIPs(l *LoadBalancer) []frontend {
	var out []frontend
	for _, f := range frontends(l.Doc) {
		if f.vip.IsValid() {
			out = append(out, f)
			continue
		}
		for _, a := range p.hostIPs {
			if a.Is6() == (l.Doc.Flags&hcn.LBIPv6 != 0) {
				out = append(out, frontend{a, f.proto, f.port})
			}
		}
	}
	return out
}

// sourceOf is the address that clients of vip appear as without DSR: the
// SourceVIP of the document, else the node's (rules LB-02, OV-25: kube-proxy
// chooses the node's for backends that are nodes or public).
func (p *pools) sourceOf(n *Network, l *LoadBalancer, vip netip.Addr) netip.Addr {
	if a, err := netip.ParseAddr(l.Doc.SourceVIP); err == nil && a.Is6() == vip.Is6() {
		return a
	}
	if node := p.nodeIP(n); node.IsValid() && node.Is6() == vip.Is6() {
		return node
	}
	for _, a := range p.hostIPs {
		if a.Is6() == vip.Is6() {
			return a
		}
	}
	return netip.Addr{}
}
