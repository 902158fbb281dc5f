package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// traffic parameters of one cell.
type load struct {
	sizes   []int
	flows   int
	dist    string
	tracing bool
	seed    uint64
}

// unit is one worker: a world of its own, a lane through it and traffic. Two
// units share nothing, as two hosts do.
type unit struct {
	lab   *lab
	lane  backends.Lane
	tr    *traffic
	ref   *reference
	burst backends.Burst
	first bool
	used  bool // first: the flows of the traffic exist
	spin  int  // steps of a planted slowdown per burst
	spun  uint64

	clock     func() time.Duration
	flowBytes float64
}

// wireMTU of the worlds: frames of the largest size fit, in a tunnel too.
const wireMTU = 9100

// newUnit builds the path's world, opens the lane, makes every flow known and
// checks what comes out.
func newUnit(ctx context.Context, b backends.Backend, cfg backends.WorldConfig, p *Path, ld load) (u *unit, err error) {
	l, err := openLab(ctx, b, cfg, wireMTU)
	if err != nil {
		return nil, err
	}
	u = &unit{lab: l, first: p.First, ref: newReference(ld.sizes), clock: cpuTime}
	defer func() {
		if err != nil {
			u.close()
		}
	}()
	p.build(l)
	seen, err := l.template(p.from, p.src, p.dst)
	if err != nil {
		return nil, err
	}
	t, err := newTemplate(seen, ld.sizes, p.vary)
	if err != nil {
		return nil, err
	}
	if err := u.prepare(ctx, p, ld, t); err != nil {
		return nil, err
	}
	return u, nil
}

// prepare opens the lane and fills the traffic.
func (u *unit) prepare(ctx context.Context, p *Path, ld load, t *template) error {
	bencher, ok := u.lab.w.(backends.Bencher)
	if !ok {
		return &backends.UnsupportedError{Msg: "the backend has no way to drive its data plane in a closed loop; it offers load at a rate, if anything"}
	}
	open := func(c backends.LaneConfig) (err error) {
		u.lane, err = bencher.Lane(ctx, c)
		return err
	}
	pick, n := inTurn(ld.flows, ld.seed), ld.flows
	if !p.First {
		var err error
		if pick, err = picker(ld.dist, ld.flows, ld.seed); err != nil {
			return err
		}
		n = sequenceLen(ld.flows)
	}
	direct := backends.LaneConfig{From: p.from, Through: p.through, Tracing: ld.tracing}
	if p.reversed || p.onWire != "" {
		return u.prepareWire(p, ld, t, open, pick, n)
	}
	if err := open(direct); err != nil {
		return err
	}
	before := heap()
	u.tr = t.sequence(ld.flows, ld.sizes[:1], inTurn(ld.flows, ld.seed+1))
	if err := u.warm(p); err != nil {
		return err
	}
	u.tr = t.sequence(n, ld.sizes, pick)
	u.flowBytes = max(0, heap()-before-float64(len(u.tr.heads))) / float64(ld.flows)
	return nil
}

// prepareWire is prepare for frames that come from the wire: they are made by
// sending them there.
func (u *unit) prepareWire(p *Path, ld load, t *template, open func(backends.LaneConfig) error, pick func(int) int, n int) error {
	if err := open(backends.LaneConfig{From: p.from}); err != nil {
		return err
	}
	u.tr = t.sequence(ld.flows, ld.sizes, func(i int) int { return i })
	frames := make([][]byte, ld.flows)
	host := "h1"
	for at := 0; at < ld.flows; {
		u.tr.fill(&u.burst)
		if out := u.lane.Forward(&u.burst); out != u.burst.N {
			return u.missing(out)
		}
		for i := range u.burst.N {
			frames[at+i] = append([]byte(nil), u.lane.Frame(i)...)
			if p.reversed {
				if err := reverse(frames[at+i]); err != nil {
					return err
				}
			}
		}
		at += u.burst.N
	}
	u.lane.Close()
	u.lane = nil
	if p.onWire != "" {
		host = p.onWire
	}
	if err := open(backends.LaneConfig{From: host, OnWire: true, Tracing: ld.tracing}); err != nil {
		return err
	}
	before := heap()
	u.tr = record(frames)
	if err := u.warm(p); err != nil {
		return err
	}
	u.flowBytes = max(0, heap()-before-float64(len(u.tr.heads))) / float64(ld.flows)
	chosen := make([][]byte, n)
	for i := range chosen {
		chosen[i] = frames[pick(i)]
	}
	u.tr = record(chosen)
	return nil
}

// sequenceLen is how many packets traffic has before it repeats: enough that
// all flows come up, within 128 MB.
func sequenceLen(flows int) int {
	if flows > 1<<17 {
		return 1 << 20
	}
	return 1 << 17
}

// checked is how many frames of a path are looked at in full.
const checked = 1 << 12

// warm takes every flow through and checks what comes out. New flows share
// watch counters in the cache: known flows go twice, until none is stale.
func (u *unit) warm(p *Path) error {
	rounds := 3
	if p.First {
		rounds = 1
	}
	for round := range rounds {
		for done := 0; done < u.tr.n; done += u.burst.N {
			u.tr.fill(&u.burst)
			if out := u.lane.Forward(&u.burst); out != u.burst.N {
				return u.missing(out)
			}
			for i := 0; i < u.burst.N && round != 1 && done < checked; i++ {
				if err := p.check.of(u.lane.Frame(i)); err != nil {
					return fmt.Errorf("path %s forwards something else than it should: %w", p.Name, err)
				}
			}
		}
	}
	u.used = true
	return nil
}

// tooLong are the reasons for frames that are longer than something on the way
// lets pass: no mistake of the harness, if it is the first frame.
var tooLong = []string{"Oversize", "EncapOversize", "LinkMtu"}

// missing says which frame of the burst did not come out.
func (u *unit) missing(out int) error {
	for i := range u.burst.N {
		if u.lane.Frame(i) == nil {
			if why := u.lane.Fate(i); !u.used && slices.Contains(tooLong, why) {
				return &backends.UnsupportedError{Msg: fmt.Sprintf("%s: frames of %d bytes do not fit", why, u.burst.Len[i])}
			}
			return fmt.Errorf("%d of %d frames came out; lost: %s in %s", out, u.burst.N, u.lane.Fate(i), wire.Summary(u.burst.Head[i]))
		}
	}
	return fmt.Errorf("%d of %d frames came out", out, u.burst.N)
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// packets forwards about n packets, whole bursts and for first packets whole
// turns of the flows, and returns how many and how long it took. Time in which
// flows expire does not count. each, when not nil, is told the time of every
// burst, and then the sum is theirs.
func (u *unit) packets(n int, each func(ns float64)) (int, time.Duration, error) {
	var took time.Duration
	done := 0
	for done < n {
		if u.first && u.tr.at == 0 && u.used {
			if err := u.lane.Advance(idle); err != nil {
				return done, took, err
			}
		}
		stop := n - done
		if u.first {
			stop = min(stop, u.tr.n-u.tr.at)
		}
		k, d, err := u.stretch(stop, each)
		u.used = true
		done += k
		took += d
		if err != nil {
			return done, took, err
		}
	}
	return done, took, nil
}

// stretch forwards at least n packets without a pause.
func (u *unit) stretch(n int, each func(ns float64)) (done int, took time.Duration, err error) {
	begun := u.clock()
	for done < n {
		var at time.Time
		if each != nil {
			at = time.Now()
		}
		u.tr.fill(&u.burst)
		out := u.lane.Forward(&u.burst)
		for range u.spin {
			u.spun = u.spun*6364136223846793005 + 1442695040888963407
		}
		if each != nil {
			each(float64(time.Since(at)))
		}
		if out != u.burst.N {
			return done, 0, u.missing(out)
		}
		done += u.burst.N
	}
	// A clock that ticks has not always moved.
	return done, max(u.clock()-begun, 1), nil
}

// refer runs the reference loop for at least a time, and over a turn of its
// slots.
func (u *unit) refer(long time.Duration) (int, time.Duration) {
	at := u.tr.at
	u.tr.at = 0
	begun := u.clock()
	done := 0
	var took time.Duration
	for ok := true; ok; ok = took < max(long, 1) {
		for range 64 {
			u.tr.fill(&u.burst)
			u.ref.burst(&u.burst)
			done += u.burst.N
		}
		took = u.clock() - begun
	}
	u.tr.at = at
	return done, took
}

func (u *unit) close() {
	if u == nil {
		return
	}
	if u.lane != nil {
		u.lane.Close()
	}
	u.lab.close()
}

// team is the workers of a cell.
type team []*unit

func newTeam(ctx context.Context, b backends.Backend, cfg backends.WorldConfig, p *Path, ld load, workers int) (team, error) {
	var t team
	ld.flows = max(1, ld.flows/workers)
	for i := range workers {
		ld.seed += uint64(i)
		u, err := newUnit(ctx, b, cfg, p, ld)
		if err != nil {
			t.close()
			return nil, err
		}
		if workers > 1 {
			// How well workers go beside each other is a matter of real time.
			u.clock = wallTime
		}
		t = append(t, u)
	}
	return t, nil
}

func (t team) close() {
	for _, u := range t {
		u.close()
	}
}

// timing is what a team took for some packets.
type timing struct {
	packets int // of one worker
	ns      float64
	mpps    float64 // of all
	cycles  float64 // per packet, 0 without a counter
}

// run lets all workers forward n packets at a time.
func (t team) run(n int) (timing, error) {
	type result struct {
		k      int
		d      time.Duration
		cycles uint64
		err    error
	}
	results := make([]result, len(t))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, u := range t {
		wg.Go(func() {
			runtime.LockOSThread() // the counter is the thread's
			defer runtime.UnlockOSThread()
			c := openCounter()
			defer c.close()
			<-start
			before := c.read()
			r := &results[i]
			r.k, r.d, r.err = u.packets(n, nil)
			r.cycles = c.read() - before
		})
	}
	close(start)
	wg.Wait()
	var out timing
	for _, r := range results {
		if r.err != nil {
			return timing{}, r.err
		}
		ns := float64(r.d) / float64(r.k)
		out.packets = r.k
		out.ns += ns / float64(len(t))
		out.mpps += 1e3 / ns
		out.cycles += float64(r.cycles) / float64(r.k) / float64(len(t))
	}
	return out, nil
}

// refer is the reference loop on all workers.
func (t team) refer(long time.Duration) float64 {
	times := make([]float64, len(t))
	var wg sync.WaitGroup
	for i, u := range t {
		wg.Go(func() {
			k, d := u.refer(long)
			times[i] = float64(d) / float64(k)
		})
	}
	wg.Wait()
	sum := 0.0
	for _, ns := range times {
		sum += ns
	}
	return sum / float64(len(t))
}
