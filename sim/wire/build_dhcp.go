package wire

import (
	"encoding/binary"
	"net/netip"
)

// DHCPFields is a DHCPv4 message. Zero fields and options are left out.
type DHCPFields struct {
	Type      uint8 // DHCPDiscover to DHCPInform
	XID       uint32
	Broadcast bool
	ClientMAC MAC
	ClientIP  netip.Addr // ciaddr
	YourIP    netip.Addr // yiaddr
	NextIP    netip.Addr // siaddr
	RelayIP   netip.Addr // giaddr

	RequestedIP netip.Addr
	ServerID    netip.Addr
	LeaseSec    uint32
	MaskBits    int // prefix length of the subnet mask option, 1 to 32
	Router      netip.Addr
	DNS         []netip.Addr
	HostName    string
	DomainName  string
	Options     []DHCPOption // further options
}

// op is the BOOTP operation that the message type implies.
func (d *DHCPFields) op() uint8 {
	switch d.Type {
	case DHCPOffer, DHCPAck, DHCPNak:
		return DHCPBootReply
	}
	return DHCPBootRequest
}

// Build is the UDP payload, padded to DHCPMinLen. Options longer than 255
// bytes are cut.
func (d *DHCPFields) Build() []byte {
	b := make([]byte, DHCPFixedLen, DHCPMinLen)
	b[dhcpOp], b[dhcpHType], b[dhcpHLen] = d.op(), 1, 6
	binary.BigEndian.PutUint32(b[dhcpXID:], d.XID)
	if d.Broadcast {
		binary.BigEndian.PutUint16(b[dhcpFlags:], dhcpBroadcast)
	}
	binary.BigEndian.PutUint32(b[dhcpCIAddr:], Addr4(d.ClientIP))
	binary.BigEndian.PutUint32(b[dhcpYIAddr:], Addr4(d.YourIP))
	binary.BigEndian.PutUint32(b[dhcpSIAddr:], Addr4(d.NextIP))
	binary.BigEndian.PutUint32(b[dhcpGIAddr:], Addr4(d.RelayIP))
	copy(b[dhcpCHAddr:], d.ClientMAC[:])
	binary.BigEndian.PutUint32(b[dhcpCookie:], dhcpMagic)
	b = d.appendOptions(b)
	b = append(b, DHCPOptEnd)
	for len(b) < DHCPMinLen {
		b = append(b, DHCPOptPad)
	}
	return b
}

func (d *DHCPFields) appendOptions(b []byte) []byte {
	put := func(code uint8, data ...byte) {
		data = data[:min(len(data), 255)]
		b = append(append(b, code, byte(len(data))), data...)
	}
	putAddr := func(code uint8, addrs ...netip.Addr) {
		var data []byte
		for _, a := range addrs {
			if a.Is4() {
				data = binary.BigEndian.AppendUint32(data, Addr4(a))
			}
		}
		if len(data) > 0 {
			put(code, data...)
		}
	}
	if d.Type != 0 {
		put(DHCPOptMessageType, d.Type)
	}
	putAddr(DHCPOptRequestedIP, d.RequestedIP)
	putAddr(DHCPOptServerID, d.ServerID)
	if d.LeaseSec != 0 {
		put(DHCPOptLeaseTime, binary.BigEndian.AppendUint32(nil, d.LeaseSec)...)
	}
	if d.MaskBits > 0 && d.MaskBits <= 32 {
		put(DHCPOptSubnetMask, binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-d.MaskBits))...)
	}
	putAddr(DHCPOptRouter, d.Router)
	putAddr(DHCPOptDNS, d.DNS...)
	if d.HostName != "" {
		put(DHCPOptHostName, []byte(d.HostName)...)
	}
	if d.DomainName != "" {
		put(DHCPOptDomainName, []byte(d.DomainName)...)
	}
	for _, o := range d.Options {
		put(o.Code, o.Data...)
	}
	return b
}

// Addresses of hosts that have none, and of all hosts on a link.
var (
	unspecified4 = netip.IPv4Unspecified()
	broadcast4   = AddrFrom4(0xffffffff)
)

// DHCPDiscoverFrame is a client's first message, to everybody.
func DHCPDiscoverFrame(client MAC, xid uint32) *Frame {
	return dhcpClientFrame(client, &DHCPFields{Type: DHCPDiscover, XID: xid})
}

// DHCPRequestFrame accepts the offer of addr by the server with the given
// identifier, still to everybody so that other servers learn of it.
func DHCPRequestFrame(client MAC, xid uint32, addr, server netip.Addr) *Frame {
	return dhcpClientFrame(client, &DHCPFields{Type: DHCPRequest, XID: xid, RequestedIP: addr, ServerID: server})
}

func dhcpClientFrame(client MAC, d *DHCPFields) *Frame {
	d.Broadcast, d.ClientMAC = true, client
	return &Frame{
		EthDst: Broadcast, EthSrc: client,
		IP:   &IPFields{Src: unspecified4, Dst: broadcast4},
		DHCP: d,
	}
}

// DHCPServer says who answers and with what; it is the part of a reply that
// does not depend on the request.
type DHCPServer struct {
	MAC        MAC
	IP         netip.Addr
	LeaseSec   uint32
	MaskBits   int
	Router     netip.Addr
	DNS        []netip.Addr
	DomainName string
}

// OfferFrame answers a DISCOVER with the offer of addr.
func (s *DHCPServer) OfferFrame(discover DHCP, addr netip.Addr) *Frame {
	return s.reply(discover, DHCPOffer, addr)
}

// AckFrame answers a REQUEST with the assignment of addr.
func (s *DHCPServer) AckFrame(request DHCP, addr netip.Addr) *Frame {
	return s.reply(request, DHCPAck, addr)
}

// reply goes to everybody if the client asked for that, else to the new
// address, which the client accepts before it owns it (RFC 2131 section 4.1).
func (s *DHCPServer) reply(request DHCP, kind uint8, addr netip.Addr) *Frame {
	f := &Frame{
		EthDst: request.ClientMAC(), EthSrc: s.MAC,
		IP: &IPFields{Src: s.IP, Dst: addr},
		DHCP: &DHCPFields{
			Type: kind, XID: request.XID(), Broadcast: request.Broadcast(), ClientMAC: request.ClientMAC(),
			YourIP: addr, ServerID: s.IP, LeaseSec: s.LeaseSec, MaskBits: s.MaskBits,
			Router: s.Router, DNS: s.DNS, DomainName: s.DomainName,
		},
	}
	if request.Broadcast() {
		f.EthDst, f.IP.Dst = Broadcast, broadcast4
	}
	return f
}
