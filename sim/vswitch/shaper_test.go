package vswitch

import (
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
)

// allowance is a Shaper that lets so many bytes pass, each frame later than the
// one before.
type allowance struct {
	bytes, asked int
	late         int64
}

func (a *allowance) Admit(now int64, bytes int) (int64, bool) {
	a.asked++
	if a.bytes -= bytes; a.bytes < 0 {
		return 0, false
	}
	return now + a.late, true
}

// departures is a Sink that notes when frames leave.
type departures struct {
	at    []int64
	drops []vfp.Drop
	where []vfp.PortID
}

func (d *departures) Deliver(at int64, _ vfp.PortID, _ *vfp.Packet) { d.at = append(d.at, at) }

func (d *departures) Dropped(_ int64, id vfp.PortID, p *vfp.Packet) {
	d.drops, d.where = append(d.drops, p.Reason), append(d.where, id)
}

func TestTheSourcePortIsLimitedBehindItsPolicy(t *testing.T) { // QOS-01, QOS-04, step 8
	frame := bytesOf(udp(idA, idB))
	block := layer(vfp.Out, vfp.Rule{Action: vfp.Block{}})
	tests := []struct {
		name   string
		change []func(*Config)
		frame  []byte
		asked  int // for two frames
		left   int
		drop   vfp.Drop
	}{
		{"to a neighbour", nil, frame, 2, 1, vfp.DropQosDrop},
		{"flooded: once for all copies", nil, bytesOf(bcast(idA)), 2, 4, vfp.DropQosDrop},
		{"blocked by a layer: costs nothing", []func(*Config){program(idA, block)}, frame, 0, 0, vfp.DropVfpBlock},
		{"without VFP", []func(*Config){func(c *Config) { c.VFP = false }}, frame, 2, 1, vfp.DropQosDrop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := external(t, tt.change...)
			a := &allowance{bytes: len(tt.frame), late: 5}
			b.apply(append(tt.change, setPort(idA, func(p *PortConfig) { p.Shaper = a }))...)
			batch, sink := new(vfp.Batch), new(departures)
			batch.Now, batch.N = 1000, 2 // the second one from the cache, where there is one
			for i := range batch.N {
				batch.Pkts[i].Reset(tt.frame)
				batch.Pkts[i].InPort = idA
			}
			b.s.Process(batch, sink)
			if a.asked != tt.asked || len(sink.at) != tt.left {
				t.Errorf("asked %d times, %d frames left; want %d and %d", a.asked, len(sink.at), tt.asked, tt.left)
			}
			for _, at := range sink.at {
				if at != 1005 {
					t.Errorf("a frame left at %d, want 1005", at)
				}
			}
			for i, d := range sink.drops {
				if d != tt.drop || sink.where[i] != idA {
					t.Errorf("%v at port %d, want %v at the sender's", d, sink.where[i], tt.drop)
				}
			}
			if len(sink.drops) == 0 {
				t.Error("nothing was dropped")
			}
			if err := b.s.Conserved(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatAPortReceivesIsNotLimited(t *testing.T) { // QOS-01
	b := external(t, setPort(idB, func(p *PortConfig) { p.Shaper = &allowance{} }))
	b.run([]step{{idA, udp(idA, idB), "b"}, {idB, udp(idB, idA), "QosDrop@b"}})
}
