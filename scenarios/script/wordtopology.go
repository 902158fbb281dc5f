package script

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

var topologyWords = []*word{
	{
		name: "host", group: "Topology",
		args:    "NAME ip=PREFIX... [mac=MAC] [gw=ADDR] [segment=NAME] [mtu=N] [vlan=ID] [route=PREFIX,VIA]... [nic=NAME ...] [on=PHYSICAL] [outer.KEY=VALUE]...",
		summary: "declare a Windows container host",
		detail: []string{
			"The host has one NIC, \"Ethernet\", on segment lan. nic=NAME begins a further NIC; the options behind it are that NIC's. Without gw= the gateway is the router of the segment, if there is one.",
			"outer.KEY=VALUE puts the host, as a virtual machine, on a port of an outer switch: outer.spoofing=off, outer.intercept=PORT for a machine whose own overlay takes that UDP port, or outer.cas=ADDR,ADDR for a tenant network's switch that knows these addresses as the machine's. Its drops are the host's. The wire of the host is then the one between the two switches.",
			"on=PHYSICAL makes the host a virtual machine of a tenant network on that physical host; its gateway is then the first address of its subnet.",
			"Defines ${ip:NAME}, ${ip6:NAME} and, if mac= is given, ${mac:NAME}.",
		},
		example: "host h1 ip=10.127.130.35/24 mac=00-15-5D-82-00-23",
		parse:   func(p *parser) op { return parseNode(p, backends.HostNode, hostKind) },
	},
	{
		name: "external", group: "Topology",
		args:    "NAME ip=PREFIX... [mac=MAC] [gw=ADDR] [segment=NAME] [mtu=N] [vlan=ID] [route=PREFIX,VIA]... [on=PHYSICAL] [opt.KEY=VALUE]...",
		summary: "declare a plain IP host outside",
		detail:  []string{"on=PHYSICAL makes it a virtual machine of a tenant network.", "opt.KEY=VALUE switches on what the backend offers: opt.dhcp=FIRST-LAST serves these addresses, opt.refuse=on lets closed ports answer, opt.icmp=off leaves echo requests unanswered.", "Defines ${ip:NAME}, ${ip6:NAME} and, if mac= is given, ${mac:NAME}."},
		example: "external x ip=203.0.113.80/24 segment=wan gw=203.0.113.1",
		parse:   func(p *parser) op { return parseNode(p, backends.ExternalNode, externalKind) },
	},
	{
		name: "router", group: "Topology",
		args:    "NAME SEGMENT=PREFIX... [mac.SEGMENT=MAC]... [mtu.SEGMENT=N]... [vlan.SEGMENT=ID]... [route=PREFIX,VIA]... [opt.KEY=VALUE]...",
		summary: "declare an IP router with one interface per segment",
		detail:  []string{"A segment that is named twice gets a second address."},
		example: "router r lan=10.127.130.1/24 wan=203.0.113.1/24 mac.lan=00-00-5E-00-01-01",
		parse:   parseRouter,
	},
	{
		name: "link", group: "Topology",
		args:    "NODE [nic=NAME] [delay=TIME] [loss=SHARE] [reorder=SHARE] [rate=BITS] [mtu=N] [down|up]",
		summary: "impair the wire of a node's NIC",
		detail:  []string{"Settings stay until they are changed. Loss and reordering come from the seed. reorder delays that share of frames by one more delay. A link whose routers or hosts differ in MTU drops what does not fit."},
		example: "link h1 delay=2ms loss=1%",
		acts:    true, needs: []string{"capability:impairments"},
		parse: parseLink,
	},
}

// node options that hosts, routers and externals share.
func routeAttr(n *backends.Node) attr {
	return attr{name: "route", many: true, set: func(v string) error {
		dst, via, ok := strings.Cut(v, ",")
		if !ok {
			return fmt.Errorf("found %s, expected PREFIX,VIA", quoteShort(v))
		}
		prefix, err := parsePrefix(dst)
		if err != nil {
			return err
		}
		addr, err := parseAddr(via)
		n.Routes = append(n.Routes, backends.Route{Dst: prefix.Masked(), Via: addr})
		return err
	}}
}

func toMap(dst *map[string]string) func(string) error {
	return func(v string) error {
		key, value, _ := strings.Cut(v, "=")
		if *dst == nil {
			*dst = map[string]string{}
		}
		if _, ok := (*dst)[key]; ok {
			return fmt.Errorf("%s is given twice", key)
		}
		(*dst)[key] = value
		return nil
	}
}

func parseNode(p *parser, nk backends.NodeKind, k kind) op {
	n := backends.Node{Kind: nk, Name: p.next("the name"), Ifaces: []backends.Iface{{}}}
	iface := func() *backends.Iface { return &n.Ifaces[len(n.Ifaces)-1] }
	on := func(set func(i *backends.Iface, v string) error) func(string) error {
		return func(v string) error { return set(iface(), v) }
	}
	attrs := []attr{
		{name: "ip", many: true, set: on(func(i *backends.Iface, v string) error {
			prefix, err := parsePrefix(v)
			i.Addrs = append(i.Addrs, prefix)
			return err
		})},
		{name: "mac", many: true, set: on(func(i *backends.Iface, v string) error { return toMAC(&i.MAC)(v) })},
		{name: "gw", many: true, set: on(func(i *backends.Iface, v string) error { return toAddr(&i.Gateway)(v) })},
		{name: "segment", many: true, set: on(func(i *backends.Iface, v string) error { i.Segment = v; return checkName(v) })},
		{name: "mtu", many: true, set: on(func(i *backends.Iface, v string) error { return toUint(&i.MTU, 65535)(v) })},
		{name: "vlan", many: true, set: on(func(i *backends.Iface, v string) error { return toUint(&i.VLAN, 4094)(v) })},
		{name: "nic", many: true, set: func(v string) error {
			if len(iface().Addrs) > 0 || iface().Name != "" {
				n.Ifaces = append(n.Ifaces, backends.Iface{})
			}
			iface().Name = v
			return nil
		}},
		routeAttr(&n),
	}
	if k == hostKind {
		attrs = append(attrs, attr{name: "outer.", many: true, set: toMap(&n.Outer)})
	}
	attrs = append(attrs, onAttr(p, &n), attr{name: "opt.", many: true, set: toMap(&n.Options)})
	p.attributes(nil, attrs...)
	if p.err == nil && len(n.Ifaces[0].Addrs) == 0 {
		p.errorf("%s %s has no address: expected ip=10.0.0.1/24", k, n.Name)
	}
	if len(n.Outer) > 0 && p.err == nil {
		p.sc.need("capability:outer-switch")
	}
	return declareNode(p, n, k)
}

func declareNode(p *parser, n backends.Node, k kind) op {
	if p.err != nil {
		return nil
	}
	p.check(p.sc.declareRole(n.Name, &name{kind: k, host: n.Name}))
	first := n.Ifaces[0]
	if !first.MAC.IsZero() {
		p.sc.vars["mac:"+n.Name] = first.MAC.String()
	}
	p.sc.setAddrs(n.Name, first.Addrs)
	return func(r *run) error { return r.harness(r.world.AddNode(r.ctx, n)) }
}

// setAddrs defines ${ip:NAME} and ${ip6:NAME} as the first address of each
// version.
func (s *scope) setAddrs(who string, addrs []netip.Prefix) {
	for _, a := range addrs {
		v := "ip:" + who
		if a.Addr().Is6() {
			v = "ip6:" + who
		}
		if _, ok := s.vars[v]; !ok {
			s.vars[v] = a.Addr().String()
		}
	}
}

func parseRouter(p *parser) op {
	n := backends.Node{Kind: backends.RouterNode, Name: p.next("the name")}
	segment := func(name string) *backends.Iface {
		for i := range n.Ifaces {
			if n.Ifaces[i].Segment == name {
				return &n.Ifaces[i]
			}
		}
		return nil
	}
	known := func(set func(i *backends.Iface, v string) error) func(string) error {
		return func(kv string) error {
			name, v, _ := strings.Cut(kv, "=")
			i := segment(name)
			if i == nil {
				return fmt.Errorf("the router has no interface on segment %s so far", quoteShort(name))
			}
			return set(i, v)
		}
	}
	attrs := []attr{
		routeAttr(&n),
		{name: "opt.", many: true, set: toMap(&n.Options)},
		{name: "mac.", many: true, set: known(func(i *backends.Iface, v string) error { return toMAC(&i.MAC)(v) })},
		{name: "mtu.", many: true, set: known(func(i *backends.Iface, v string) error { return toUint(&i.MTU, 65535)(v) })},
		{name: "vlan.", many: true, set: known(func(i *backends.Iface, v string) error { return toUint(&i.VLAN, 4094)(v) })},
	}
	seen := map[string]bool{}
	for p.more() {
		text := p.next("")
		name, value, ok := strings.Cut(text, "=")
		if !ok || findAttr(attrs, name) != nil {
			p.attribute(text, attrs, seen)
			continue
		}
		prefix, err := parsePrefix(value)
		if err == nil {
			err = checkName(name)
		}
		if err != nil {
			p.errorf("segment %s: %w", name, err)
			break
		}
		if i := segment(name); i != nil {
			i.Addrs = append(i.Addrs, prefix)
			continue
		}
		n.Ifaces = append(n.Ifaces, backends.Iface{Name: name, Segment: name, Addrs: []netip.Prefix{prefix}})
	}
	if p.err == nil && len(n.Ifaces) == 0 {
		p.errorf("router %s has no interface: expected lan=10.0.0.1/24", n.Name)
	}
	return declareNode(p, n, routerKind)
}

func parseLink(p *parser) op {
	node, _ := p.role("the node", nodeKinds...)
	// What the line names is applied to the link as it is when the line runs.
	var changes []func(*backends.Link)
	var l backends.Link
	nic := ""
	up := false
	set := func(parse func(string) error, apply func(*backends.Link)) func(string) error {
		return func(v string) error { changes = append(changes, apply); return parse(v) }
	}
	p.attributes(nil,
		attr{name: "nic", set: toString(&nic)},
		attr{name: "delay", set: set(toDuration(&l.Delay), func(k *backends.Link) { k.Delay = l.Delay })},
		attr{name: "loss", set: set(toShare(&l.Loss), func(k *backends.Link) { k.Loss = l.Loss })},
		attr{name: "reorder", set: set(toShare(&l.Reorder), func(k *backends.Link) { k.Reorder = l.Reorder })},
		attr{name: "rate", set: set(toRate(&l.RateBps), func(k *backends.Link) { k.RateBps = l.RateBps })},
		attr{name: "mtu", set: set(toUint(&l.MTU, 65535), func(k *backends.Link) { k.MTU = l.MTU })},
		attr{name: "down", flag: true, set: set(toFlag(&l.Down), func(k *backends.Link) { k.Down = true })},
		attr{name: "up", flag: true, set: set(toFlag(&up), func(k *backends.Link) { k.Down = false })},
	)
	if p.err == nil && len(changes) == 0 {
		p.errorf("nothing to change; usage: %s %s", p.word.name, p.word.args)
	}
	return func(r *run) error {
		key := node + "/" + nic
		link := r.links[key]
		if link == nil {
			link = &backends.Link{Node: node, Iface: nic}
			r.links[key] = link
		}
		for _, change := range changes {
			change(link)
		}
		return r.harness(r.world.SetLink(r.ctx, *link))
	}
}
