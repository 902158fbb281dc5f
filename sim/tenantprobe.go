package sim

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/sdn"
)

func routeTo(a sdn.Announcement) ipstack.Route {
	return ipstack.Route{Dst: netip.PrefixFrom(a.VIP, a.VIP.BitLen()), Via: a.Via}
}

// prober sends the health probes of physical hosts and keeps what came of them
// (rule SDN-18): an address is up after so many good answers in a row, and down
// after as many failures. Before the first it is down.
type prober struct {
	w     *World
	tasks map[string]*probing
	// failed is the first plan for a new state of health that could not be carried
	// out. Nobody waits for it, so it is kept (World.TenantError).
	failed error
}

// probing is one probe of one address.
type probing struct {
	p     *prober
	task  sdn.ProbeTask
	timer *fabric.Timer
	conn  *ipstack.Conn // under way
	got   []byte
	run   int  // equal results in a row
	last  bool // the last result
	up    bool
}

func newProber(w *World) *prober { return &prober{w: w, tasks: map[string]*probing{}} }

func (p *prober) healthy(key string) bool {
	t := p.tasks[key]
	return t != nil && t.up
}

// set makes the probes those of a plan. One that goes on keeps its results.
func (p *prober) set(tasks []sdn.ProbeTask) {
	keep := map[string]bool{}
	for _, t := range tasks {
		keep[t.Key] = true
		if old := p.tasks[t.Key]; old != nil {
			old.task = t
			continue
		}
		n := &probing{p: p, task: t}
		p.tasks[t.Key] = n
		n.arm()
	}
	for _, key := range slices.Sorted(maps.Keys(p.tasks)) { // in order: resets are packets
		if t := p.tasks[key]; !keep[key] {
			t.timer.Stop()
			t.drop(p.w.Loop().Now())
			delete(p.tasks, key)
		}
	}
}

func (t *probing) arm() {
	t.timer = t.p.w.Loop().After(time.Duration(t.task.Probe.Interval), t.send)
}

// send begins a probe; one that is still under way has failed.
func (t *probing) send(now int64) {
	if t.p.tasks[t.task.Key] != t {
		return
	}
	t.arm()
	if t.drop(now) {
		t.result(now, false)
	}
	host := t.p.w.Physical(t.task.Host)
	comp := host.Compartment(t.task.Compartment)
	if comp == nil {
		t.result(now, false)
		return
	}
	t.got = nil
	c, err := comp.Stack.Dial(now, netip.AddrPortFrom(t.task.From, 0), netip.AddrPortFrom(t.task.To, t.task.Probe.Port), t.event)
	if err != nil {
		t.result(now, false)
		return
	}
	t.conn = c
}

// drop ends a probe that is under way, if one is.
func (t *probing) drop(now int64) bool {
	c := t.conn
	if c == nil {
		return false
	}
	t.conn = nil
	c.Abort(now)
	return true
}

// event follows the probe's connection.
func (t *probing) event(now int64, c *ipstack.Conn, e ipstack.Event) {
	if c != t.conn {
		return
	}
	pr := t.task.Probe
	switch e {
	case ipstack.EventConnected:
		if pr.HTTP == "" {
			t.finish(now, true)
			return
		}
		_, _ = c.Write(now, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", pr.HTTP, t.task.To))
	case ipstack.EventData:
		t.got = append(t.got, c.Take(now)...)
		if line, _, ok := bytes.Cut(t.got, []byte("\n")); ok || len(t.got) >= 12 {
			t.finish(now, answersOK(line))
		}
	case ipstack.EventPeerClosed, ipstack.EventClosed:
		t.finish(now, false)
	}
}

// answersOK reports whether an answer's first line is HTTP's 200.
func answersOK(line []byte) bool {
	f := bytes.Fields(line)
	return len(f) >= 2 && bytes.HasPrefix(f[0], []byte("HTTP/1.")) && string(f[1]) == "200"
}

func (t *probing) finish(now int64, ok bool) {
	c := t.conn
	t.conn = nil
	c.Close(now)
	t.result(now, ok)
}

func (t *probing) result(now int64, ok bool) {
	if ok != t.last {
		t.run, t.last = 0, ok
	}
	t.run++
	if t.run < t.task.Probe.Count || t.up == ok {
		return
	}
	t.up = ok
	// Not from within the stack that brought the answer.
	t.p.w.Loop().PostFunc(now, "sdn/health", func(int64) {
		// The documents were accepted, and health should not contradict them.
		if err := t.p.w.ApplyTenants(); err != nil && t.p.failed == nil {
			t.p.failed = fmt.Errorf("health of %s: %w", t.task.Key, err)
		}
	})
}
