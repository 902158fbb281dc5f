package hns

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// How long Do waits for what a stimulus sets off: until nothing has been
// reported for quiet, and at most patience if nothing is.
const (
	quiet          = 20 * time.Millisecond
	patience       = 400 * time.Millisecond
	defaultTimeout = 3 * time.Second
)

// Do carries out a stimulus through a probe.
func (w *hostWorld) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	if err := w.possible(s); err != nil {
		return backends.Outcome{}, err
	}
	if w.opt.DryRun != nil {
		return backends.Outcome{OK: true}, w.say("%s by %s: %s > %s", s.Kind, s.Role, s.Src, s.Dst)
	}
	r, err := w.role(s.Role)
	if err != nil {
		return backends.Outcome{}, err
	}
	req := probeRequest{Proto: s.Proto, Src: s.Src.Addr(), SrcPort: s.Src.Port(), Dst: s.Dst, TTL: s.TTL, Payload: s.Payload,
		Count: s.Count, Every: s.Every, Timeout: s.Timeout, Answer: s.Reply, Echo: s.Reply == nil}
	if req.Timeout <= 0 {
		req.Timeout = defaultTimeout
	}
	if !req.Src.IsValid() {
		req.Src = r.address(s.Dst.Addr())
	}
	switch s.Kind {
	case backends.SendPacket:
		req.Do = probeSend
		if err := w.watch(ctx, s.Dst.Port()); err != nil {
			return backends.Outcome{}, err
		}
	case backends.TCPConnect:
		req.Do = probeConnect
	case backends.Ping:
		req.Do = probePing
	case backends.Listen:
		req.Do = probeListen
	case backends.Bind:
		req.Do = probeBind
	}
	if err := w.tap(); err != nil {
		return backends.Outcome{}, err
	}
	m, err := r.probe.ask(ctx, req)
	if err != nil {
		return backends.Outcome{}, err
	}
	w.frames++
	out := backends.Outcome{OK: m.OK, Detail: m.Detail, Received: m.Payload, Local: m.Local, ID: w.frames}
	return out, w.settle(ctx)
}

// possible refuses what sockets cannot do.
func (w *hostWorld) possible(s backends.Stimulus) error {
	if _, away := w.absent[s.Role]; away {
		return w.elsewhere(s.Role)
	}
	if w.roles[s.Role] == nil && s.Role != w.self {
		return usage("no role %q", s.Role)
	}
	for name, prefixes := range w.absent {
		for _, p := range prefixes {
			if s.Dst.Addr().IsValid() && p.Addr() == s.Dst.Addr() {
				return w.elsewhere(name)
			}
		}
	}
	switch s.Kind {
	case backends.SendPacket:
		if s.Proto != "udp" || s.DF || s.TOS != 0 || s.IPID != 0 || s.NoChecksum || len(s.Fragments) > 0 {
			return unsupported("a socket of Windows does not send this packet (%s): only UDP, with a TTL at most", s.Proto)
		}
	case backends.TCPConnect:
		if s.Account != "" {
			return unsupported("connections of account %s need its password", s.Account)
		}
	case backends.Ping, backends.Listen, backends.Bind:
	case backends.SendFrame, backends.ARPProbe, backends.DHCPStart:
		return unsupported("%s: sockets of Windows do not reach below IP", s.Kind)
	default:
		return usage("unknown stimulus %q", s.Kind)
	}
	return nil
}

// role is the probe of a role. That of the host is started when it is needed.
func (w *hostWorld) role(name string) (*hostRole, error) {
	r := w.roles[name]
	if r == nil && name == w.self {
		addrs, err := w.d.addrs()
		if err != nil {
			return nil, err
		}
		r = &hostRole{name: name}
		for _, p := range addrs {
			r.addrs = append(r.addrs, p.Addr())
		}
		if r.probe, err = w.d.startProbe(0, w.wake); err != nil {
			return nil, err
		}
		w.roles[name] = r
	}
	if r == nil || r.probe == nil {
		return nil, usage("container %s has no network compartment: it was not started, or has no endpoint", name)
	}
	return r, nil
}

// address is the role's address for a destination.
func (r *hostRole) address(dst netip.Addr) netip.Addr {
	for _, a := range r.addrs {
		if !dst.IsValid() || a.Is4() == dst.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// watch has every container report datagrams to a port, which no socket would
// get otherwise.
func (w *hostWorld) watch(ctx context.Context, port uint16) error {
	for _, name := range w.order {
		r := w.roles[name]
		if r.probe == nil || r.shared {
			continue
		}
		for _, a := range r.addrs {
			// A port that is held otherwise is watched by who holds it.
			if _, err := r.probe.ask(ctx, probeRequest{Do: probeWatch, Src: a, SrcPort: port}); err != nil {
				return err
			}
		}
	}
	return nil
}

// wake says that a probe has reported something.
func (w *hostWorld) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// settle waits until nothing is reported any more, and takes what was.
func (w *hostWorld) settle(ctx context.Context) error {
	timer := time.NewTimer(cmp.Or(w.d.patience, patience))
	defer timer.Stop()
	for {
		select {
		case <-w.changed:
			timer.Reset(min(quiet, cmp.Or(w.d.patience, patience)))
		case <-timer.C:
			return w.collect()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// collect turns what was reported into observations, in the order of time.
func (w *hostWorld) collect() error {
	var fresh []backends.Observation
	names := slices.Clone(w.order)
	if w.roles[w.self] != nil {
		names = append(names, w.self)
	}
	for _, name := range names {
		r := w.roles[name]
		if r.probe == nil || r.shared {
			continue
		}
		for _, m := range r.probe.events() {
			if o, ok := w.observation(name, m); ok {
				fresh = append(fresh, o)
			}
		}
	}
	if w.tapped {
		frames, err := w.d.capture.take()
		if err != nil {
			return err
		}
		for _, f := range frames {
			fresh = append(fresh, f.observation(w.self, w.start, w.owns))
		}
	}
	slices.SortStableFunc(fresh, func(a, b backends.Observation) int { return int(a.At - b.At) })
	for _, o := range fresh {
		o.Seq = len(w.seen)
		w.seen = append(w.seen, o)
	}
	return nil
}

// observation makes the frame that a probe has seen the inside of.
func (w *hostWorld) observation(role string, m probeMessage) (backends.Observation, bool) {
	f := wire.Frame{EthDst: mac, EthSrc: mac, IP: &wire.IPFields{Src: m.Src.Addr(), Dst: m.Dst.Addr(), TTL: 128}, Payload: m.Payload}
	switch m.Proto {
	case "udp":
		f.UDP = &wire.UDPFields{SrcPort: m.Src.Port(), DstPort: m.Dst.Port()}
	case "tcp":
		syn, _ := wire.ParseTCPFlags("S")
		f.TCP = &wire.TCPFields{SrcPort: m.Src.Port(), DstPort: m.Dst.Port(), Flags: syn}
	}
	b, err := f.Build()
	kind, known := map[string]backends.ObservationKind{"received": backends.Received, "sent": backends.Sent}[m.Event]
	if err != nil || !known {
		return backends.Observation{}, false
	}
	w.frames++
	return backends.Observation{At: time.Unix(0, m.At).Sub(w.start), Kind: kind, Role: role, Frame: b, ID: w.frames,
		Where: strings.TrimSpace("socket " + m.Proto)}, true
}

// tap starts the capture of the wire with the first stimulus.
func (w *hostWorld) tap() error {
	if w.d.capture == nil || w.tapped {
		return nil
	}
	w.tapped = true
	return w.d.capture.start()
}
