package script

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// pattern is a partial description of a packet: it matches what it names and
// nothing else.
type pattern struct {
	text    string
	cons    []constraint
	saves   []save
	decoder wire.Decoder
	layers  []string // layers that were asked for, with prefix
	exact   []byte   // the whole frame, if bytes= was given
	mask    []bool   // bytes of exact that do not count
	sums    bool     // a checksum field is named: the automatic check is off
}

// constraint is one thing that a pattern names.
type constraint struct {
	show, want string
	ref        fieldRef
	match      matcher
	data       []byte // bytesField: the payload must be this
	layer      string // the packet must have this layer
	absent     string // the packet must not have this layer
}

// save keeps a field of the packet that matched.
type save struct {
	name string
	ref  fieldRef
}

// patternParser is the state while a pattern is read: which level of
// encapsulation and which layer the words speak of.
type patternParser struct {
	*parser
	out    *pattern
	prefix string
	layer  string
	extra  []attr // of the word that the pattern belongs to
	seen   map[string]bool
}

// pattern takes the rest of the line: layers, A > B, 'payload', field=value.
func (p *parser) pattern(extra ...attr) *pattern {
	pp := &patternParser{parser: p, out: &pattern{}, extra: extra, seen: map[string]bool{}}
	var text []string
	for _, a := range p.args[min(p.i, len(p.args)):] {
		text = append(text, a.raw)
	}
	pp.out.text = strings.Join(text, " ")
	for p.more() {
		pp.item()
	}
	pp.finish()
	return pp.out
}

func (p *patternParser) item() {
	if p.args[p.i].quoted {
		p.i++
		p.payload(p.args[p.i-1].text)
		return
	}
	text := p.peek()
	switch {
	case text == "inner" || text == "quoted":
		p.i++
		p.prefix, p.layer = p.prefix+text+".", ""
		if !slices.Contains(layerPrefixes, p.prefix) {
			p.errorf("%s is deeper than packets are taken apart", strings.TrimSuffix(p.prefix, "."))
		}
		return
	case p.flag(text):
		return
	case layerKnown(text):
		p.i++
		p.addLayer(text)
		return
	}
	if f, ok := p.flow(); ok {
		p.addFlow(f)
		return
	}
	p.i++
	if name, value, ok := strings.Cut(text, "="); ok {
		p.field(name, value)
		return
	}
	if findAttr(p.extra, text) != nil {
		p.attribute(text, p.extra, p.seen)
		return
	}
	p.errorf("unknown word %s in the packet%s", quoteShort(text), didYouMean(text, p.words()))
}

func layerKnown(text string) bool {
	_, ok := layerFields[text]
	return ok && text != "frame"
}

func (p *patternParser) words() []string {
	words := append(layerNames(), "inner", "quoted", "df", "nodf", "mf", "untagged")
	for _, s := range p.sugar() {
		words = append(words, s.word)
	}
	for _, a := range p.extra {
		words = append(words, a.name)
	}
	return words
}

func (p *patternParser) addLayer(layer string) {
	p.layer = layer
	p.out.layers = append(p.out.layers, p.prefix+layer)
	p.out.cons = append(p.out.cons, constraint{show: p.prefix + layer, want: "present", layer: p.prefix + layer})
}

// flags that mean the same in every layer.
var ipFlagWords = map[string]struct {
	flag string
	not  bool
}{"df": {"DF", false}, "nodf": {"DF", true}, "mf": {"MF", false}, "nomf": {"MF", true}}

// flag takes words without value: IP flags, untagged, and the sugar of the
// layer named last.
func (p *patternParser) flag(text string) bool {
	if f, ok := ipFlagWords[text]; ok {
		p.i++
		want, value := f.flag, f.flag
		if f.not {
			want, value = "no "+f.flag, "!"+f.flag
		}
		ref, err := resolve("ip.flags", p.prefix, "")
		p.check(err)
		p.add(ref, want, value)
		return true
	}
	if text == "untagged" {
		p.i++
		p.out.cons = append(p.out.cons, constraint{show: p.prefix + "vlan", want: "absent", absent: p.prefix + "vlan"})
		return true
	}
	for _, s := range p.sugar() {
		if s.word != text {
			continue
		}
		p.i++
		for _, f := range s.fields {
			value := f[1]
			if value == "" {
				value = p.next("the value of " + text)
			}
			p.field(f[0], value)
		}
		return true
	}
	return false
}

// sugarWord is a word that stands for fields; an empty value is the argument
// behind the word.
type sugarWord struct {
	word   string
	fields [][2]string
}

var sugarOf = map[string][]sugarWord{
	"arp": {
		{"who-has", [][2]string{{"op", "request"}, {"tpa", ""}}}, {"tell", [][2]string{{"spa", ""}}},
		{"reply", [][2]string{{"op", "reply"}, {"spa", ""}}}, {"is-at", [][2]string{{"sha", ""}}},
	},
	"icmp": {
		{"echo", [][2]string{{"type", "echo"}}}, {"reply", [][2]string{{"type", "echo-reply"}}},
		{"unreachable", [][2]string{{"type", "3"}}}, {"port-unreachable", [][2]string{{"type", "3"}, {"code", "3"}}},
		{"frag-needed", [][2]string{{"type", "3"}, {"code", "4"}}}, {"time-exceeded", [][2]string{{"type", "11"}}},
	},
	"icmp6": {
		{"echo", [][2]string{{"type", "echo"}}}, {"reply", [][2]string{{"type", "echo-reply"}}},
		{"unreachable", [][2]string{{"type", "1"}}}, {"port-unreachable", [][2]string{{"type", "1"}, {"code", "4"}}},
		{"too-big", [][2]string{{"type", "2"}}}, {"time-exceeded", [][2]string{{"type", "3"}}},
	},
	"nd": {
		{"rs", [][2]string{{"type", "133"}}}, {"ra", [][2]string{{"type", "134"}}}, {"ns", [][2]string{{"type", "135"}}},
		{"na", [][2]string{{"type", "136"}}}, {"redirect", [][2]string{{"type", "137"}}},
	},
	"dhcp": {
		{"discover", [][2]string{{"type", "discover"}}}, {"offer", [][2]string{{"type", "offer"}}},
		{"request", [][2]string{{"type", "request"}}}, {"ack", [][2]string{{"type", "ack"}}}, {"nak", [][2]string{{"type", "nak"}}},
	},
}

func (p *patternParser) sugar() []sugarWord { return sugarOf[p.layer] }

// field takes name=value: bytes=, mask=, save=, payload=, an option of the
// word, or a field of the packet.
func (p *patternParser) field(name, value string) {
	if value == "" {
		p.errorf("%s has no value: expected %s=...", name, name)
		return
	}
	switch name {
	case "bytes":
		p.out.exact = p.frameBytes(value)
		return
	case "mask":
		p.maskBytes(value)
		return
	case "save":
		p.save(value)
		return
	case "payload":
		p.payload(value)
		return
	case "proto":
		name = p.prefix + "ip.proto"
	}
	if findAttr(p.extra, name) != nil {
		p.attribute(name+"="+value, p.extra, p.seen)
		return
	}
	if p.err != nil {
		return
	}
	ref, err := resolve(name, p.prefix, p.layer)
	if err != nil {
		p.check(err)
		return
	}
	p.out.sums = p.out.sums || ref.kind == sumField
	p.add(ref, value, value)
}

func (p *patternParser) add(ref fieldRef, show, value string) {
	m, err := parseValue(ref.kind, value)
	if err != nil {
		p.errorf("%s: %w", ref.show, err)
		return
	}
	p.out.cons = append(p.out.cons, constraint{show: ref.show, want: show, ref: ref, match: m})
}

func (p *patternParser) payload(text string) {
	data, err := p.parser.payload(text)
	if err != nil {
		p.errorf("payload: %w", err)
		return
	}
	ref := fieldRef{show: p.prefix + "payload", layers: []string{p.prefix + "payload"}, field: "data", kind: bytesField}
	p.out.cons = append(p.out.cons, constraint{show: ref.show, want: printable(data), ref: ref, data: data})
}

func (p *patternParser) save(text string) {
	for _, item := range strings.Split(text, ",") {
		name, field, ok := strings.Cut(item, ":")
		if !ok || !variableName.MatchString(name) {
			p.errorf("save: found %s, expected variable:field", quoteShort(item))
			return
		}
		ref, err := resolve(field, p.prefix, p.layer)
		if err != nil {
			p.errorf("save: %w", err)
			return
		}
		if p.sc.static {
			p.sc.vars[name] = ref.placeholder()
		}
		p.out.saves = append(p.out.saves, save{name, ref})
	}
}

// frameBytes reads hex or @file with hex.
func (p *parser) frameBytes(value string) []byte {
	if who, ok := strings.CutPrefix(value, "@"); ok {
		value = p.namedFile(who).data
	}
	b, err := parseHex(value)
	p.check(err)
	if len(b) == 0 {
		p.errorf("no bytes")
	}
	return b
}

// maskBytes reads mask=34:2,50:1: offset and number of bytes that do not count.
func (p *patternParser) maskBytes(text string) {
	for _, item := range strings.Split(text, ",") {
		var off, n int
		if _, err := fmt.Sscanf(item+";", "%d:%d;", &off, &n); err != nil || off < 0 || n < 1 || off+n > 1<<16 {
			p.errorf("mask: found %s, expected offset:length", quoteShort(item))
			return
		}
		for len(p.out.mask) < off+n {
			p.out.mask = append(p.out.mask, false)
		}
		for i := range n {
			p.out.mask[off+i] = true
		}
	}
}

// finish checks what only the whole pattern shows.
func (p *patternParser) finish() {
	if p.out.mask != nil && p.out.exact == nil {
		p.errorf("mask= without bytes=")
	}
	if !slices.Contains(p.out.layers, "vxlan") {
		return
	}
	for _, c := range p.out.cons {
		// VXLAN on another port is recognised only by whoever knows the port.
		if n, ok := leadingNumber(c.want); ok && (c.show == "dport" || c.show == "udp.dport") && n < 1<<16 {
			p.out.decoder.VXLANPort = uint16(n)
		}
	}
}

// names reports whether the pattern asks for a layer, at any level.
func (pt *pattern) names(layers ...string) bool {
	return slices.ContainsFunc(pt.layers, func(l string) bool {
		return slices.Contains(layers, l[strings.LastIndexByte(l, '.')+1:])
	})
}

// exactly compares with bytes= and returns the offset of the first difference.
func (pt *pattern) exactly(frame []byte) (int, bool) {
	for i := range max(len(frame), len(pt.exact)) {
		switch {
		case i < len(pt.mask) && pt.mask[i]:
		case i >= len(frame) || i >= len(pt.exact):
			return i, false
		case frame[i] != pt.exact[i]:
			return i, false
		}
	}
	return 0, len(frame) == len(pt.exact)
}

// printable is a payload for messages.
func printable(b []byte) string {
	const limit = 40
	text := !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' })
	if len(b) > limit {
		return fmt.Sprintf("%s and %d bytes more", printable(b[:limit]), len(b)-limit)
	}
	if text {
		return fmt.Sprintf("'%s'", b)
	}
	return fmt.Sprintf("hex:%x", b)
}
