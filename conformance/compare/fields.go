package compare

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// field compares one field of a layer that both frames have.
func (f *framePair) field(layer string, l, r wire.Field) (reports.State, string) {
	prefix, base := splitLayer(layer)
	same := l.Value == r.Value
	if l.Name == "data" || l.Name == "options" {
		// The text of long data is cut.
		same = string(f.l.frame[l.Off:l.Off+l.Len]) == string(f.r.frame[r.Off:r.Off+r.Len])
	}
	switch base + "." + l.Name {
	case "eth.dst", "eth.src", "arp.sha", "arp.tha", "nd.sll", "nd.tll", "dhcp.chaddr":
		return f.mac(l.Value, r.Value)
	case "ip.src", "ip.dst", "arp.spa", "arp.tpa", "ip6.src", "ip6.dst", "nd.target", "nd.dest",
		"dhcp.ciaddr", "dhcp.yiaddr", "dhcp.siaddr", "dhcp.giaddr", "dhcp.requested", "dhcp.server", "dhcp.router":
		return f.addr(l.Value, r.Value)
	case "udp.sport", "udp.dport", "tcp.sport", "tcp.dport":
		if l.Name == "sport" && f.l.layer(prefix+"vxlan") != nil && base == "udp" {
			return f.entropy(prefix, l.Value, r.Value)
		}
		return f.port(prefix, base, l, r)
	case "nvgre.flow":
		return f.entropy(prefix, l.Value, r.Value)
	case "icmp.id", "icmp6.id":
		return f.echo(prefix, base, l.Value, r.Value)
	case "icmp.seq", "icmp6.seq":
		if !same && (f.fixed["echo-seq "+l.Value] || f.fixed["echo-seq "+r.Value]) {
			return reports.FieldDiffers, "one of them was asked for"
		}
		return f.mapped(normPorts, f.ping+"echo-seq "+prefix+f.l.value(prefix+base, "id"), l.Value, r.Value)
	case "ip.id", "frag.id":
		return f.ipID(prefix, base, l.Value, r.Value)
	case "tcp.seq", "tcp.ack":
		return f.seq(prefix, l, r)
	case "dhcp.xid":
		return f.mapped(normXID, "xid", l.Value, r.Value)
	}
	switch {
	case same:
		return reports.FieldSame, ""
	case base == "ip6" && l.Name == "label":
		return f.free(normLabel)
	case f.quotes && quoteMayDiffer(layer, l.Name):
		return f.free(normQuotes)
	case layer == "quoted.ip" && l.Name == "len" && f.quotes && f.l.layer("quoted.tcp") != nil && f.on(normTCP):
		return f.free(normTCP) // what is quoted is as long as its options made it
	case base == "tcp" && f.ofStack(l, r), l.Name == "len" && f.optionsApart(prefix, l.Value, r.Value):
		return f.free(normTCP)
	}
	return reports.FieldDiffers, ""
}

// free is a field that may differ in any way.
func (d *draft) free(name string) (reports.State, string) {
	if !d.on(name) {
		return reports.FieldDiffers, ""
	}
	d.use(name)
	return reports.FieldNormalised, name
}

// mapped is a field that must be the same thing on both sides, by one mapping.
func (d *draft) mapped(name, class, l, r string) (reports.State, string) {
	if l != r && !d.on(name) {
		return reports.FieldDiffers, ""
	}
	if why := d.pair(class, l, r); why != "" {
		return reports.FieldDiffers, why
	}
	if l == r {
		return reports.FieldSame, ""
	}
	d.use(name)
	return reports.FieldNormalised, name
}

func (d *draft) mac(l, r string) (reports.State, string) {
	ml, err1 := wire.ParseMAC(l)
	mr, err2 := wire.ParseMAC(r)
	group := ml.IsMulticast() || mr.IsMulticast()
	switch {
	case err1 != nil || err2 != nil || ml.IsZero() != mr.IsZero():
		return reports.FieldDiffers, ""
	case l == r && (group || ml.IsZero()):
		return reports.FieldSame, ""
	case group && solicitedMAC(ml) && solicitedMAC(mr):
		return d.mapped(normLinkLocal, "mac", l, r)
	case group:
		return reports.FieldDiffers, ""
	case l != r && (d.fixed["mac "+l] || d.fixed["mac "+r]):
		return reports.FieldDiffers, "one of them was asked for"
	}
	return d.mapped(normMACs, "mac", l, r)
}

// solicitedMAC is where neighbour solicitations for an address go.
func solicitedMAC(m wire.MAC) bool { return m[0] == 0x33 && m[1] == 0x33 && m[2] == 0xff }

// addr compares addresses: those made of MAC addresses go with these, those in
// a prefix that the service chose keep their place in it.
func (d *draft) addr(l, r string) (reports.State, string) {
	if l == r {
		return reports.FieldSame, ""
	}
	al, err1 := netip.ParseAddr(l)
	ar, err2 := netip.ParseAddr(r)
	switch {
	case err1 != nil || err2 != nil || al.Is4() != ar.Is4():
	case d.partners(addrClass, l, r), d.inSubnet(al) == ar && d.on(normAddrs):
		d.use(normAddrs)
		return reports.FieldNormalised, normAddrs
	case al.Is6() && fromMAC(al) && fromMAC(ar) && al.As16()[0] == ar.As16()[0]:
		return d.mapped(normLinkLocal, "addr", l, r)
	}
	return reports.FieldDiffers, ""
}

// inSubnet is where an address of the left side is on the right side.
func (d *draft) inSubnet(a netip.Addr) netip.Addr {
	for _, p := range d.subnets {
		if p.left.Contains(a) {
			return moved(a, p.right)
		}
	}
	return netip.Addr{}
}

// moved is the address with the same host part in another prefix.
func moved(a netip.Addr, to netip.Prefix) netip.Addr {
	b, base := a.AsSlice(), to.Masked().Addr().AsSlice()
	if len(b) != len(base) {
		return netip.Addr{}
	}
	for i := range b {
		mask := byte(0xff)
		switch n := to.Bits() - 8*i; {
		case n <= 0:
			mask = 0
		case n < 8:
			mask = ^byte(0xff >> n)
		}
		b[i] = b[i]&^mask | base[i]&mask
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}

// fromMAC reports whether an address is made of an interface's MAC address:
// link-local, solicited node, or EUI-64.
func fromMAC(a netip.Addr) bool {
	b := a.As16()
	solicited := netip.MustParsePrefix("ff02::1:ff00:0/104").Contains(a)
	return a.IsLinkLocalUnicast() || solicited || b[11] == 0xff && b[12] == 0xfe
}

// lowPorts are never ephemeral.
const lowPorts = 1024

func (f *framePair) port(prefix, proto string, l, r wire.Field) (reports.State, string) {
	side := map[string]string{"sport": "src", "dport": "dst"}[l.Name]
	la, ra := f.l.addr(prefix, side), f.r.addr(prefix, side)
	lp, _ := strconv.ParseUint(l.Value, 10, 16)
	rp, _ := strconv.ParseUint(r.Value, 10, 16)
	fixed := f.fixed.hasPort(la, uint16(lp)) || f.fixed.hasPort(ra, uint16(rp))
	switch {
	case lp == rp && fixed:
		return reports.FieldSame, ""
	case fixed:
		return reports.FieldDiffers, "one of them was asked for"
	case lp != rp && (lp < lowPorts || rp < lowPorts):
		return reports.FieldDiffers, ""
	case lp != rp && f.fixed.shared(la):
		return f.free(normPorts)
	}
	state, note := f.mapped(normPorts, portClass(proto), la+":"+l.Value, ra+":"+r.Value)
	if lp == rp && state == reports.FieldNormalised {
		return reports.FieldSame, "" // the address differs, which shows in its own field
	}
	return state, note
}

func (f *framePair) echo(prefix, proto, l, r string) (reports.State, string) {
	// The id belongs to the one who asks.
	side := "src"
	if strings.Contains(f.l.value(prefix+proto, "type"), "reply") {
		side = "dst"
	}
	state, note := f.mapped(normPorts, f.ping+portClass(proto), f.l.addr(prefix, side)+" "+l, f.r.addr(prefix, side)+" "+r)
	if l == r && state == reports.FieldNormalised {
		return reports.FieldSame, ""
	}
	return state, note
}

func (f *framePair) ipID(prefix, base, l, r string) (reports.State, string) {
	fragment := base == "frag" || f.l.value(prefix+"ip", "offset") != "0" || strings.Contains(f.l.value(prefix+"ip", "flags"), "MF")
	switch {
	case l != r && (f.fixed["ip-id "+l] || f.fixed["ip-id "+r]):
		return reports.FieldDiffers, "one of them was asked for"
	case fragment:
		// Identifications come round again: a datagram is one of its line.
		class := fmt.Sprintf("fragments of line %d ", f.line) + f.l.addr(prefix, "src") + ">" + f.l.addr(prefix, "dst")
		return f.mapped(normIPID, class, l, r)
	case l == r:
		return reports.FieldSame, ""
	}
	return f.free(normIPID)
}

// seq compares sequence numbers: those of a flow may be apart by one distance.
func (f *framePair) seq(prefix string, l, r wire.Field) (reports.State, string) {
	if l.Name == "ack" && !strings.Contains(f.l.value(prefix+"tcp", "flags"), "ACK") {
		if l.Value == r.Value {
			return reports.FieldSame, ""
		}
		return reports.FieldDiffers, ""
	}
	a := f.l.addr(prefix, "src") + ":" + f.l.value(prefix+"tcp", "sport")
	b := f.l.addr(prefix, "dst") + ":" + f.l.value(prefix+"tcp", "dport")
	flow := prefix + a + ">" + b
	if l.Name == "ack" {
		flow = prefix + b + ">" + a
	}
	lv, _ := strconv.ParseUint(l.Value, 10, 32)
	rv, _ := strconv.ParseUint(r.Value, 10, 32)
	by := uint32(rv) - uint32(lv)
	// A new connection begins a new distance, even between the same ends.
	begins := l.Name == "seq" && strings.Contains(f.l.value(prefix+"tcp", "flags"), "SYN")
	old, known := f.ledger.shifts[flow]
	for _, s := range f.draft.shifts {
		if s.flow == flow {
			old, known = s.by, true
		}
	}
	switch {
	case by == 0 && begins:
		f.draft.shifts = append(f.draft.shifts, shift{flow, 0})
		return reports.FieldSame, ""
	case by == 0 && (!known || old == 0 || lv == 0): // a reset may have none
		f.draft.shifts = append(f.draft.shifts, shift{flow, old})
		return reports.FieldSame, ""
	case known && by != old && !begins:
		return reports.FieldDiffers, fmt.Sprintf("right is ahead by %d, before it was %d", by, old)
	case !f.on(normSeq):
		return reports.FieldDiffers, ""
	}
	f.draft.shifts = append(f.draft.shifts, shift{flow, by})
	f.use(normSeq)
	return reports.FieldNormalised, normSeq
}

// ofStack are fields in which TCP stacks differ.
func (f *framePair) ofStack(l, r wire.Field) bool {
	switch l.Name {
	case "window", "options", "hlen":
		return f.on(normTCP)
	case "flags":
		clean := func(s string) string {
			return strings.Trim(strings.ReplaceAll(","+s+",", ",PSH,", ","), ",")
		}
		return f.on(normTCP) && clean(l.Value) == clean(r.Value)
	}
	return false
}

// optionsApart reports whether two lengths are apart by the TCP options of the
// segment, or of the one in the tunnel.
func (f *framePair) optionsApart(prefix, l, r string) bool {
	if !f.on(normTCP) {
		return false
	}
	lv, err1 := strconv.Atoi(l)
	rv, err2 := strconv.Atoi(r)
	for _, segment := range []string{prefix + "tcp", prefix + "inner.tcp"} {
		lh, err3 := strconv.Atoi(f.l.value(segment, "hlen"))
		rh, err4 := strconv.Atoi(f.r.value(segment, "hlen"))
		if err1 == nil && err2 == nil && err3 == nil && err4 == nil && lv-lh == rv-rh {
			return true
		}
	}
	return false
}

// entropy compares the value by which a tunnel spreads flows.
func (f *framePair) entropy(prefix, l, r string) (reports.State, string) {
	inner := prefix + "inner."
	var ports string
	for _, proto := range []string{"udp", "tcp"} {
		if f.l.layer(inner+proto) != nil {
			ports = " " + proto + " " + f.l.value(inner+proto, "sport") + ">" + f.l.value(inner+proto, "dport")
		}
	}
	flow := f.l.addr(inner, "src") + ">" + f.l.addr(inner, "dst") + ports
	f.spread = append(f.spread, spreading{f.l.addr(prefix, "src"), l, r})
	return f.mapped(normEntropy, "entropy "+flow, l, r)
}
