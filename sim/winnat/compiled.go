package winnat

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/wire"
)

// compiled is a Config in the form that packets need. It does not change.
type compiled struct {
	Config
	nets     []net4
	static   []static
	byExt    numbers // extKey -> index in static + 1
	byInside numbers // inside key -> the same, of the lowest external port
}

type net4 struct{ addr, mask, gateway uint32 }

type static struct {
	proto       uint8
	localRouted bool
	closed      bool
	ext, port   uint16 // external and internal port
	vip, inside uint32 // vip 0: any address of the host
}

// compile validates and freezes c. Static mappings are sorted by protocol,
// external port and address, so that the order in which the control plane
// added them cannot be seen.
func compile(c *Config) (*compiled, error) {
	k := &compiled{Config: c.withDefaults()}
	if err := k.validate(); err != nil {
		return nil, err
	}
	for _, n := range k.Internal {
		k.nets = append(k.nets, net4{
			addr:    wire.Addr4(n.Prefix.Masked().Addr()),
			mask:    ^uint32(0) << (32 - n.Prefix.Bits()),
			gateway: wire.Addr4(n.Gateway),
		})
	}
	slices.SortStableFunc(k.nets, func(a, b net4) int { return cmp.Compare(b.mask, a.mask) })
	k.Internal = slices.Clone(k.Internal)
	k.Static = slices.Clone(k.Static)
	slices.SortStableFunc(k.Static, func(a, b StaticMapping) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.ExternalPort, b.ExternalPort), a.VIP.Compare(b.VIP))
	})
	for i, s := range k.Static {
		e := static{
			proto: s.Proto, localRouted: s.LocalRoutedVIP, closed: s.Closed,
			ext: s.ExternalPort, port: s.Internal.Port(),
			vip: wire.Addr4(s.VIP), inside: wire.Addr4(s.Internal.Addr()),
		}
		ek := extKey(e.proto, e.vip, e.ext)
		if j := k.byExt.get(ek); j != 0 {
			return nil, fmt.Errorf("winnat: static mappings %v and %v have the same external port", k.Static[j-1], s)
		}
		k.static = append(k.static, e)
		k.byExt.put(ek, uint32(i+1))
		if ik := staticInsideKey(e.proto, e.inside, e.port); k.byInside.get(ik) == 0 {
			k.byInside.put(ik, uint32(i+1))
		}
	}
	return k, nil
}

func extKey(proto uint8, addr uint32, port uint16) wire.Key4 {
	return wire.MakeKey4(0, addr, 0, port, proto, 0)
}

func staticInsideKey(proto uint8, addr uint32, port uint16) wire.Key4 {
	return wire.MakeKey4(addr, 0, port, 0, proto, 0)
}

// published finds the static mapping of an external address and port: one for
// exactly this address before one for all.
func (c *compiled) published(proto uint8, addr uint32, port uint16) *static {
	i := c.publishedIndex(proto, addr, port)
	if i == 0 {
		return nil
	}
	return &c.static[i-1]
}

// publishedIndex is the index of published + 1, 0 if there is none.
func (c *compiled) publishedIndex(proto uint8, addr uint32, port uint16) uint32 {
	if i := c.byExt.get(extKey(proto, addr, port)); i != 0 {
		return i
	}
	return c.byExt.get(extKey(proto, 0, port))
}

// publishes reports whether a static mapping of any address uses the port, so
// that the dynamic ports stay clear of it.
func (c *compiled) publishes(proto uint8, port uint16) bool {
	i, _ := slices.BinarySearchFunc(c.static, static{proto: proto, ext: port}, func(s, t static) int {
		return cmp.Or(cmp.Compare(s.proto, t.proto), cmp.Compare(s.ext, t.ext))
	})
	return i < len(c.static) && c.static[i].proto == proto && c.static[i].ext == port
}

// publishedInside finds the static mapping of an internal address and port,
// the one with the lowest external port if there are several.
func (c *compiled) publishedInside(proto uint8, addr uint32, port uint16) *static {
	i := c.byInside.get(staticInsideKey(proto, addr, port))
	if i == 0 {
		return nil
	}
	return &c.static[i-1]
}

// netOf finds the internal network of an address: the longest prefix comes
// first.
func (c *compiled) netOf(addr uint32) *net4 {
	for i := range c.nets {
		if addr&c.nets[i].mask == c.nets[i].addr {
			return &c.nets[i]
		}
	}
	return nil
}

// mappingScope is how much of the remote end belongs to a mapping's identity
// (rule NAT-13).
func (c *compiled) mappingScope(addr uint32, port uint16) (uint32, uint16) {
	switch c.Mapping {
	case MapAddress:
		return addr, 0
	case MapAddressAndPort:
		return addr, port
	}
	return 0, 0
}

// filtering is the setting for the protocol. Replies to ICMP queries always
// need a session: the identifier and the remote address count (rule NAT-55).
func (c *compiled) filtering(proto uint8) Filtering {
	switch proto {
	case wire.ProtoTCP:
		return c.FilteringTCP
	case wire.ProtoUDP:
		return c.FilteringUDP
	}
	return FilterAddressAndPort
}

func addrPort(addr uint32, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(wire.AddrFrom4(addr), port)
}
