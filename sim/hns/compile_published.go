package hns

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
)

// heldPort is a port of a host: one for all its addresses.
type heldPort struct {
	space *vfp.PortSpace
	proto uint8
	port  uint16
}

// publication is the use of a held port at one address; an invalid address
// stands for all.
type publication struct {
	addr  netip.Addr
	owner uint64
}

// publish takes a host port for one address. Windows knows who holds a port,
// not at which address; HNS publishes a port at two addresses all the same, so
// that all publications of a port hold it together, in the name of the first.
func (p *pools) publish(u portUse, owner uint64) error {
	sp := p.space(u.addr)
	k := heldPort{sp, u.proto, u.port}
	held := p.published[k]
	if len(held) == 0 {
		if use := sp.Reserve(u.proto, u.port, vfp.StaticUse, owner); use != vfp.Free {
			return portTaken(u, use)
		}
	}
	for _, o := range held {
		sameAddr := !o.addr.IsValid() || !u.addr.IsValid() || o.addr == u.addr
		if sameAddr && o.owner != owner {
			return portTaken(u, vfp.StaticUse)
		}
	}
	p.published[k] = append(slices.Clip(held), publication{u.addr, owner})
	return nil
}

// unpublish gives a publication up; the port is free when it was the last.
func (p *pools) unpublish(u portUse, owner uint64) {
	sp := p.space(u.addr)
	k := heldPort{sp, u.proto, u.port}
	at := slices.Index(p.published[k], publication{u.addr, owner})
	if at < 0 {
		return
	}
	rest := slices.Delete(slices.Clone(p.published[k]), at, at+1)
	if p.published[k] = rest; len(rest) == 0 {
		delete(p.published, k)
	}
	if at == 0 {
		sp.Release(u.proto, u.port, owner)
		if len(rest) > 0 {
			sp.Reserve(u.proto, u.port, vfp.StaticUse, rest[0].owner)
		}
	}
}

// publisher names who has published a port at an address.
func (p *pools) publisher(sp *vfp.PortSpace, addr netip.Addr, proto uint8, port uint16) (uint64, bool) {
	for _, o := range p.published[heldPort{sp, proto, port}] {
		if o.addr == addr || !o.addr.IsValid() {
			return o.owner, true
		}
	}
	return 0, false
}
