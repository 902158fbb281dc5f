package script

import (
	"net/netip"
	"slices"
	"strings"
)

// addFlow turns "A > B" into constraints on the fields that it means in the
// current layer: Ethernet addresses, ARP's protocol addresses, or IP addresses
// with ports.
func (p *patternParser) addFlow(f flowText) {
	if p.err != nil {
		return
	}
	for i, side := range []string{f.src, f.dst} {
		if side == "" || side == "*" {
			continue
		}
		switch p.layer {
		case "eth":
			p.field(p.prefix+[]string{"eth.src", "eth.dst"}[i], side)
		case "arp":
			p.field(p.prefix+[]string{"arp.spa", "arp.tpa"}[i], side)
		default:
			p.addEnd(i, side)
		}
	}
}

// addEnd takes one end of an IP flow.
func (p *patternParser) addEnd(i int, side string) {
	host, port, hasPort, err := splitHostPort(side)
	if err != nil {
		p.check(err)
		return
	}
	if host != "" && host != "*" {
		layer := p.family(host)
		p.field(p.prefix+layer+[]string{".src", ".dst"}[i], host)
	}
	if !hasPort || port == "*" {
		return
	}
	if p.layer != "" && !slices.Contains([]string{"udp", "tcp", "ip", "ip6", "vxlan", "dhcp"}, p.layer) {
		p.errorf("%s has no ports: found %s", p.layer, quoteShort(side))
		return
	}
	name := []string{"sport", "dport"}[i]
	ref := fieldRef{show: p.prefix + name, field: name, kind: numberField}
	for _, l := range []string{"udp", "tcp"} {
		if p.layer != "udp" && p.layer != "tcp" || p.layer == l {
			ref.layers = append(ref.layers, p.prefix+l)
		}
	}
	p.add(ref, port, port)
}

// family is the IP layer of an address, and an error if the pattern speaks of
// the other version.
func (p *patternParser) family(host string) string {
	text := strings.TrimPrefix(host, "!")
	text, _, _ = strings.Cut(text, "|")
	v6 := false
	if pre, err := netip.ParsePrefix(text); err == nil {
		v6 = pre.Addr().Is6()
	} else if a, err := parseAddr(text); err == nil {
		v6 = a.Is6()
	} else {
		p.check(err)
	}
	switch {
	case v6 && (p.layer == "ip" || p.layer == "icmp"):
		p.errorf("%s is an IPv6 address: write %s6", host, p.layer)
	case !v6 && (p.layer == "ip6" || p.layer == "icmp6" || p.layer == "nd"):
		p.errorf("%s is an IPv4 address, but %s is IPv6", host, p.layer)
	}
	if v6 {
		return "ip6"
	}
	return "ip"
}
