package vfp

import (
	"unsafe"

	"github.com/hnsim/hnsim/sim/wire"
)

// Expect brings the memory near that the walks of packets without an entry are
// going to read and write: where their layer flow would be in the index, where
// its reverse would be, the watch counter of both, and what the entries and the
// flows that are made next will fill. It goes by what Warm has left in the keys,
// for plain packets outside of tunnels, and by the first layer that asks for
// flows. A wrong guess does no harm. It takes at most BatchSize keys.
func (p *Port) Expect(keys []Key) {
	s := p.store
	if s.live < warmAt || len(keys) == 1 {
		return
	}
	l := p.cur.firstAsked()
	if l == nil {
		return
	}
	fwd, rev := flowKey{layer: l.id, dir: Out}, flowKey{layer: l.id, dir: In}
	for i := range keys {
		k := &keys[i]
		if k.hint != 0 || !k.plain || k.at != 0 {
			continue
		}
		k.tuple4(&fwd.tuple)
		rev.turn(&fwd.tuple)
		x := &s.index
		s.lines.Add(unsafe.Pointer(&x.slots[fwd.tag()&x.mask]))
		s.lines.Add(unsafe.Pointer(&x.slots[rev.tag()&x.mask]))
		s.lines.Add(unsafe.Pointer(s.watched(fwd.pairHash())))
	}
	s.lines.Prefetch()
}

// tuple4 is the tuple of a plain packet's key.
func (k *Key) tuple4(t *tuple) {
	t.src[1], t.dst[1] = mapped|k.words[0]>>32, mapped|k.words[0]&0xffffffff
	t.ports, t.proto = uint32(k.words[1]>>32), uint8(k.words[1]>>wire.ZoneBits)
}

// firstAsked is the first layer on the way out that looks for flows, nil if
// there is none.
func (c *compiled) firstAsked() *layer {
	for _, l := range c.layers {
		if l.stateful || l.state.live > 0 {
			return l
		}
	}
	return nil
}
