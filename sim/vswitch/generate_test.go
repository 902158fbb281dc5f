package vswitch

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// gen makes random switches, policies and frames. Everything comes from small
// pools, so that things meet.
type gen struct {
	*rand.Rand
	pools map[string]*vfp.NATPool // by port and protocol, over all configs of one switch
	space *vfp.PortSpace
	calm  bool // few ports ask for anything unusual
}

func newGen(seed uint64) *gen {
	return &gen{rand.New(rand.NewPCG(seed, 1)), map[string]*vfp.NATPool{}, vfp.NewPortSpace(), seed%2 == 1}
}

func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *gen, list ...T) T { return list[g.IntN(len(list))] }

var genPorts = []vfp.PortID{idA, idB, idC, idHost, idWire}

func (g *gen) addr() netip.Addr { return addr(pick(g, idA, idB, idC, idHost, idRouter)) }

func (g *gen) mac() wire.MAC {
	return pick(g, mac(idA), mac(idB), mac(idC), mac(idHost), mac(idRouter), wire.MAC{2, 0, 0, 0, 0, 0x77})
}

// config is a random external switch with the usual ports.
func (g *gen) config() *Config {
	c := &Config{Name: "sw", Kind: External, VFP: !g.chance(5), FloodUnknown: g.chance(10), MTU: pick(g, 0, 120, 1600)}
	for i, id := range genPorts {
		p := PortConfig{ID: id, Name: []string{"a", "b", "c", "host", "wire"}[i], MAC: mac(id), MTU: pick(g, 0, 0, 100)}
		switch id {
		case idHost:
			p.Kind = HostPort
		case idWire:
			p.Kind = ExternalPort
		default:
			p.Zone = pick(g, uint32(0), 0, 5, 6)
			p.Isolated = g.chance(5)
			p.Tunnelled = p.Zone != 0 && g.chance(20)
			p.Blocked = g.chance(3)
			if g.chance(10) {
				p.MAC = mac(idA)
			}
		}
		p.MACSpoofing = g.chance(20)
		p.DHCPGuard, p.RouterGuard = g.chance(10), g.chance(10)
		p.StormLimit = pick(g, uint32(0), 0, 0, 3)
		p.Mirror = pick(g, MirrorNone, MirrorNone, MirrorNone, MirrorSource, MirrorDestination)
		if g.chance(30) {
			p.VLAN = g.vlan()
		}
		if g.chance(20) {
			p.ACLs = append(p.ACLs, PortACL{Dir: vfp.Dir(g.IntN(2)), Remote: netip.PrefixFrom(g.addr(), pick(g, 0, 24, 32)).Masked(), Allow: g.chance(60)})
		}
		for range g.IntN(5) / 2 {
			p.ExtACLs = append(p.ExtACLs, ExtACL{
				Dir: vfp.Dir(g.IntN(2)), Weight: g.IntN(3), Proto: pick[uint8](g, 0, 6, 17),
				Remote: netip.PrefixFrom(g.addr(), pick(g, 0, 32)).Masked(), Allow: g.chance(70), Stateful: g.chance(50),
			})
		}
		if g.calm && !g.chance(10) {
			p = PortConfig{ID: p.ID, Name: p.Name, Kind: p.Kind, MAC: p.MAC, Zone: p.Zone, Tunnelled: p.Tunnelled, MTU: p.MTU}
		}
		if g.chance(80) {
			p.Program = g.program(id)
		}
		c.Ports = append(c.Ports, p)
	}
	return c
}

func (g *gen) vlan() VLANConfig {
	v := VLANConfig{AllowIeeePriorityTag: g.chance(30)}
	switch g.IntN(3) {
	case 0:
		v.Mode, v.AccessID = VLANAccess, pick[uint16](g, 7, 8)
	case 1:
		v.Mode, v.Allowed, v.Native = VLANTrunk, []uint16{7, 8}, pick[uint16](g, 0, 1, 7)
	default:
		role := PrivateVLAN(g.IntN(3))
		v.Mode, v.Primary, v.Secondary, v.Private = VLANPrivate, 7, 100+uint16(role), role
	}
	return v
}

// program is a random policy: ACL, NAT, route.
func (g *gen) program(id vfp.PortID) *vfp.Program {
	p := &vfp.Program{}
	if g.chance(70) {
		p.Layers = append(p.Layers, vfp.Layer{Name: "acl", Priority: 200, Reconcile: pick(g, vfp.Reevaluate, vfp.KeepWhileRule, vfp.KeepAlways), Groups: g.groups(g.aclRule)})
	}
	if g.chance(50) {
		p.Layers = append(p.Layers, vfp.Layer{Name: "nat", Priority: 300, Groups: g.groups(func() vfp.Rule { return g.natRule(id) })})
	}
	if g.chance(60) {
		p.Layers = append(p.Layers, vfp.Layer{Name: "route", Priority: 400, Groups: g.groups(g.routeRule)})
	}
	return p
}

func (g *gen) groups(rule func() vfp.Rule) []vfp.Group {
	var list []vfp.Group
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		grp := vfp.Group{Name: dir.String(), Dir: dir}
		for i := range 1 + g.IntN(3) {
			r := rule()
			r.ID, r.Priority = fmt.Sprintf("%s%d", r.Action.Name(), i), uint16(i)
			grp.Rules = append(grp.Rules, r)
		}
		list = append(list, grp)
	}
	return list
}

func (g *gen) match() vfp.Match {
	var m vfp.Match
	if g.chance(50) {
		m.Protos = []uint8{pick[uint8](g, 1, 6, 17)}
	}
	if g.chance(40) {
		m.Dst = []netip.Prefix{netip.PrefixFrom(g.addr(), pick(g, 24, 32)).Masked()}
	}
	if g.chance(20) {
		m.SrcPorts = []vfp.PortRange{{Lo: 1000, Hi: 1001}}
	}
	return m
}

func (g *gen) aclRule() vfp.Rule {
	r := vfp.Rule{Match: g.match(), Terminating: g.chance(50), Idle: pick(g, int64(0), 0, 5*second)}
	if r.Action = vfp.Action(vfp.Block{}); g.chance(75) {
		r.Action, r.Stateful = vfp.Allow{}, g.chance(70)
	}
	return r
}

func (g *gen) natRule(id vfp.PortID) vfp.Rule {
	r := vfp.Rule{Match: g.match(), Stateful: true, Idle: pick(g, int64(0), 5*second)}
	port := uint16(1001)
	switch g.IntN(4) {
	case 0:
		r.Action = vfp.DynNAT{Pool: g.pool(id, pick[uint8](g, 6, 17)), To: addr(idHost)}
	case 1:
		r.Action = vfp.SetHeaders{Dst: g.addr(), DstPort: &port}
	case 2:
		r.Action = vfp.SetHeaders{Src: g.addr()}
	default:
		m := g.mac()
		r.Action = vfp.SetHeaders{EthSrc: &m}
	}
	return r
}

func (g *gen) pool(id vfp.PortID, proto uint8) *vfp.NATPool {
	key := fmt.Sprint(id, proto)
	if g.pools[key] == nil {
		p, err := vfp.NewNATPool(g.space, proto, uint64(id)<<8|uint64(proto), 0)
		if err != nil {
			panic(err)
		}
		g.pools[key] = p
	}
	return g.pools[key]
}

func (g *gen) routeRule() vfp.Rule {
	r := vfp.Rule{Match: g.match()}
	to := pick(g, genPorts...)
	zone := pick(g, uint32(5), 6)
	maxLen := 60 + g.IntN(60)
	kind := vfp.ForwardKind(g.IntN(int(vfp.WireAndHost) + 1))
	answer := bytesOf(udp(idRouter, idA))
	switch g.IntN(8) {
	case 0:
		r.Action = then(encap)
	case 1:
		r.Action = then(decapVXLAN)
	case 2:
		r.Action = then(func(w *vfp.Walk) { w.Zone = zone })
	case 3:
		r.Action = then(func(w *vfp.Walk) {
			w.MaxLen = maxLen
			if len(w.Frame) > maxLen {
				w.Fwd = vfp.Forward{Kind: vfp.ToHost}
			}
		})
	case 4:
		r.Action = act(func(w *vfp.Walk) vfp.Outcome {
			w.Replies = append(w.Replies, answer)
			return vfp.Stop
		})
	case 5:
		r.Action = then(func(w *vfp.Walk) { w.DecTTL++ })
	default:
		r.Action = vfp.ForwardTo{Forward: vfp.Forward{Kind: kind, Port: to}}
	}
	return r
}

// decapVXLAN strips the outer headers of whatever VXLAN packet.
func decapVXLAN(w *vfp.Walk) {
	tun, ok := wire.ParseVXLAN(w.Frame, w.Meta)
	if !ok || w.Decap {
		return
	}
	var m wire.Meta
	wire.Parse(w.Frame[tun.Inner:tun.End], &m)
	w.Decap, w.VNI = true, tun.VNI
	w.H = vfp.HeaderOf(w.Frame[tun.Inner:tun.End], &m)
}

// frame is a random frame that the port might send.
func (g *gen) frame(from vfp.PortID) []byte {
	f := wire.Frame{EthSrc: mac(from), EthDst: g.mac()}
	switch {
	case g.chance(10):
		f.EthSrc = g.mac()
	case g.chance(10):
		f.EthDst = pick(g, wire.Broadcast, wire.MAC{1, 0, 0x5e, 0, 0, 1}, wire.MAC{1, 0x80, 0xc2})
	}
	if g.chance(30) {
		f.VLAN = &wire.VLANFields{ID: pick[uint16](g, 0, 7, 8, 9, 101, 102), Priority: uint8(g.IntN(8))}
	}
	if g.chance(10) {
		f.ARP = &wire.ARPFields{SenderMAC: f.EthSrc, SenderIP: g.addr(), TargetIP: g.addr()}
		return f.Bytes()
	}
	f.IP = &wire.IPFields{Src: g.addr(), Dst: g.addr(), TTL: pick[uint8](g, 1, 2, 64)}
	if g.chance(15) {
		f.IP.Src, f.IP.Dst = netip.AddrFrom16([16]byte{0xfd, 15: byte(g.IntN(3))}), netip.AddrFrom16([16]byte{0xfd, 15: byte(g.IntN(3))})
	}
	sport, dport := pick[uint16](g, 53, 80, 1000, 1001, 49152, 49153), pick[uint16](g, 53, 80, 1000, 1001, 49152, 49153)
	f.Payload = make([]byte, pick(g, 0, 8, 40, 90))
	switch g.IntN(10) {
	case 0:
		f.ICMP = &wire.ICMPFields{Type: pick[uint8](g, wire.ICMPEcho, wire.ICMPEchoReply), ID: sport}
		if f.IP.Src.Is6() {
			f.ICMP.Type = wire.ICMP6Echo
		}
	case 1:
		f.IP.Proto = 47
	case 2, 3:
		inner := udp(pick(g, idA, idRouter), pick(g, idA, idB, idC))
		inner.Payload = f.Payload
		f.VXLAN, f.Inner, f.Payload = &wire.VXLANFields{VNI: pick(g, uint32(5), 6)}, &inner, nil
	case 4, 5, 6:
		f.TCP = &wire.TCPFields{SrcPort: sport, DstPort: dport, Flags: pick[uint8](g, wire.TCPSyn, wire.TCPAck, wire.TCPAck, wire.TCPFin|wire.TCPAck, wire.TCPRst)}
	default:
		f.UDP = &wire.UDPFields{SrcPort: sport, DstPort: dport}
		if g.chance(10) && f.IP.Src.Is4() {
			f.IP.MF, f.IP.ID = true, 7
			f.Payload = make([]byte, 16)
		}
	}
	return f.Bytes()
}
