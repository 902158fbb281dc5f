package topology

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Parse reads the text of a file; name is for errors, which say where they are
// and what was expected.
func Parse(name string, text []byte) (*Topology, error) {
	r := &reader{name: name, src: text}
	doc := r.document()
	if r.err != nil {
		return nil, r.err
	}
	t := &Topology{Knobs: map[string]string{}, at: r.at}
	nodes := map[string]bool{}
	r.object("", doc, fields{
		"profile": func(path string, v any) {
			r.text(&t.Profile)(path, v)
			if _, err := hcn.ProfileByName(t.Profile); err != nil {
				r.fail(path, "%w", err)
			}
		},
		"seed": func(path string, v any) {
			t.Seed = new(uint64)
			number(r, t.Seed, 0, math.MaxUint64)(path, v)
		},
		"knobs": func(path string, v any) { r.knobs(path, v, t.Knobs) },
		"hosts": func(path string, v any) {
			r.each(path, v, func(p string, v any) { t.Hosts = append(t.Hosts, r.host(p, v, nodes)) })
		},
		"routers": func(path string, v any) {
			r.each(path, v, func(p string, v any) { t.Routers = append(t.Routers, r.router(p, v, nodes)) })
		},
		"externals": func(path string, v any) {
			r.each(path, v, func(p string, v any) { t.Externals = append(t.Externals, r.external(p, v, nodes)) })
		},
		"links": func(path string, v any) {
			r.each(path, v, func(p string, v any) { t.Links = append(t.Links, r.link(p, v)) })
		},
		"containers": func(path string, v any) {
			r.each(path, v, func(p string, v any) {
				var id string
				r.text(&id)(p, v)
				t.Containers = append(t.Containers, id)
			})
		},
	})
	if len(t.Hosts) == 0 {
		r.fail("", `there is no host: expected "hosts": [{"name": "h1", "ip": ["10.0.0.1/24"]}]`)
	}
	// Keys are read in the order of the alphabet, links before some nodes.
	for i := range t.Links {
		if l := &t.Links[i]; !nodes[l.Node] {
			r.fail(fmt.Sprintf("links[%d].node", i), "there is no node %q: expected %s", l.Node, strings.Join(slices.Sorted(maps.Keys(nodes)), ", "))
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return t, t.check()
}

func (r *reader) knobs(path string, v any, to map[string]string) {
	m, ok := v.(map[string]any)
	if !ok {
		r.expected(path, v, "an object with a text for each knob")
	}
	knobs := hcn.MustProfile(hcn.DefaultProfile).Knobs
	for _, name := range slices.Sorted(maps.Keys(m)) {
		var value string
		r.text(&value)(path+"."+name, m[name])
		if err := knobs.Set(name, value); err != nil {
			r.fail(path+"."+name, "%w", err)
		}
		to[name] = value
	}
}

// nodeName reads a name that no other node has.
func (r *reader) nodeName(to *string, nodes map[string]bool) func(string, any) {
	return func(path string, v any) {
		r.text(to)(path, v)
		if nodes[*to] {
			r.fail(path, "there is a node %q already", *to)
		}
		nodes[*to] = true
	}
}

func (r *reader) routes(to *[]fabric.Route) func(string, any) {
	return func(path string, v any) {
		r.each(path, v, func(path string, v any) {
			var rt fabric.Route
			r.object(path, v, fields{
				"to":  func(path string, v any) { rt.Dst = r.prefix(path, v).Masked() },
				"via": r.addr(&rt.Via),
			})
			if !rt.Dst.IsValid() || !rt.Via.IsValid() {
				r.expected(path, v, `{"to": "10.9.0.0/16", "via": "10.0.0.9"}`)
			}
			*to = append(*to, rt)
		})
	}
}

const minMTU, maxMTU = 576, 65535

func (r *reader) host(path string, v any, nodes map[string]bool) (h Host) {
	r.object(path, v, fields{
		"name": r.nodeName(&h.Name, nodes), "ip": r.prefixes(&h.Addrs), "mac": r.mac(&h.MAC), "gw": r.addr(&h.Gateway),
		"segment": r.text(&h.Segment), "nic": r.text(&h.Adapter), "mtu": number(r, &h.MTU, minMTU, maxMTU),
		"vlan": number(r, &h.VLAN, 0, 4094), "route": r.routes(&h.Routes),
		"outer": func(path string, v any) {
			h.Outer = &fabric.OuterConfig{}
			r.object(path, v, fields{
				"spoofing": r.flag(&h.Outer.MACSpoofing),
				"cas": func(path string, v any) {
					r.each(path, v, func(path string, v any) {
						var a netip.Addr
						r.addr(&a)(path, v)
						h.Outer.CAs = append(h.Outer.CAs, a)
					})
				},
			})
		},
	})
	if h.Name == "" || len(h.Addrs) == 0 {
		r.fail(path, `expected "name" and "ip", such as {"name": "h1", "ip": ["10.0.0.1/24"]}`)
	}
	return h
}

func (r *reader) interfaces(to *[]fabric.IfaceConfig) func(string, any) {
	return func(path string, v any) {
		r.each(path, v, func(path string, v any) {
			var i fabric.IfaceConfig
			r.object(path, v, fields{
				"nic": r.text(&i.Name), "segment": r.text(&i.Segment), "ip": r.prefixes(&i.Addrs), "mac": r.mac(&i.MAC),
				"gw": r.addr(&i.Gateway), "mtu": number(r, &i.MTU, minMTU, maxMTU), "vlan": number(r, &i.VLAN, 0, 4094),
			})
			*to = append(*to, i)
		})
	}
}

// checkNode wants a name and interfaces with addresses.
func (r *reader) checkNode(path string, c *fabric.NodeConfig) {
	ok := c.Name != "" && len(c.Ifaces) > 0
	for _, i := range c.Ifaces {
		ok = ok && len(i.Addrs) > 0
	}
	if !ok {
		r.fail(path, `expected "name" and "interfaces", such as {"name": "r", "interfaces": [{"segment": "lan", "ip": ["10.0.0.1/24"]}]}`)
	}
}

func (r *reader) router(path string, v any, nodes map[string]bool) (c fabric.NodeConfig) {
	r.object(path, v, fields{
		"name": r.nodeName(&c.Name, nodes), "interfaces": r.interfaces(&c.Ifaces), "route": r.routes(&c.Routes),
	})
	r.checkNode(path, &c)
	return c
}

func (r *reader) external(path string, v any, nodes map[string]bool) (x External) {
	answers := true
	pool := [2]netip.Addr{}
	r.object(path, v, fields{
		"name": r.nodeName(&x.Name, nodes), "interfaces": r.interfaces(&x.Ifaces), "route": r.routes(&x.Routes),
		"refuse": r.flag(&x.Refuse), "icmp": r.flag(&answers),
		"dhcp": parsed(r, &pool, parsePool, "the first and the last address of a pool, such as 10.0.0.100-10.0.0.200"),
	})
	x.First, x.Last, x.Mute = pool[0], pool[1], !answers
	r.checkNode(path, &x.NodeConfig)
	return x
}

func parsePool(s string) (pool [2]netip.Addr, err error) {
	lo, hi, ok := strings.Cut(s, "-")
	if !ok {
		return pool, errors.New("no pool")
	}
	if pool[0], err = netip.ParseAddr(lo); err == nil {
		pool[1], err = netip.ParseAddr(hi)
	}
	return pool, err
}

func (r *reader) link(path string, v any) (l Link) {
	r.object(path, v, fields{
		"node": r.text(&l.Node), "nic": r.text(&l.NIC), "delay": r.duration(&l.Delay), "loss": r.share(&l.Loss), "reorder": r.share(&l.Reorder),
		"rate": number(r, &l.RateBPS, 1, math.MaxInt64), "mtu": number(r, &l.MTU, minMTU, maxMTU), "down": r.flag(&l.Down),
	})
	if l.Node == "" {
		r.fail(path, `expected "node", the name of a host, router or external`)
	}
	return l
}
