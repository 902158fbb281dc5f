package fabric

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// localPublish lets the host itself use ports that VFP publishes with the flag
// LocalRoutedVip (rules L2B-30, LB-13). Such connections never meet a switch
// port on their way out, so the host's stack redirects them: destination VIP
// and port become the pod's, and the answers are turned back.
type localPublish struct {
	h     *Host
	vips  []LocalVIP
	going map[localFlow]*localUse // by what the host sends: host, VIP
	open  map[localFlow]*localUse // by what it gets: host, target
}

// localFlow is a redirected flow in one of its two shapes.
type localFlow struct {
	proto      uint8
	host, peer netip.AddrPort
}

type localUse struct {
	id          string // of the LocalVIP
	proto       uint8
	host        netip.AddrPort
	vip, target netip.AddrPort
	seen        int64
}

// localIdle is how long an idle redirection lives; VFP's own flows live as
// long (rule VFP-09). maxLocal bounds how many there are.
const (
	localIdle = int64(240 * time.Second)
	maxLocal  = 4096
)

// newLocalPublish takes over the connections that still have their target.
func newLocalPublish(h *Host, vips []LocalVIP) *localPublish {
	l := &localPublish{h: h, vips: vips, going: map[localFlow]*localUse{}, open: map[localFlow]*localUse{}}
	if h.local == nil {
		return l
	}
	for _, u := range h.local.open {
		for i := range vips {
			if v := &vips[i]; v.ID == u.id && v.serves(u.proto, u.vip) && slices.Contains(v.Targets, u.target) {
				l.remember(u)
				break
			}
		}
	}
	return l
}

func (v *LocalVIP) serves(proto uint8, to netip.AddrPort) bool {
	return v.Proto == proto && v.Port == to.Port() && (!v.VIP.IsValid() || v.VIP == to.Addr())
}

func (l *localPublish) remember(u *localUse) {
	l.going[localFlow{u.proto, u.host, u.vip}] = u
	l.open[localFlow{u.proto, u.host, u.target}] = u
}

func (l *localPublish) forget(u *localUse) {
	delete(l.going, localFlow{u.proto, u.host, u.vip})
	delete(l.open, localFlow{u.proto, u.host, u.target})
}

// redirect changes a packet that the host sends to a published port.
func (l *localPublish) redirect(now int64, p *vfp.Packet) bool {
	if l == nil || len(l.vips) == 0 || !p.Meta.HasL4 {
		return false
	}
	h := vfp.HeaderOf(p.Bytes(), &p.Meta)
	vip := netip.AddrPortFrom(h.Dst, h.DstPort)
	for i := range l.vips {
		v := &l.vips[i]
		if !v.serves(h.Proto, vip) || !l.h.owns(h.Dst) {
			continue
		}
		u := l.use(now, v, &h)
		wire.SetDst(p.Bytes(), &p.Meta, u.target.Addr())
		wire.SetDstPort(p.Bytes(), &p.Meta, u.target.Port())
		return true
	}
	return false
}

// use is the redirection of a packet: the one that its connection has, or a
// new one.
func (l *localPublish) use(now int64, v *LocalVIP, h *vfp.Header) *localUse {
	from, vip := netip.AddrPortFrom(h.Src, h.SrcPort), netip.AddrPortFrom(h.Dst, h.DstPort)
	u := l.going[localFlow{h.Proto, from, vip}]
	if u != nil && now-u.seen < localIdle {
		u.seen = now
		return u
	}
	if u != nil {
		l.forget(u)
	}
	if len(l.open) >= maxLocal {
		l.sweep(now)
	}
	i := 0
	if v.Choose != nil {
		i = v.Choose(h)
	}
	u = &localUse{v.ID, h.Proto, from, vip, v.Targets[i], now}
	l.remember(u)
	return u
}

// restore turns an answer back.
func (l *localPublish) restore(now int64, p *vfp.Packet) bool {
	if l == nil || len(l.open) == 0 || !p.Meta.HasL4 {
		return false
	}
	b := p.Bytes()
	u := l.open[localFlow{p.Meta.Proto, netip.AddrPortFrom(p.Meta.Dst(b), p.Meta.DstPort), netip.AddrPortFrom(p.Meta.Src(b), p.Meta.SrcPort)}]
	if u == nil || now-u.seen >= localIdle {
		return false
	}
	u.seen = now
	wire.SetSrc(b, &p.Meta, u.vip.Addr())
	wire.SetSrcPort(b, &p.Meta, u.vip.Port())
	return true
}

// sweep forgets what is idle. Which entries go does not depend on the order
// in which the map is walked.
func (l *localPublish) sweep(now int64) {
	for _, u := range l.open {
		if now-u.seen >= localIdle {
			l.forget(u)
		}
	}
}

func durationUntil(now, at int64) time.Duration { return time.Duration(max(at-now, 0)) }
