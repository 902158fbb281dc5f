package wire

import (
	"fmt"
	"strings"
)

// Layer is one header of a decoded frame, or the data behind the last one.
type Layer struct {
	// Name is "eth", "vlan", "arp", "ip", "ip6", "frag" and other extension
	// headers, "udp", "tcp", "icmp", "icmp6", "nd", "gre", "nvgre", "vxlan",
	// "dhcp", "payload", "padding" or "malformed". The layers inside a tunnel
	// have "inner." in front, those of a packet that an ICMP error quotes
	// "quoted.".
	Name   string
	Fields []Field
}

// Field is one field of a header. Off and Len are where it is in the frame, in
// bytes; a field narrower than a byte shares them with its neighbours.
type Field struct {
	Name, Value string
	Off, Len    int
}

// Names of layers that are used in several places.
const (
	layerEthernet = "eth"
	layerARP      = "arp"
	layerIPv4     = "ip"
	layerIPv6     = "ip6"

	innerPrefix  = "inner."
	quotedPrefix = "quoted."
)

// Decoder decodes frames for people. The zero Decoder takes UDP to VXLANPort
// for VXLAN.
type Decoder struct {
	VXLANPort uint16 // 0: the constant VXLANPort
}

func (d Decoder) vxlanPort() uint16 {
	if d.VXLANPort == 0 {
		return VXLANPort
	}
	return d.VXLANPort
}

// tunnel is what the frame carries, if it is a tunnel's.
func (d Decoder) tunnel(frame []byte, m *Meta) (name string, t Tunnel, ok bool) {
	if t, ok = ParseNVGRE(frame, m); ok {
		return "nvgre", t, true
	}
	if m.DstPort != d.vxlanPort() {
		return "", t, false
	}
	t, ok = ParseVXLAN(frame, m)
	return "vxlan", t, ok && t.Flags&VXLANFlagI != 0
}

// Describe decodes a frame into layers, outermost first. It takes any bytes:
// what cannot be decoded is a layer "malformed" that says why. Two frames can be
// compared field by field.
func Describe(frame []byte) []Layer { return Decoder{}.Describe(frame) }

// Describe is as the function of that name.
func (d Decoder) Describe(frame []byte) []Layer {
	w := &layerWriter{Decoder: d, whole: frame}
	for range maxTunnelDepth {
		var m Meta
		err := Parse(frame, &m)
		next, ok := w.frame(frame, &m, err)
		if !ok {
			break
		}
		w.prefix += innerPrefix
		w.base += next.Inner
		frame = frame[next.Inner:next.End]
	}
	return w.layers
}

// Lookup is the value of a field, for example Lookup(ls, "inner.ip", "dst").
func Lookup(layers []Layer, layer, field string) (value string, ok bool) {
	for _, l := range layers {
		if l.Name != layer {
			continue
		}
		for _, f := range l.Fields {
			if f.Name == field {
				return f.Value, true
			}
		}
	}
	return "", false
}

// layerWriter collects layers. Offsets that are given to it count from the
// frame being decoded, base makes them those of the whole frame.
type layerWriter struct {
	Decoder
	whole  []byte
	layers []Layer
	prefix string
	base   int
}

func (w *layerWriter) layer(name string) {
	w.layers = append(w.layers, Layer{Name: w.prefix + name})
}

func (w *layerWriter) field(name string, off, n int, format string, args ...any) {
	l := &w.layers[len(w.layers)-1]
	l.Fields = append(l.Fields, Field{Name: name, Value: fmt.Sprintf(format, args...), Off: w.base + off, Len: n})
}

// frame describes one frame and reports the tunnel's inner frame, if any.
func (w *layerWriter) frame(frame []byte, m *Meta, err ParseError) (inner Tunnel, ok bool) {
	if m.L2Len == 0 {
		w.malformed(frame, 0, len(frame), err)
		return inner, false
	}
	w.ethernet(Ethernet(frame), m)
	switch {
	case m.IsIPv4:
		w.ipv4(frame[:m.End], m.L3)
	case m.IsIPv6:
		w.ipv6(frame[:m.End], m.L3)
	case m.IsARP:
		w.arp(ARP(frame[m.L3:]), m.L3)
		w.data("padding", frame, m.L3+ARPLen, len(frame))
		return inner, false
	case err != OK:
		w.malformed(frame, m.L3, len(frame), err)
		return inner, false
	default:
		w.data("payload", frame, m.L3, len(frame))
		return inner, false
	}
	end := m.End
	switch {
	case err != OK:
		w.malformed(frame, m.L4, m.End, err)
	case m.HasL4:
		inner, ok = w.transport(frame, m)
		if ok {
			end = inner.End
		}
	case m.Proto == ProtoGRE && !m.Fragment:
		inner, ok = w.gre(frame, m)
	default:
		// Protocols that are known by name only have a layer without fields.
		if (m.Proto == ProtoIGMP || m.Proto == ProtoESP) && (!m.Fragment || m.FirstFragment) {
			w.layer(protoName(m.Proto))
		}
		w.data("payload", frame, m.L4, m.End)
	}
	w.data("padding", frame, end, len(frame))
	return inner, ok
}

func (w *layerWriter) transport(frame []byte, m *Meta) (inner Tunnel, ok bool) {
	sum := w.l4Sum(frame, m)
	b := frame[m.L4:m.End]
	switch m.Proto {
	case ProtoTCP:
		w.tcp(TCP(b), m.L4, sum)
		w.data("payload", frame, m.Payload, m.End)
	case ProtoUDP:
		w.udp(UDP(b), m.L4, sum)
		end := m.Payload + len(UDP(b).Payload())
		if name, t, found := w.tunnel(frame, m); found {
			w.vxlan(name, VXLAN(frame[m.Payload:]), m.Payload)
			return t, true
		}
		if w.dhcp(frame[m.Payload:end], m) {
			return inner, false
		}
		w.data("payload", frame, m.Payload, end)
		w.data("padding", frame, end, m.End)
	case ProtoICMP, ProtoICMPv6:
		w.icmp(frame, m, sum)
	}
	return inner, false
}

// checksum formats a checksum and says what it should be if it is wrong. sum is
// the folded sum of everything that it covers, itself included; 0xffff is right.
func checksum(c, sum uint16) string {
	if sum == 0xffff {
		return fmt.Sprintf("%#04x", c)
	}
	want := ^Fold(uint64(sum) + uint64(^c))
	return fmt.Sprintf("%#04x (wrong, should be %#04x)", c, want)
}

// l4Sum is the folded sum over the transport segment and its pseudo-header, or
// 0xffff if it cannot be known.
func (w *layerWriter) l4Sum(frame []byte, m *Meta) uint16 {
	if m.Fragment {
		return 0xffff
	}
	b := frame[m.L4:m.End]
	switch m.Proto {
	case ProtoUDP:
		n := UDP(b).Length()
		if UDP(b).Checksum() == 0 || n < UDPLen || n > len(b) {
			return 0xffff
		}
		b = b[:n]
	case ProtoICMP:
		return Fold(Sum(b, 0))
	}
	return Fold(Sum(b, m.pseudo(frame, len(b))))
}

// malformed is the layer for bytes that cannot be decoded.
func (w *layerWriter) malformed(frame []byte, from, to int, err ParseError) {
	w.layer("malformed")
	w.field("reason", from, 0, "%v", err)
	w.field("data", from, to-from, "%s", printable(frame[from:to]))
}

// data is a layer of bytes without structure; no bytes, no layer.
func (w *layerWriter) data(name string, frame []byte, from, to int) {
	if from >= to {
		return
	}
	w.layer(name)
	w.field("len", from, to-from, "%d", to-from)
	w.field("data", from, to-from, "%s", printable(frame[from:to]))
}

// maxPrinted bounds the bytes of a payload in text.
const maxPrinted = 64

// printable is text in quotes if b is that, else hexadecimal; long data is cut.
func printable(b []byte) string {
	more := ""
	if len(b) > maxPrinted {
		more = fmt.Sprintf(" and %d bytes more", len(b)-maxPrinted)
		b = b[:maxPrinted]
	}
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return fmt.Sprintf("%x%s", b, more)
		}
	}
	return fmt.Sprintf("%q%s", b, more)
}

// flagNames are the texts of the bits that are set in v, separated by commas.
func flagNames(v uint8, bits []string) string {
	var out []string
	for i, name := range bits {
		if v>>i&1 != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}
