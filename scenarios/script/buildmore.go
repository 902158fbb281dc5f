package script

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/wire"
)

// icmpWords are messages by name, for icmp and icmp6.
var icmpWords = map[string]map[string][2]uint8{
	"icmp": {
		"echo": {wire.ICMPEcho, 0}, "reply": {wire.ICMPEchoReply, 0}, "unreachable": {wire.ICMPUnreachable, wire.ICMPHostUnreachable},
		"port-unreachable": {wire.ICMPUnreachable, wire.ICMPPortUnreachable}, "frag-needed": {wire.ICMPUnreachable, wire.ICMPFragNeeded},
		"time-exceeded": {wire.ICMPTimeExceeded, 0}, "redirect": {wire.ICMPRedirect, 1},
	},
	"icmp6": {
		"echo": {wire.ICMP6Echo, 0}, "reply": {wire.ICMP6EchoReply, 0}, "unreachable": {wire.ICMP6Unreachable, wire.ICMP6AddrUnreachable},
		"port-unreachable": {wire.ICMP6Unreachable, wire.ICMP6PortUnreachable}, "too-big": {wire.ICMP6PacketTooBig, 0},
		"time-exceeded": {wire.ICMP6TimeExceeded, 0},
	},
}

func wordNames[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	return sorted(names)
}

func (a *elementArgs) icmp(f *wire.Frame, layer string) {
	h := &wire.ICMPFields{}
	f.ICMP = h
	if len(a.args) > 0 {
		if m, ok := icmpWords[layer][a.args[0]]; ok {
			h.Type, h.Code = m[0], m[1]
			a.args = a.args[1:]
		}
	}
	a.options(attr{name: "type", set: toUint(&h.Type, 255)}, attr{name: "code", set: toUint(&h.Code, 255)},
		attr{name: "id", set: toUint(&h.ID, 0xffff)}, attr{name: "seq", set: toUint(&h.Seq, 0xffff)},
		attr{name: "mtu", set: toUint(&h.MTU, 1<<32-1)}, attr{name: "sum", set: toPointer(&h.Checksum)})
}

var ndWords = map[string]uint8{"rs": wire.ICMP6RouterSol, "ra": wire.ICMP6RouterAdv, "ns": wire.ICMP6NeighborSol,
	"na": wire.ICMP6NeighborAdv, "redirect": wire.ICMP6Redirect}

func (a *elementArgs) nd(f *wire.Frame) {
	h := &wire.NDFields{}
	f.ND = h
	word := a.take("rs, ra, ns, na or redirect")
	t, ok := ndWords[word]
	if !ok {
		a.check(fmt.Errorf("found %s, expected rs, ra, ns, na or redirect", quoteShort(word)))
	}
	h.Type = t
	a.options(attr{name: "target", set: toAddr(&h.Target)}, attr{name: "dest", set: toAddr(&h.Dest)},
		attr{name: "sll", set: toMAC(&h.SourceLL)}, attr{name: "tll", set: toMAC(&h.TargetLL)},
		attr{name: "flags", set: toUint(&h.Flags, 255)}, attr{name: "lifetime", set: toUint(&h.LifetimeSec, 0xffff)},
		attr{name: "mtu", set: toUint(&h.MTU, 1<<32-1)})
}

var dhcpWords = map[string]uint8{"discover": wire.DHCPDiscover, "offer": wire.DHCPOffer, "request": wire.DHCPRequest,
	"decline": wire.DHCPDecline, "ack": wire.DHCPAck, "nak": wire.DHCPNak, "release": wire.DHCPRelease, "inform": wire.DHCPInform}

// dhcp also fills in what every DHCP message has around it, unless the layers
// in front said otherwise.
func (a *elementArgs) dhcp(f *wire.Frame) {
	h := &wire.DHCPFields{ClientMAC: f.EthSrc, XID: 1}
	f.DHCP = h
	word := a.take("the message")
	t, ok := dhcpWords[word]
	if !ok {
		a.check(fmt.Errorf("found %s, expected a message such as discover or offer%s", quoteShort(word), didYouMean(word, wordNames(dhcpWords))))
	}
	h.Type = t
	server := slices.Contains([]uint8{wire.DHCPOffer, wire.DHCPAck, wire.DHCPNak}, t)
	if server {
		h.ClientMAC = f.EthDst
	}
	a.options(attr{name: "xid", set: toUint(&h.XID, 1<<32-1)}, attr{name: "chaddr", set: toMAC(&h.ClientMAC)},
		attr{name: "ciaddr", set: toAddr(&h.ClientIP)}, attr{name: "yiaddr", set: toAddr(&h.YourIP)},
		attr{name: "requested", set: toAddr(&h.RequestedIP)}, attr{name: "server", set: toAddr(&h.ServerID)},
		attr{name: "router", set: toAddr(&h.Router)}, attr{name: "mask", set: toUint(&h.MaskBits, 32)},
		attr{name: "lease", set: toUint(&h.LeaseSec, 1<<32-1)}, attr{name: "broadcast", flag: true, set: toFlag(&h.Broadcast)})
	if f.IP == nil {
		f.IP = &wire.IPFields{Src: netip.IPv4Unspecified(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})}
	}
}

func (a *elementArgs) vxlan(f *wire.Frame) {
	h := &wire.VXLANFields{}
	f.VXLAN = h
	a.options(attr{name: "vni", set: toUint(&h.VNI, wire.MaxVNI)}, attr{name: "flags", set: toPointer(&h.Flags)})
}

func (a *elementArgs) nvgre(f *wire.Frame) {
	h := &wire.NVGREFields{}
	f.NVGRE = h
	a.options(attr{name: "vsid", set: toUint(&h.VSID, wire.MaxVNI)}, attr{name: "flow", set: toUint(&h.FlowID, 255)},
		attr{name: "flags", set: toPointer(&h.Flags)})
}
