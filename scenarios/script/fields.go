package script

import (
	"fmt"
	"slices"
	"strings"
)

// fieldKind says how a field's text, as wire.Describe writes it, is compared.
type fieldKind int

const (
	numberField fieldKind = iota
	addrField
	macField
	textField
	tcpFlagsField // "SYN,ACK"; written S, SA, S+
	flagsField    // "DF", "O,S"; written none when no flag is set
	protoField    // "udp" or "proto132"
	etherField    // "ip" or "0x88b5"
	typeField     // "8 echo": number or name
	sumField      // "0x1234", "0x1234 (wrong, ...)", "none"
	bytesField    // compared in the frame, not as text
)

type fieldDef struct {
	name string
	kind fieldKind
}

// layerFields are the layers and fields that patterns may name: those of
// wire.Describe, which a test compares with this table, and "frame".
var layerFields = map[string][]fieldDef{
	"frame":   {{"len", numberField}},
	"eth":     {{"dst", macField}, {"src", macField}, {"type", etherField}},
	"vlan":    {{"prio", numberField}, {"dei", numberField}, {"id", numberField}, {"type", etherField}},
	"arp":     {{"op", textField}, {"sha", macField}, {"spa", addrField}, {"tha", macField}, {"tpa", addrField}},
	"ip":      {{"hlen", numberField}, {"tos", numberField}, {"len", numberField}, {"id", numberField}, {"flags", flagsField}, {"offset", numberField}, {"ttl", numberField}, {"proto", protoField}, {"checksum", sumField}, {"src", addrField}, {"dst", addrField}, {"options", textField}},
	"ip6":     {{"class", numberField}, {"label", numberField}, {"len", numberField}, {"next", protoField}, {"ttl", numberField}, {"src", addrField}, {"dst", addrField}},
	"frag":    {{"next", protoField}, {"offset", numberField}, {"more", textField}, {"id", numberField}},
	"udp":     {{"sport", numberField}, {"dport", numberField}, {"len", numberField}, {"checksum", sumField}},
	"tcp":     {{"sport", numberField}, {"dport", numberField}, {"seq", numberField}, {"ack", numberField}, {"hlen", numberField}, {"flags", tcpFlagsField}, {"window", numberField}, {"checksum", sumField}, {"urgent", numberField}, {"options", textField}, {"mss", numberField}},
	"icmp":    {{"type", typeField}, {"code", numberField}, {"checksum", sumField}, {"id", numberField}, {"seq", numberField}, {"mtu", numberField}, {"rest", numberField}},
	"icmp6":   {{"type", typeField}, {"code", numberField}, {"checksum", sumField}, {"id", numberField}, {"seq", numberField}, {"mtu", numberField}, {"rest", numberField}},
	"nd":      {{"type", typeField}, {"code", numberField}, {"checksum", sumField}, {"flags", flagsField}, {"target", addrField}, {"dest", addrField}, {"sll", macField}, {"tll", macField}, {"mtu", numberField}, {"prefix", textField}, {"hoplimit", numberField}, {"lifetime", numberField}, {"reachable", numberField}, {"retrans", numberField}, {"rest", textField}},
	"gre":     {{"flags", numberField}, {"proto", etherField}, {"options", textField}},
	"nvgre":   {{"flags", numberField}, {"proto", etherField}, {"vsid", numberField}, {"flow", numberField}},
	"vxlan":   {{"flags", numberField}, {"vni", numberField}},
	"dhcp":    {{"op", numberField}, {"xid", numberField}, {"broadcast", textField}, {"ciaddr", addrField}, {"yiaddr", addrField}, {"siaddr", addrField}, {"giaddr", addrField}, {"chaddr", macField}, {"type", textField}, {"mask", textField}, {"router", textField}, {"dns", textField}, {"hostname", textField}, {"domain", textField}, {"requested", addrField}, {"lease", textField}, {"server", addrField}},
	"payload": {{"len", numberField}, {"data", bytesField}},
	"padding": {{"len", numberField}, {"data", bytesField}},

	// Headers that can only be asked for, not looked into.
	"igmp": nil, "esp": nil, "ah": nil, "hopopts": nil, "routing": nil, "dstopts": nil, "malformed": {{"reason", textField}},
}

// shortFields are names that need no layer in front of them, beyond the fields
// of the layer that was named last.
var shortFields = map[string]struct {
	layers []string
	field  string
}{
	"ttl": {[]string{"ip", "ip6"}, "ttl"}, "tos": {[]string{"ip"}, "tos"}, "class": {[]string{"ip6"}, "class"},
	"id": {[]string{"ip"}, "id"}, "offset": {[]string{"ip", "frag"}, "offset"},
	"src": {[]string{"ip", "ip6"}, "src"}, "dst": {[]string{"ip", "ip6"}, "dst"},
	"sport": {[]string{"udp", "tcp"}, "sport"}, "dport": {[]string{"udp", "tcp"}, "dport"},
	"seq": {[]string{"tcp"}, "seq"}, "ack": {[]string{"tcp"}, "ack"}, "flags": {[]string{"tcp"}, "flags"},
	"window": {[]string{"tcp"}, "window"}, "mss": {[]string{"tcp"}, "mss"}, "mtu": {[]string{"icmp", "icmp6", "nd"}, "mtu"},
	"vlan": {[]string{"vlan"}, "id"}, "prio": {[]string{"vlan"}, "prio"},
	"vni": {[]string{"vxlan"}, "vni"}, "vsid": {[]string{"nvgre"}, "vsid"}, "flow": {[]string{"nvgre"}, "flow"},
	"size": {[]string{"payload"}, "len"}, "chaddr": {[]string{"dhcp"}, "chaddr"},
	"target": {[]string{"nd"}, "target"}, "sll": {[]string{"nd"}, "sll"}, "tll": {[]string{"nd"}, "tll"},
}

// fieldRef names a field of a packet. Several layers mean: the first of them
// that the packet has.
type fieldRef struct {
	show   string   // "inner.ip.ttl", "sport"
	layers []string // with prefix: "inner.ip"
	field  string
	kind   fieldKind
}

// prefixes of layers; a tunnel in a tunnel is as deep as anybody needs.
var layerPrefixes = []string{"inner.inner.", "inner.quoted.", "inner.", "quoted."}

// resolve finds the field that text means: "layer.field" anywhere, or a field
// of the layer named last, or a short name. prefix applies to the last two.
func resolve(text, prefix, layer string) (fieldRef, error) {
	rest, own := text, ""
	for _, p := range layerPrefixes {
		if r, ok := strings.CutPrefix(text, p); ok {
			rest, own = r, p
			break
		}
	}
	if own != "" {
		prefix = own
	}
	if l, f, ok := strings.Cut(rest, "."); ok {
		defs, known := layerFields[l]
		if !known {
			return fieldRef{}, fmt.Errorf("unknown layer %s%s", quoteShort(l), didYouMean(l, layerNames()))
		}
		return fieldOf(text, prefix, []string{l}, f, defs)
	}
	for _, d := range layerFields[layer] {
		if d.name == rest && own == "" {
			return fieldRef{text, []string{prefix + layer}, rest, d.kind}, nil
		}
	}
	s, ok := shortFields[rest]
	if !ok {
		names := make([]string, 0, len(shortFields))
		for n := range shortFields {
			names = append(names, n)
		}
		for _, d := range layerFields[layer] {
			names = append(names, d.name)
		}
		return fieldRef{}, fmt.Errorf("unknown field %s%s", quoteShort(text), didYouMean(rest, sorted(names)))
	}
	layers := s.layers
	if slices.Contains(layers, layer) {
		layers = []string{layer}
	}
	return fieldOf(text, prefix, layers, s.field, layerFields[layers[0]])
}

func fieldOf(show, prefix string, layers []string, field string, defs []fieldDef) (fieldRef, error) {
	var names []string
	for _, d := range defs {
		if d.name == field {
			ref := fieldRef{show: show, field: field, kind: d.kind}
			for _, l := range layers {
				ref.layers = append(ref.layers, prefix+l)
			}
			return ref, nil
		}
		names = append(names, d.name)
	}
	return fieldRef{}, fmt.Errorf("unknown field %s of %s%s", quoteShort(field), layers[0], didYouMean(field, names))
}

func layerNames() []string {
	names := make([]string, 0, len(layerFields))
	for n := range layerFields {
		names = append(names, n)
	}
	return sorted(names)
}

// placeholder is a value of the field's kind, for checks before the run.
func (r fieldRef) placeholder() string {
	switch r.kind {
	case addrField:
		return "192.0.2.1"
	case macField:
		return "02-00-00-00-00-01"
	}
	return "1"
}
