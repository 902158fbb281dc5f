package script

import (
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// The frame builder reads a frame written layer by layer, outermost first:
//
//	eth(A>B) vlan(7) ip(a>b ttl=1 df) udp(1>2) 'payload'
//
// Layers behind vxlan(...) or nvgre(...) are the inner frame; those behind
// quote are the packet in an ICMP error.

// element is one layer with the words between its parentheses, or payload.
type element struct {
	name string
	args []string
	text *string // quoted text
}

const maxElements = 40

// splitElements takes the builder's text apart.
func splitElements(s string) ([]element, error) {
	var out []element
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return out, nil
		}
		if len(out) == maxElements {
			return nil, fmt.Errorf("more than %d layers", maxElements)
		}
		var e element
		var err error
		if s[0] == '\'' {
			e, s, err = textElement(s)
		} else {
			e, s, err = layerElement(s)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
}

// textElement reads 'text' with two quotes for one.
func textElement(s string) (element, string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		text := b.String()
		return element{name: "payload", text: &text}, s[i+1:], nil
	}
	return element{}, "", fmt.Errorf("a quote is not closed")
}

// layerElement reads name(words) or a word without parentheses.
func layerElement(s string) (element, string, error) {
	end := strings.IndexAny(s, " \t('")
	if end < 0 || s[end] != '(' {
		if end < 0 {
			end = len(s)
		}
		return element{name: s[:end]}, s[end:], nil
	}
	closing := strings.IndexByte(s, ')')
	if closing < end {
		return element{}, "", fmt.Errorf("%s( is not closed", s[:end])
	}
	return element{name: s[:end], args: strings.Fields(s[end+1 : closing])}, s[closing+1:], nil
}

// buildFrame makes the frame.
func (p *parser) buildFrame(s string) ([]byte, error) {
	elements, err := splitElements(s)
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, fmt.Errorf("no frame: expected layers such as eth(A>B) ip(a>b) udp(1>2) 'text', or hex=BYTES")
	}
	f, err := p.frameOf(elements, true)
	if err != nil {
		return nil, err
	}
	b, err := f.Build()
	if err != nil {
		return nil, fmt.Errorf("these layers make no frame: %w", err)
	}
	return b, nil
}

// frameOf makes the tree of one frame and what it carries.
func (p *parser) frameOf(elements []element, ethernet bool) (*wire.Frame, error) {
	f := &wire.Frame{}
	if ethernet && elements[0].name != "eth" {
		return nil, fmt.Errorf("a frame begins with eth(source>destination), found %s", quoteShort(elements[0].name))
	}
	seen := map[string]bool{}
	for i, e := range elements {
		if e.name == "quote" {
			return f, p.quote(f, elements[i+1:])
		}
		if seen[e.name] {
			return nil, fmt.Errorf("%s is there twice", e.name)
		}
		seen[e.name] = true
		if err := p.layer(f, e); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		if e.name != "vxlan" && e.name != "nvgre" {
			continue
		}
		rest := elements[i+1:]
		if len(rest) == 0 {
			return f, nil
		}
		if len(rest) == 1 && rest[0].name == "payload" {
			continue // a tunnel header in front of something that is no frame
		}
		inner, err := p.frameOf(rest, true)
		f.Inner = inner
		return f, err
	}
	return f, nil
}

// quote puts a packet, without its Ethernet header, into an ICMP error.
func (p *parser) quote(f *wire.Frame, elements []element) error {
	if f.ICMP == nil || len(elements) == 0 {
		return fmt.Errorf("quote stands between icmp(...) and the layers of the packet that is quoted")
	}
	inner, err := p.frameOf(elements, false)
	if err != nil {
		return err
	}
	b, err := inner.Build()
	if err != nil {
		return fmt.Errorf("the quoted layers make no packet: %w", err)
	}
	var m wire.Meta
	wire.Parse(b, &m)
	f.Payload = b[m.L3:]
	return nil
}

// builderLayers are the names that the builder knows.
var builderLayers = []string{"eth", "vlan", "arp", "ip", "ip6", "udp", "tcp", "icmp", "icmp6", "nd", "dhcp", "vxlan", "nvgre", "pad", "size", "payload", "quote"}

func (p *parser) layer(f *wire.Frame, e element) error {
	a := &elementArgs{args: e.args}
	switch e.name {
	case "payload":
		return p.layerPayload(f, e)
	case "eth":
		a.eth(f)
	case "vlan":
		a.vlan(f)
	case "arp":
		a.arp(f)
	case "ip", "ip6":
		a.ip(f, e.name == "ip6")
	case "udp":
		a.udp(f)
	case "tcp":
		a.tcp(f)
	case "icmp", "icmp6":
		a.icmp(f, e.name)
	case "nd":
		a.nd(f)
	case "dhcp":
		a.dhcp(f)
	case "vxlan":
		a.vxlan(f)
	case "nvgre":
		a.nvgre(f)
	case "pad":
		a.number("the frame's length", &f.PadTo, 1<<16)
	case "size":
		n := 0
		a.number("the payload's length", &n, maxPayload)
		f.Payload = filler(n)
	default:
		if data, ok := strings.CutPrefix(e.name, "payload="); ok {
			b, err := p.payload(data)
			f.Payload = b
			return err
		}
		return fmt.Errorf("unknown layer%s", didYouMean(e.name, builderLayers))
	}
	return a.done()
}

func (p *parser) layerPayload(f *wire.Frame, e element) error {
	if e.text == nil {
		return fmt.Errorf("write the payload in quotes, or payload=hex:BYTES")
	}
	f.Payload = []byte(*e.text)
	return nil
}
