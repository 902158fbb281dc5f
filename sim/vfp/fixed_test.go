package vfp

import (
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// Fixed says yes to entries that change nothing and ask nobody, and to no
// others; Credit and Passed count what took that at its word.
func TestFixedEntriesMayBePassed(t *testing.T) {
	f := wire.Frame{EthSrc: wire.MAC{2, 1}, EthDst: wire.MAC{2, 2},
		IP:  &wire.IPFields{Src: wire.AddrFrom4(0x0a000001), Dst: wire.AddrFrom4(0x0a000002)},
		UDP: &wire.UDPFields{SrcPort: 1000, DstPort: 2000}}
	tests := []struct {
		name  string
		t     Transposition
		flows uint8
		limit int
	}{
		{"unchanged", Transposition{Straight: 1514}, 0, 1514},
		{"longer frames are looked at", Transposition{}, 0, 0},
		{"changed", Transposition{Straight: 1514, DecTTL: 1}, 0, 0},
		{"with a layer flow", Transposition{Straight: 1514}, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCache(NewFlowStore(), 16)
			p := NewPacket(f.Bytes())
			var k Key
			if !plainKey(c, p, &k) {
				t.Fatal("the frame is not plain")
			}
			w := &Walk{Now: 1 << 30}
			w.flows.store = c.store
			if w.flows.nRefs = tt.flows; tt.flows > 0 {
				c.store.alloc() // the one that the walk refers to
			}
			if !c.Install(&k, w, &tt.t, 7) {
				t.Fatal("not installed")
			}
			if limit, ok := c.Fixed(&k, 7); limit != tt.limit || ok != (tt.limit > 0) {
				t.Errorf("%d %v, want %d", limit, ok, tt.limit)
			}
			if _, ok := c.Fixed(&k, 8); ok {
				t.Error("fixed in another generation")
			}
			c.Credit(1<<40, [4]uint64(k.words[:4]), 3)
			c.Passed(3)
			if e := c.find4(&k); e.Packets != 3 || e.seen != 1<<40 || c.Stats.Hits != 3 || c.Stats.Quick != 3 {
				t.Errorf("%+v, %+v", e, c.Stats)
			}
			k.Unplain()
			if _, ok := c.Fixed(&k, 7); ok {
				t.Error("fixed for packets that are not plain")
			}
		})
	}
}
