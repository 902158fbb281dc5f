package vswitch

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// MaxACLFlows bounds the stateful ACL flows of one port and family. A flow
// beyond that passes in its own direction and has no state, so that its
// replies meet the rules.
const MaxACLFlows = 16384

// aclKey is a flow in the direction in which a rule let it pass.
type aclKey[K comparable] struct {
	key K
	dir vfp.Dir
	vid uint16
}

// aclFlow is what a stateful extended ACL remembers.
type aclFlow struct {
	last, idle int64
	gen        uint32 // of the port's ACLs when the flow was last judged
}

func (f aclFlow) expired(now int64) bool { return now-f.last >= f.idle }

// aclFlows is the state of a port's extended ACLs (rule VS-31).
type aclFlows struct {
	v4 flowTable[wire.Key4]
	v6 flowTable[wire.Key6]
}

// flowTable is bounded; nothing observable depends on its iteration order.
type flowTable[K comparable] struct {
	flows map[aclKey[K]]aclFlow
	// sweepAt is the earliest time at which a sweep of a full table can free
	// an entry, so that a full table is not searched for every packet.
	sweepAt int64
}

// find returns the live flow at k.
func (t *flowTable[K]) find(now int64, k aclKey[K]) (aclFlow, bool) {
	f, ok := t.flows[k]
	if ok && f.expired(now) {
		delete(t.flows, k)
		return aclFlow{}, false
	}
	return f, ok
}

// put stores f, dropping expired flows first when there is no room.
func (t *flowTable[K]) put(now int64, k aclKey[K], f aclFlow) {
	if t.flows == nil {
		t.flows = make(map[aclKey[K]]aclFlow)
	}
	if _, ok := t.flows[k]; !ok && len(t.flows) >= MaxACLFlows {
		if now < t.sweepAt {
			return
		}
		t.sweep(now)
		if len(t.flows) >= MaxACLFlows {
			return
		}
	}
	t.flows[k] = f
}

// sweep removes expired flows and notes when the next one can expire.
func (t *flowTable[K]) sweep(now int64) {
	next := int64(0)
	for k, f := range t.flows {
		if f.expired(now) {
			delete(t.flows, k)
		} else if at := f.last + f.idle; next == 0 || at < next {
			next = at
		}
	}
	t.sweepAt = next
}

// replies reports whether p answers a remembered flow of the other direction,
// and keeps that flow alive.
func (s *aclFlows) replies(q *port, now int64, p *vfp.Packet, dir vfp.Dir, vid uint16) bool {
	if p.Meta.IsIPv4 {
		k := aclKey[wire.Key4]{p.Meta.Key4(p.Bytes(), 0).Reverse(), dir.Reverse(), vid}
		f, ok := s.v4.find(now, k)
		if !ok {
			return false
		}
		t := tuple4(k.key, vid)
		return touch(q, &s.v4, now, k, f, &t)
	}
	k := aclKey[wire.Key6]{p.Meta.Key6(p.Bytes(), 0).Reverse(), dir.Reverse(), vid}
	f, ok := s.v6.find(now, k)
	if !ok {
		return false
	}
	t := tuple6(k.key, vid)
	return touch(q, &s.v6, now, k, f, &t)
}

// touch refreshes the flow. After a change of the port's ACLs the flow lives
// on only if a stateful rule still lets its first direction pass.
func touch[K comparable](q *port, table *flowTable[K], now int64, k aclKey[K], f aclFlow, t *tuple) bool {
	if f.gen != q.run.aclGen {
		a := firstMatch(q.ext[k.dir], t)
		if a == nil || !a.Allow || !a.Stateful {
			delete(table.flows, k)
			return false
		}
		f.gen, f.idle = q.run.aclGen, a.IdleTimeout
	}
	f.last = now
	table.put(now, k, f)
	return true
}

// remember records the flow of p.
func (s *aclFlows) remember(q *port, now int64, p *vfp.Packet, dir vfp.Dir, vid uint16, idle int64) {
	f := aclFlow{last: now, idle: idle, gen: q.run.aclGen}
	if p.Meta.IsIPv4 {
		s.v4.put(now, aclKey[wire.Key4]{p.Meta.Key4(p.Bytes(), 0), dir, vid}, f)
	} else {
		s.v6.put(now, aclKey[wire.Key6]{p.Meta.Key6(p.Bytes(), 0), dir, vid}, f)
	}
}

func tuple4(k wire.Key4, vid uint16) tuple {
	return flowTuple(wire.AddrFrom4(k.Src()), wire.AddrFrom4(k.Dst()), k.Proto(), k.SrcPort(), k.DstPort(), vid)
}

func tuple6(k wire.Key6, vid uint16) tuple {
	return flowTuple(wire.AddrFrom16(k.Src), wire.AddrFrom16(k.Dst), k.Proto(), k.SrcPort(), k.DstPort(), vid)
}

// flowTuple restores the tuple of a flow from its key. The MAC is gone, but
// extended ACLs do not look at it.
func flowTuple(src, dst netip.Addr, proto uint8, sport, dport, vid uint16) tuple {
	ports := proto == wire.ProtoTCP || proto == wire.ProtoUDP
	return tuple{src: src, dst: dst, proto: proto, ports: ports, sport: sport, dport: dport, vid: vid}
}
