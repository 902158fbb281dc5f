package vfp

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"
)

// Two workers forward while a control plane replaces their policies every
// millisecond. A packet that neither the old nor the new policy drops must get
// through, one that both drop must not, and nothing else may happen (VFP-08).
func TestPolicyChangesLoseNoPacket(t *testing.T) {
	changes := 100
	if testing.Short() {
		changes = 30
	}
	const always, never, sometimes = 53, 25, 80
	policy := func(turn int) *Program {
		blocked := []PortRange{ports(never, never)}
		if turn%2 == 1 {
			blocked = append(blocked, ports(sometimes, sometimes))
		}
		rest := allow("a", Match{})
		rest.Priority = 2000
		return &Program{Layers: []Layer{aclLayer(Reevaluate, out(deny("b", Match{DstPorts: blocked}), rest), in(allow("i", Match{})))}}
	}
	var workers sync.WaitGroup
	stop := make(chan struct{})
	rigs := []*rig{newRig(64, ipB), newRig(64, ipB)}
	for _, r := range rigs {
		r.ports[0].SetProgram(policy(0))
		workers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				soakBatch(t, r, n, always, never)
			}
		})
	}
	for turn := range changes {
		time.Sleep(time.Millisecond)
		for _, r := range rigs {
			r.ports[0].SetProgram(policy(turn))
		}
	}
	close(stop)
	workers.Wait()
	t.Logf("%d and %d hits", rigs[0].hits, rigs[1].hits)
	if rigs[0].hits == 0 || rigs[1].hits == 0 {
		t.Error("the test does not test much")
	}
}

// soakBatch takes a batch of flows to three destination ports through the rig.
func soakBatch(t *testing.T, r *rig, n int, always, never uint16) {
	src, gen := r.ports[0], r.gen()
	for i := range BatchSize {
		p := &r.batch.Pkts[i]
		p.Reset(r.frame)
		p.InPort = portA
		binary.BigEndian.PutUint16(p.Bytes()[34:], uint16(n%64+1))
		binary.BigEndian.PutUint16(p.Bytes()[36:], [3]uint16{always, never, 80}[i%3])
		p.Parse()
		src.Cache.Key(p, &r.keys[i])
	}
	src.Cache.Warm(r.keys[:])
	for i := range BatchSize {
		p, k := &r.batch.Pkts[i], &r.keys[i]
		drop := DropNone
		if o, ok := src.Cache.Lookup(k, p, r.now, gen); ok {
			r.hits++
			drop = o.Apply(p)
		} else {
			w := &r.walk
			w.Begin(r.now, p, 0, nil)
			to := r.lab.walk(w, src)
			o := Diff(w)
			o.Out = to
			if Cachable(w) {
				src.Cache.Install(k, w, &o, gen)
			}
			drop = w.Commit(p, &o)
		}
		if i%3 == 0 && drop != DropNone || i%3 == 1 && drop != DropVfpBlock || i%3 == 2 && drop != DropNone && drop != DropVfpBlock {
			t.Errorf("packet %d of batch %d: %s", i, n, drop)
			return
		}
	}
}
