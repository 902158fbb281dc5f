package script

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// packet is a frame taken apart, once for all patterns that look at it.
type packet struct {
	frame  []byte
	layers []wire.Layer
}

func (pt *pattern) decode(frame []byte) packet {
	return packet{frame, pt.decoder.Describe(frame)}
}

func (p *packet) has(layer string) bool {
	return slices.ContainsFunc(p.layers, func(l wire.Layer) bool { return l.Name == layer })
}

// field finds a field; the first of the reference's layers that is there
// decides.
func (p *packet) field(ref fieldRef) (wire.Field, bool) {
	for _, name := range ref.layers {
		if name == "frame" {
			return wire.Field{Name: "len", Value: fmt.Sprint(len(p.frame)), Len: len(p.frame)}, true
		}
		for _, l := range p.layers {
			if l.Name != name {
				continue
			}
			for _, f := range l.Fields {
				if f.Name == ref.field {
					return f, true
				}
			}
			return wire.Field{}, false
		}
	}
	if ref.field == "len" && strings.HasSuffix(ref.layers[0], "payload") {
		return wire.Field{Name: "len", Value: "0"}, true // no payload is not a layer
	}
	return wire.Field{}, false
}

// compare returns one FieldDiff for everything that the pattern names, and the
// number of those that differ.
func (pt *pattern) compare(p packet) (diffs []FieldDiff, wrong int) {
	for i := range pt.cons {
		d := pt.cons[i].compare(&p)
		if !d.Same {
			wrong++
		}
		diffs = append(diffs, d)
	}
	if pt.exact != nil {
		at, same := pt.exactly(p.frame)
		d := FieldDiff{Field: "bytes", Want: fmt.Sprintf("%d bytes", len(pt.exact)), Got: fmt.Sprintf("%d bytes", len(p.frame)), Same: same}
		if !same {
			d.Want, d.Got = around(pt.exact, at), around(p.frame, at)
			d.Field = fmt.Sprintf("bytes from %d", at)
			wrong++
		}
		diffs = append(diffs, d)
	}
	return diffs, wrong
}

// around shows the bytes from an offset on.
func around(b []byte, at int) string {
	if at >= len(b) {
		return "end of frame"
	}
	return fmt.Sprintf("%x", b[at:min(at+16, len(b))])
}

func (c *constraint) compare(p *packet) FieldDiff {
	d := FieldDiff{Field: c.show, Want: c.want}
	switch {
	case c.layer != "":
		d.Same = p.has(c.layer)
		d.Got = "present"
		if !d.Same {
			d.Got = layersOf(p)
		}
	case c.absent != "":
		d.Same = !p.has(c.absent)
		d.Got = "absent"
		if !d.Same {
			d.Got = "present"
		}
	case c.ref.kind == bytesField:
		got := []byte{}
		if f, ok := p.field(c.ref); ok {
			got = p.frame[f.Off : f.Off+f.Len]
		}
		d.Same, d.Got = bytes.Equal(got, c.data), printable(got)
	default:
		f, ok := p.field(c.ref)
		d.Same, d.Got = ok && c.match(f.Value), f.Value
		if !ok {
			d.Got = "no such field"
		}
	}
	return d
}

// layersOf names the layers of a packet, for a pattern that misses one.
func layersOf(p *packet) string {
	var names []string
	for _, l := range p.layers {
		if l.Name != "payload" && l.Name != "padding" {
			names = append(names, l.Name)
		}
	}
	return strings.Join(names, " ")
}

// matches reports whether the packet is what the pattern describes.
func (pt *pattern) matches(p packet) bool {
	for i := range pt.cons {
		if !pt.cons[i].compare(&p).Same {
			return false
		}
	}
	if pt.exact != nil {
		_, same := pt.exactly(p.frame)
		return same
	}
	return true
}

// isNoise reports whether a packet is address resolution or similar, which
// "nothing was seen" does not mean unless the pattern names it.
func (pt *pattern) isNoise(p packet) bool {
	return !pt.names("arp", "nd", "igmp") && (p.has("arp") || p.has("nd") || p.has("igmp"))
}

// order puts what differs first and keeps the order otherwise.
func order(diffs []FieldDiff) []FieldDiff {
	slices.SortStableFunc(diffs, func(a, b FieldDiff) int {
		switch {
		case a.Same == b.Same:
			return 0
		case a.Same:
			return 1
		}
		return -1
	})
	return diffs
}
