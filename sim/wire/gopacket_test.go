package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Somebody else's decoder has to read from our frames what we read from them.
// Both are reduced to the same list of statements.
func TestAnotherDecoderAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	kinds := map[string]int{}
	for range 5000 {
		f := randomFrame(r)
		for g := f; g != nil; g = g.Inner {
			if g.IP != nil {
				g.IP.ForceFragHeader = false // they stop at any fragment header, even an atomic one
			}
		}
		b := f.Bytes()
		ours, theirs := statements(b), theirStatements(b)
		for i := range max(len(ours), len(theirs)) {
			var a, o string
			if i < len(ours) {
				o = ours[i]
			}
			if i < len(theirs) {
				a = theirs[i]
			}
			if a != o {
				t.Fatalf("we say   %s\nthey say %s\n%x\n%s", o, a, b, Summary(b))
			}
			kinds[fmt.Sprintf("%.4s", o)]++
		}
	}
	for _, k := range []string{"eth ", "vlan", "arp ", "ip s", "ip6 ", "udp ", "tcp ", "icmp", "ns t", "na t", "vxla", "nvgr"} {
		if kinds[k] == 0 {
			t.Errorf("%q was never compared", k)
		}
	}
}

// statements is what we read.
func statements(b []byte) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for {
		var m Meta
		Parse(b, &m)
		e := Ethernet(b)
		say("eth src %v dst %v type %#x", e.Src(), e.Dst(), e.OuterType())
		if m.HasVLAN {
			say("vlan id %d prio %d dei %v type %#x", m.TCI.ID(), m.TCI.Priority(), m.TCI.DropEligible(), m.EtherType)
		}
		switch {
		case m.IsARP:
			a := ARP(b[m.L3:])
			say("arp op %d %v %v %v %v", a.Op(), a.SenderMAC(), AddrFrom4(a.SenderIP()), a.TargetMAC(), AddrFrom4(a.TargetIP()))
		case m.IsIPv4:
			h := IPv4(b[m.L3:])
			say("ip src %v dst %v ttl %d tos %d len %d id %d df %v mf %v off %d proto %d hlen %d sum %#x",
				m.Src(b), m.Dst(b), h.TTL(), h.TOS(), h.TotalLen(), h.ID(), h.DF(), h.MF(), h.FragOffset(), h.Proto(), h.HeaderLen(), h.Checksum())
		case m.IsIPv6:
			h := IPv6(b[m.L3:])
			say("ip6 src %v dst %v hops %d class %d label %d len %d next %d", m.Src(b), m.Dst(b), h.HopLimit(), h.TrafficClass(), h.FlowLabel(), h.PayloadLen(), h.NextHeader())
		}
		if !m.HasL4 && m.Proto != ProtoGRE {
			return out
		}
		switch {
		case m.Proto == ProtoUDP:
			u := UDP(b[m.L4:m.End])
			say("udp %d > %d len %d sum %#x data %x", u.SrcPort(), u.DstPort(), u.Length(), u.Checksum(), u.Payload())
		case m.Proto == ProtoTCP:
			c := TCP(b[m.L4:m.End])
			say("tcp %d > %d seq %d ack %d flags %#x window %d sum %#x urgent %d hlen %d data %x",
				c.SrcPort(), c.DstPort(), c.Seq(), c.Ack(), c.Flags(), c.Window(), c.Checksum(), c.Urgent(), c.HeaderLen(), c.Payload())
		case m.Proto == ProtoICMP:
			c := ICMPv4(b[m.L4:m.End])
			say("icmp %d %d sum %#x id %d seq %d data %x", c.Type(), c.Code(), c.Checksum(), c.ID(), c.Seq(), c.Payload())
		case m.Proto == ProtoICMPv6:
			c := ICMPv6(b[m.L4:m.End])
			say("icmp6 %d %d sum %#x", c.Type(), c.Code(), c.Checksum())
			nd := ND(c)
			if !nd.IsValid() {
				break
			}
			switch nd.Type() {
			case ICMP6NeighborSol:
				mac, _ := nd.SourceLL()
				say("ns target %v sll %v", AddrFrom16(nd.Target()), mac)
			case ICMP6NeighborAdv:
				mac, _ := nd.TargetLL()
				say("na target %v flags %#x tll %v", AddrFrom16(nd.Target()), nd.Flags(), mac)
			}
		}
		name, tun, ok := Decoder{}.tunnel(b, &m)
		if !ok {
			return out
		}
		say("%s vni %d", name, tun.VNI)
		b = b[tun.Inner:tun.End]
	}
}

// theirStatements is what gopacket reads.
func theirStatements(b []byte) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	mac := func(a net.HardwareAddr) MAC { return MAC(a) }
	addr := func(a net.IP) netip.Addr { v, _ := netip.AddrFromSlice(a); return v }
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.DecodeOptions{})
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			say("eth src %v dst %v type %#x", mac(l.SrcMAC), mac(l.DstMAC), uint16(l.EthernetType))
		case *layers.Dot1Q:
			say("vlan id %d prio %d dei %v type %#x", l.VLANIdentifier, l.Priority, l.DropEligible, uint16(l.Type))
		case *layers.ARP:
			say("arp op %d %v %v %v %v", l.Operation, mac(l.SourceHwAddress), addr(l.SourceProtAddress), mac(l.DstHwAddress), addr(l.DstProtAddress))
		case *layers.IPv4:
			say("ip src %v dst %v ttl %d tos %d len %d id %d df %v mf %v off %d proto %d hlen %d sum %#x",
				addr(l.SrcIP.To4()), addr(l.DstIP.To4()), l.TTL, l.TOS, l.Length, l.Id, l.Flags&layers.IPv4DontFragment != 0, l.Flags&layers.IPv4MoreFragments != 0,
				8*int(l.FragOffset), uint8(l.Protocol), 4*int(l.IHL), l.Checksum)
		case *layers.IPv6:
			say("ip6 src %v dst %v hops %d class %d label %d len %d next %d", addr(l.SrcIP), addr(l.DstIP), l.HopLimit, l.TrafficClass, l.FlowLabel, l.Length, uint8(l.NextHeader))
		case *layers.UDP:
			say("udp %d > %d len %d sum %#x data %x", l.SrcPort, l.DstPort, l.Length, l.Checksum, l.Payload)
		case *layers.TCP:
			flags := l.Contents[13]
			say("tcp %d > %d seq %d ack %d flags %#x window %d sum %#x urgent %d hlen %d data %x",
				l.SrcPort, l.DstPort, l.Seq, l.Ack, flags, l.Window, l.Checksum, l.Urgent, 4*int(l.DataOffset), l.Payload)
		case *layers.ICMPv4:
			say("icmp %d %d sum %#x id %d seq %d data %x", l.TypeCode.Type(), l.TypeCode.Code(), l.Checksum, l.Id, l.Seq, l.Payload)
		case *layers.ICMPv6:
			say("icmp6 %d %d sum %#x", l.TypeCode.Type(), l.TypeCode.Code(), l.Checksum)
		case *layers.ICMPv6NeighborSolicitation:
			say("ns target %v sll %v", addr(l.TargetAddress), theirLL(l.Options, layers.ICMPv6OptSourceAddress))
		case *layers.ICMPv6NeighborAdvertisement:
			say("na target %v flags %#x tll %v", addr(l.TargetAddress), l.Flags, theirLL(l.Options, layers.ICMPv6OptTargetAddress))
		case *layers.VXLAN:
			say("vxlan vni %d", l.VNI)
		case *layers.GRE:
			if l.KeyPresent {
				say("nvgre vni %d", l.Key>>8)
			}
		case *gopacket.DecodeFailure:
			return out // as of unknown protocols; if we read more, the comparison says so
		}
	}
	return out
}

func theirLL(options layers.ICMPv6Options, kind layers.ICMPv6Opt) MAC {
	for _, o := range options {
		if o.Type == kind {
			return MAC(o.Data)
		}
	}
	return MAC{}
}

// Another implementation's lengths and checksums are ours.
func TestAnotherBuilderMakesTheSameBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		f := randomPlain(r)
		if f.IP == nil || len(f.IP.Ext) > 0 || f.IP.ForceFragHeader || f.VLAN != nil || f.UDP == nil && f.TCP == nil {
			continue
		}
		if f.UDP != nil {
			f.UDP.NoChecksum = false
		}
		if f.TCP != nil {
			f.TCP.Options = nil
		}
		f.IP.Options, f.PadTo = nil, 0
		eth := &layers.Ethernet{DstMAC: f.EthDst[:], SrcMAC: f.EthSrc[:], EthernetType: layers.EthernetTypeIPv4}
		proto := layers.IPProtocolUDP
		if f.TCP != nil {
			proto = layers.IPProtocolTCP
		}
		var network interface {
			gopacket.SerializableLayer
			gopacket.NetworkLayer
		}
		if f.IP.Src.Is4() {
			h := &layers.IPv4{Version: 4, TTL: f.IP.ttl(), TOS: f.IP.TOS, Id: uint16(f.IP.ID), Protocol: proto, SrcIP: f.IP.Src.AsSlice(), DstIP: f.IP.Dst.AsSlice()}
			if f.IP.DF {
				h.Flags = layers.IPv4DontFragment
			}
			network = h
		} else {
			eth.EthernetType = layers.EthernetTypeIPv6
			network = &layers.IPv6{Version: 6, HopLimit: f.IP.ttl(), TrafficClass: f.IP.TOS, FlowLabel: f.IP.Label, NextHeader: proto, SrcIP: f.IP.Src.AsSlice(), DstIP: f.IP.Dst.AsSlice()}
		}
		var transport gopacket.SerializableLayer
		if u := f.UDP; u != nil {
			l := &layers.UDP{SrcPort: layers.UDPPort(u.SrcPort), DstPort: layers.UDPPort(u.DstPort)}
			_ = l.SetNetworkLayerForChecksum(network)
			transport = l
		} else {
			c := f.TCP
			has := func(bit uint8) bool { return c.Flags&bit != 0 }
			l := &layers.TCP{
				SrcPort: layers.TCPPort(c.SrcPort), DstPort: layers.TCPPort(c.DstPort), Seq: c.Seq, Ack: c.Ack, Window: c.Window, Urgent: c.Urgent,
				FIN: has(TCPFin), SYN: has(TCPSyn), RST: has(TCPRst), PSH: has(TCPPsh), ACK: has(TCPAck), URG: has(TCPUrg), ECE: has(TCPEce), CWR: has(TCPCwr),
			}
			_ = l.SetNetworkLayerForChecksum(network)
			transport = l
		}
		buf := gopacket.NewSerializeBuffer()
		opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		if err := gopacket.SerializeLayers(buf, opts, eth, network, transport, gopacket.Payload(f.Payload)); err != nil {
			t.Fatal(err)
		}
		theirs, ours := buf.Bytes(), f.Bytes()
		theirs = theirs[:min(len(theirs), len(ours))] // they pad to 60 bytes
		var m Meta
		Parse(ours, &m)
		if m.Proto == ProtoUDP && UDP(theirs[m.L4:]).Checksum() == 0 {
			continue // they do not apply the UDP zero rule
		}
		checkFrame(t, "built", ours, theirs)
	}
}

func TestAnotherDHCPDecoderAgrees(t *testing.T) {
	b := DHCPRequestFrame(macCN1, 7, ipCN1, ip("172.16.0.1")).Bytes()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.DecodeOptions{})
	l, ok := p.Layer(layers.LayerTypeDHCPv4).(*layers.DHCPv4)
	if !ok {
		t.Fatalf("no DHCP: %v", p)
	}
	if l.Xid != 7 || !bytes.Equal(l.ClientHWAddr, macCN1[:]) || l.Operation != layers.DHCPOpRequest || l.Flags != 0x8000 {
		t.Errorf("%+v", l)
	}
	want := map[layers.DHCPOpt]string{layers.DHCPOptMessageType: "\x03", layers.DHCPOptRequestIP: "\xac\x10\x00\x0a", layers.DHCPOptServerID: "\xac\x10\x00\x01"}
	for _, o := range l.Options {
		if w, ok := want[o.Type]; ok && w == string(o.Data) {
			delete(want, o.Type)
		}
	}
	if len(want) != 0 {
		t.Errorf("they do not see %v", want)
	}
}
