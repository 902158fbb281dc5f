//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/hnsim/hnsim/sim/wire"
)

// flowKey is what a program that uses gopacket keeps flows by.
type flowKey struct {
	src, dst     [4]byte
	sport, dport layers.UDPPort
}

// pipeline is what people write with gopacket: decode into layers that are used
// again and again, change fields, serialise with all lengths and checksums.
type pipeline struct {
	eth     layers.Ethernet
	ip      layers.IPv4
	udp     layers.UDP
	parser  *gopacket.DecodingLayerParser
	decoded []gopacket.LayerType
	frame   [frameLen]byte
	out     gopacket.SerializeBuffer
	flows   map[flowKey]layers.UDPPort // nil: the port is computed
	next    layers.UDPPort
	nat     net.IP

	outerEth layers.Ethernet
	outerIP  layers.IPv4
	outerUDP layers.UDP
	vxlan    layers.VXLAN
}

var serialise = gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}

func openGopacket(path string, flows int) (runner, error) {
	p := &pipeline{out: gopacket.NewSerializeBuffer(), nat: natAddr.AsSlice()}
	p.parser = gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &p.eth, &p.ip, &p.udp)
	p.parser.IgnoreUnsupported = true // what is in a datagram stays as it is, whatever its port promises
	t, err := newTraffic(routed, flows, false)
	if err != nil {
		return nil, err
	}
	l := &loop{t: t, each: p.translate}
	switch path {
	case "nat":
	case "nat-map":
		p.flows = map[flowKey]layers.UDPPort{}
	case "encap":
		l.each = p.encapsulate
		p.outerEth = layers.Ethernet{SrcMAC: inMAC[:], DstMAC: peerMAC[:], EthernetType: layers.EthernetTypeIPv4}
		p.outerIP = layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: p.nat, DstIP: nextHop.AsSlice()}
		p.outerUDP = layers.UDP{DstPort: 4789}
		p.vxlan = layers.VXLAN{ValidIDFlag: true, VNI: 4096}
	default:
		return nil, fmt.Errorf("no path %s", path)
	}
	if err := l.every(); err != nil {
		return nil, err
	}
	return l, p.check(path)
}

// check looks at what came out last.
func (p *pipeline) check(path string) error {
	out := p.out.Bytes()
	if err := wire.VerifyChecksums(out); err != nil {
		return err
	}
	var m wire.Meta
	wire.Parse(out, &m)
	if m.Src(out) != natAddr || (m.DstPort == uint16(p.outerUDP.DstPort)) != (path == "encap") {
		return fmt.Errorf("wrong: %s", wire.Summary(out))
	}
	return nil
}

func (p *pipeline) decode(frame []byte) error {
	copy(p.frame[:], frame)
	if err := p.parser.DecodeLayers(p.frame[:], &p.decoded); err != nil {
		return err
	}
	if len(p.decoded) != 3 {
		return errors.New("not all layers were decoded")
	}
	return nil
}

func (p *pipeline) translate(frame []byte) error {
	if err := p.decode(frame); err != nil {
		return err
	}
	port := p.udp.SrcPort ^ 0x4000
	if p.flows != nil {
		k := flowKey{sport: p.udp.SrcPort, dport: p.udp.DstPort}
		copy(k.src[:], p.ip.SrcIP)
		copy(k.dst[:], p.ip.DstIP)
		known, ok := p.flows[k]
		if !ok {
			p.next++
			known = p.next
			p.flows[k] = known
		}
		port = known
	}
	p.ip.SrcIP, p.udp.SrcPort = p.nat, port
	p.ip.TTL--
	p.eth.SrcMAC, p.eth.DstMAC = inMAC[:], peerMAC[:]
	if err := p.udp.SetNetworkLayerForChecksum(&p.ip); err != nil {
		return err
	}
	return gopacket.SerializeLayers(p.out, serialise, &p.eth, &p.ip, &p.udp, gopacket.Payload(p.udp.Payload))
}

func (p *pipeline) encapsulate(frame []byte) error {
	if err := p.decode(frame); err != nil {
		return err
	}
	p.outerUDP.SrcPort = 0xc000 | p.udp.SrcPort ^ p.udp.DstPort
	if err := p.outerUDP.SetNetworkLayerForChecksum(&p.outerIP); err != nil {
		return err
	}
	return gopacket.SerializeLayers(p.out, serialise, &p.outerEth, &p.outerIP, &p.outerUDP, &p.vxlan, gopacket.Payload(p.frame[:]))
}
