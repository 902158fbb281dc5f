package vswitch

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/rounds"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// history is everything that can be observed of a switch.
type history struct{ bytes.Buffer }

func (h *history) Deliver(now int64, id vfp.PortID, p *vfp.Packet) {
	fmt.Fprintf(h, "%d deliver %d packet %d %x\n", now, id, p.ID, p.Bytes())
}

func (h *history) Dropped(now int64, id vfp.PortID, p *vfp.Packet) {
	fmt.Fprintf(h, "%d drop %d packet %d %s\n", now, id, p.ID, p.Reason)
}

// Resolve knows every neighbour in even seconds only.
func (h *history) Resolve(now int64, dst netip.Addr) (src, dst2 wire.MAC, ok bool) {
	return mac(idHost), mac(0x26), now/second%2 == 0
}

func (h *history) Hold(now int64, dst netip.Addr, frame []byte) {
	fmt.Fprintf(h, "%d hold %s %x\n", now, dst, frame)
}

// quickHits counts over all lives.
var quickHits uint64

// life runs the world of a seed and returns what could be observed, and the
// number of cache hits. Frames arrive in batches, or one by one.
func life(t testing.TB, seed uint64, cache, batched bool) (string, uint64) {
	g, s, h := newGen(seed), New(), new(history)
	s.SetNextHop(h)
	s.SetFlowCache(cache)
	apply := func() {
		// Two secondary VLANs may contradict each other: then nothing changes,
		// in all runs alike.
		if err := s.Apply(g.config()); err != nil {
			fmt.Fprintln(h, err)
		}
	}
	apply()
	var batch vfp.Batch
	now, id := int64(0), uint64(0)
	var recent []struct {
		from  vfp.PortID
		frame []byte
	}
	for range 60 {
		now += pick(g, int64(0), 1, second/10, second, 3*second, 6*second, 30*second, 250*second)
		if g.chance(8) {
			apply()
		}
		if g.chance(10) {
			s.Age(now, 50)
		}
		batch.Now, batch.N = now, 0
		for range 1 + g.IntN(vfp.BatchSize) {
			id++
			from := pick(g, genPorts...)
			frame := g.frame(from)
			if len(recent) > 0 && g.chance(75) {
				r := recent[g.IntN(len(recent))]
				from, frame = r.from, r.frame
			} else if recent = append(recent, struct {
				from  vfp.PortID
				frame []byte
			}{from, frame}); len(recent) > 40 {
				recent = recent[1:]
			}
			p := &batch.Pkts[batch.N]
			p.Reset(frame)
			p.ID, p.InPort = id, from
			if batch.N++; !batched {
				s.Process(&batch, h)
				fmt.Fprintln(h, p.Verdict, p.OutPort)
				batch.N = 0
			}
		}
		if batched {
			s.Process(&batch, h)
		}
		if err := s.Conserved(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if err := s.Dump(h); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(h, "layer flows", s.store.Len())
	hits := uint64(0)
	for _, q := range s.snap.ports {
		hits += q.run.vfp.Cache.Stats.Hits
		quickHits += q.run.vfp.Cache.Stats.Quick
		fmt.Fprintln(h, q.cfg.ID, q.run.vfp.Counters)
	}
	return h.String(), hits
}

func TestCacheChangesNothing(t *testing.T) {
	hits := uint64(0)
	for seed := range uint64(rounds.Of(150, 30)) {
		want, none := life(t, seed, false, false)
		got, n := life(t, seed, true, false)
		if none != 0 {
			t.Fatal("the cache was not off")
		}
		hits += n
		if got != want {
			t.Fatalf("seed %d: with the cache\n%s", seed, firstDifference(got, want))
		}
	}
	t.Logf("%d cache hits, %d quick", hits, quickHits)
	if hits < 1000 || quickHits < 500 {
		t.Errorf("only %d cache hits, of them %d quick: the test does not test much", hits, quickHits)
	}
}

// walls is a Sink that checks isolation; it is told who sends.
type walls struct {
	t    *testing.T
	s    *Switch
	from *port
}

func (w *walls) Dropped(int64, vfp.PortID, *vfp.Packet) {}

func (w *walls) Deliver(_ int64, id vfp.PortID, p *vfp.Packet) {
	to, from := w.s.snap.port(id), w.from
	switch {
	case to.cfg.Mirror == MirrorDestination: // monitors see everything
	case to == from:
		w.t.Errorf("a frame came back to port %d", id)
	case to.cfg.Blocked || from.cfg.Blocked:
		w.t.Errorf("%d>%d: a port is blocked", from.cfg.ID, id)
	case !to.anyZone && !from.anyZone && to.cfg.Zone != from.cfg.Zone:
		w.t.Errorf("%d>%d: from zone %d to zone %d", from.cfg.ID, id, from.cfg.Zone, to.cfg.Zone)
	case to.cfg.Tunnelled && from.anyZone:
		w.t.Errorf("%d>%d: no layer gave the frame a zone", from.cfg.ID, id)
	case isolated(from, to):
		w.t.Errorf("%d>%d: one is isolated", from.cfg.ID, id)
	case to.cfg.Kind != ExternalPort && to.cfg.VLAN.Mode != VLANTrunk && wire.Ethernet(p.Bytes()).Tagged() && wire.Ethernet(p.Bytes()).TCI().ID() != 0:
		w.t.Errorf("%d>%d: a tag on a port that speaks untagged", from.cfg.ID, id)
	case from.cfg.VLAN.Mode == VLANAccess && to.cfg.VLAN.Mode == VLANAccess && from.cfg.VLAN.AccessID != to.cfg.VLAN.AccessID:
		w.t.Errorf("%d>%d: from VLAN %d to VLAN %d", from.cfg.ID, id, from.cfg.VLAN.AccessID, to.cfg.VLAN.AccessID)
	}
}

func TestNothingCrossesAWall(t *testing.T) {
	for seed := range uint64(200) {
		g, s := newGen(5000+seed), New()
		cfg := g.config()
		for i := range cfg.Ports {
			cfg.Ports[i].Program = nil
		}
		if s.Apply(cfg) != nil {
			continue
		}
		var b vfp.Batch
		for range 200 {
			id := pick(g, genPorts...)
			b.N = 1
			b.Pkts[0].Reset(g.frame(id))
			b.Pkts[0].InPort = id
			s.Process(&b, &walls{t, s, s.snap.port(id)})
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestBatchesChangeNothing(t *testing.T) {
	for seed := range uint64(30) {
		want, _ := life(t, 1000+seed, true, true)
		if again, _ := life(t, 1000+seed, true, true); again != want {
			t.Fatalf("seed %d: two runs differ\n%s", seed, firstDifference(again, want))
		}
		single, _ := life(t, 1000+seed, true, false)
		if got := withoutVerdicts(single); got != want {
			t.Fatalf("seed %d: one by one\n%s", seed, firstDifference(got, want))
		}
	}
}

// withoutVerdicts drops the lines that only a run without batches writes.
func withoutVerdicts(s string) string {
	var out bytes.Buffer
	for _, line := range bytes.SplitAfter([]byte(s), []byte("\n")) {
		if len(bytes.Fields(line)) == 2 && bytes.IndexByte([]byte("0123456789"), line[0]) >= 0 {
			continue
		}
		out.Write(line)
	}
	return out.String()
}

func firstDifference(got, want string) string {
	a, b := bytes.Split([]byte(got), []byte("\n")), bytes.Split([]byte(want), []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			return fmt.Sprintf("line %d is\n  %s\nand without\n  %s", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines and without %d", len(a), len(b))
}
