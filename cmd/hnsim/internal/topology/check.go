package topology

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/hnsim/hnsim/sim/fabric"
)

// node is a host, a router or an external machine, with its place in the file.
type node struct {
	path, name string
	ifaces     []fabric.IfaceConfig
	at         []string // the path of each interface
	routes     []fabric.Route
}

func (t *Topology) nodes() (list []node) {
	add := func(kind string, i int, c *fabric.NodeConfig) {
		n := node{path: fmt.Sprintf("%s[%d]", kind, i), name: c.Name, ifaces: c.Ifaces, routes: c.Routes}
		for k := range c.Ifaces {
			n.at = append(n.at, fmt.Sprintf("%s.interfaces[%d]", n.path, k))
		}
		list = append(list, n)
	}
	for i, h := range t.Hosts {
		path := fmt.Sprintf("hosts[%d]", i)
		nic := fabric.IfaceConfig{Segment: h.Segment, VLAN: h.VLAN, MAC: h.MAC, Addrs: h.Addrs, Gateway: h.Gateway}
		list = append(list, node{path, h.Name, []fabric.IfaceConfig{nic}, []string{path}, h.Routes})
	}
	for i := range t.Routers {
		add("routers", i, &t.Routers[i])
	}
	for i := range t.Externals {
		add("externals", i, &t.Externals[i].NodeConfig)
	}
	return list
}

// checker looks for worlds that cannot be: the model would build them, and
// packets would then go astray without a reason.
type checker struct {
	t    *Topology
	err  error
	name string            // of the node
	seen map[string]string // what must be the only one, with the node that has it
}

// check returns the first thing that cannot be.
func (t *Topology) check() error {
	c := &checker{t: t, seen: map[string]string{}}
	for _, n := range t.nodes() {
		c.node(&n)
	}
	return c.err
}

func (c *checker) fail(path, format string, args ...any) {
	if c.err == nil {
		c.err = c.t.at(path, fmt.Errorf(format, args...))
	}
}

// node checks the interfaces of a node, and what they have in common.
func (c *checker) node(n *node) {
	c.name = n.name
	if strings.ContainsFunc(n.name, notOfNames) {
		c.fail(n.path+".name", "found %q, expected a name of letters, digits, dots, hyphens and underscores", n.name)
	}
	c.unique(n.path+".name", "", n.name)
	var own []netip.Prefix
	for k, i := range n.ifaces {
		for j, p := range i.Addrs {
			c.address(fmt.Sprintf("%s.ip[%d]", n.at[k], j), &i, p)
		}
		if i.MAC.IsMulticast() {
			c.fail(n.at[k]+".mac", "found %s, which is the address of a group: expected one of a machine, such as 00-15-5D-00-00-01", i.MAC)
		}
		if !i.MAC.IsZero() {
			c.unique(n.at[k]+".mac", "", i.MAC)
		}
		own = append(own, i.Addrs...)
	}
	for k, i := range n.ifaces {
		if i.Gateway.IsValid() {
			c.neighbour(n.at[k]+".gw", i.Gateway, own)
		}
	}
	for k, r := range n.routes {
		if !r.Via.IsUnspecified() {
			c.neighbour(fmt.Sprintf("%s.route[%d].via", n.path, k), r.Via, own)
		}
	}
}

func notOfNames(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r)
}

// address wants one that a machine can have, and that no other one has.
func (c *checker) address(path string, i *fabric.IfaceConfig, p netip.Prefix) {
	a := p.Addr()
	what := ""
	switch {
	case a.IsLoopback():
		what = "a loopback address"
	case a.IsMulticast():
		what = "a multicast address"
	case a.IsUnspecified():
		what = "the address that stands for none"
	case a.Is4() && p.Bits() < 31 && a == p.Masked().Addr():
		what = "the address of the network " + p.Masked().String()
	case a.Is4() && p.Bits() < 31 && a == broadcast(p):
		what = "the broadcast address of " + p.Masked().String()
	}
	if what != "" {
		c.fail(path, "found %s, which is %s: expected an address of a machine, such as 10.0.0.1/24", p, what)
		return
	}
	c.unique(path, fmt.Sprintf(" on segment %s, VLAN %d", orLAN(i.Segment), i.VLAN), a)
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// unique wants a value that no node has in the same scope.
func (c *checker) unique(path, scope string, value any) {
	key := fmt.Sprintf("%T %v%s", value, value, scope)
	if first, ok := c.seen[key]; ok {
		c.fail(path, "found %v, which %s has already%s: expected one of its own", value, first, scope)
		return
	}
	c.seen[key] = c.name
}

// neighbour wants an address that the node reaches without a router.
func (c *checker) neighbour(path string, a netip.Addr, own []netip.Prefix) {
	for _, p := range own {
		if p.Addr() == a {
			c.fail(path, "found %s, which is the node's own address: expected a router's", a)
			return
		}
		if p.Contains(a) || a.Is6() && a.IsLinkLocalUnicast() {
			return
		}
	}
	c.fail(path, "found %s, which is in no subnet of the node: expected an address in %s", a, networks(own))
}

// networks shows the subnets of a node.
func networks(own []netip.Prefix) string {
	var list []string
	for _, p := range own {
		list = append(list, p.Masked().String())
	}
	return strings.Join(list, " or ")
}
