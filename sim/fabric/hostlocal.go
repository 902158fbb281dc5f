package fabric

import (
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// localPublish lets the host itself use ports that VFP publishes with the
// flag LocalRoutedVip (rule L2B-30). Such connections never meet a switch port
// on their way out, so the host's stack redirects them: destination VIP and
// port become the pod's, and the answers are turned back.
type localPublish struct {
	h    *Host
	vips []LocalVIP
	open map[localFlow]localUse
}

// localFlow is a redirected flow as its answers look: from the pod, to a port
// of the host.
type localFlow struct {
	proto uint8
	pod   netip.AddrPort
	host  netip.AddrPort
}

type localUse struct {
	vip  netip.AddrPort
	seen int64
}

// localIdle is how long an idle redirection lives; VFP's own flows live as
// long (rule VFP-09). maxLocal bounds how many there are.
const (
	localIdle = int64(240 * time.Second)
	maxLocal  = 4096
)

func newLocalPublish(h *Host, vips []LocalVIP) *localPublish {
	l := &localPublish{h: h, vips: vips, open: map[localFlow]localUse{}}
	if h.local != nil {
		l.open = h.local.open
	}
	return l
}

// redirect changes a packet that the host sends to a published port.
func (l *localPublish) redirect(now int64, p *vfp.Packet) bool {
	if l == nil || len(l.vips) == 0 || !p.Meta.HasL4 {
		return false
	}
	b := p.Bytes()
	dst := p.Meta.Dst(b)
	for _, v := range l.vips {
		if v.Proto != p.Meta.Proto || v.Port != p.Meta.DstPort || v.VIP.IsValid() && v.VIP != dst || !l.h.owns(dst) {
			continue
		}
		f := localFlow{v.Proto, v.Internal, netip.AddrPortFrom(p.Meta.Src(b), p.Meta.SrcPort)}
		if len(l.open) >= maxLocal {
			l.sweep(now)
		}
		l.open[f] = localUse{netip.AddrPortFrom(dst, v.Port), now}
		wire.SetDst(b, &p.Meta, v.Internal.Addr())
		wire.SetDstPort(b, &p.Meta, v.Internal.Port())
		return true
	}
	return false
}

// restore turns an answer back.
func (l *localPublish) restore(now int64, p *vfp.Packet) bool {
	if l == nil || len(l.open) == 0 || !p.Meta.HasL4 {
		return false
	}
	b := p.Bytes()
	f := localFlow{p.Meta.Proto, netip.AddrPortFrom(p.Meta.Src(b), p.Meta.SrcPort), netip.AddrPortFrom(p.Meta.Dst(b), p.Meta.DstPort)}
	u, ok := l.open[f]
	if !ok || now-u.seen >= localIdle {
		return false
	}
	u.seen = now
	l.open[f] = u
	wire.SetSrc(b, &p.Meta, u.vip.Addr())
	wire.SetSrcPort(b, &p.Meta, u.vip.Port())
	return true
}

// sweep forgets what is idle. Which entries go does not depend on the order
// in which the map is walked.
func (l *localPublish) sweep(now int64) {
	for f, u := range l.open {
		if now-u.seen >= localIdle {
			delete(l.open, f)
		}
	}
}

func durationUntil(now, at int64) time.Duration { return time.Duration(max(at-now, 0)) }
