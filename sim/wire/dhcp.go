package wire

import (
	"encoding/binary"
)

// DHCPv4 (RFC 2131), the payload of UDP between ports 68 and 67:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     op (1)    |   htype (1)   |   hlen (1)    |   hops (1)    |
//	+---------------+---------------+---------------+---------------+
//	|                            xid (4)                            |
//	+-------------------------------+-------------------------------+
//	|           secs (2)            |           flags (2)           |
//	+-------------------------------+-------------------------------+
//	|  ciaddr (4), yiaddr (4), siaddr (4), giaddr (4)               |
//	+---------------------------------------------------------------+
//	|  chaddr (16), sname (64), file (128)                          |
//	+---------------------------------------------------------------+
//	|  magic cookie 63 82 53 63, options: code, length, data ...    |
//	+---------------------------------------------------------------+
type DHCP []byte

const (
	dhcpOp     = 0
	dhcpHType  = 1
	dhcpHLen   = 2
	dhcpXID    = 4
	dhcpSecs   = 8
	dhcpFlags  = 10
	dhcpCIAddr = 12
	dhcpYIAddr = 16
	dhcpSIAddr = 20
	dhcpGIAddr = 24
	dhcpCHAddr = 28
	dhcpCookie = 236

	// DHCPFixedLen is the length up to and including the magic cookie.
	DHCPFixedLen = 240
	// DHCPMinLen is the length that BOOTP relays expect; shorter messages are
	// padded.
	DHCPMinLen = 300

	dhcpMagic = 0x63825363

	// DHCPServerPort and DHCPClientPort are the UDP ports.
	DHCPServerPort = 67
	DHCPClientPort = 68

	// DHCPBootRequest and DHCPBootReply are the values of Op.
	DHCPBootRequest = 1
	DHCPBootReply   = 2

	dhcpBroadcast = 0x8000
)

// DHCP message types (option 53).
const (
	DHCPDiscover = 1 + iota
	DHCPOffer
	DHCPRequest
	DHCPDecline
	DHCPAck
	DHCPNak
	DHCPRelease
	DHCPInform
)

// DHCP options.
const (
	DHCPOptPad         = 0
	DHCPOptSubnetMask  = 1
	DHCPOptRouter      = 3
	DHCPOptDNS         = 6
	DHCPOptHostName    = 12
	DHCPOptDomainName  = 15
	DHCPOptRequestedIP = 50
	DHCPOptLeaseTime   = 51
	DHCPOptMessageType = 53
	DHCPOptServerID    = 54
	DHCPOptParamList   = 55
	DHCPOptClientID    = 61
	DHCPOptEnd         = 255
)

// IsValid reports whether the fixed part is complete, for Ethernet, with the
// magic cookie. Options are checked as they are read.
func (b DHCP) IsValid() bool {
	return len(b) >= DHCPFixedLen && b[dhcpHType] == 1 && b[dhcpHLen] == 6 &&
		binary.BigEndian.Uint32(b[dhcpCookie:]) == dhcpMagic
}

// Op is DHCPBootRequest from clients and DHCPBootReply from servers.
func (b DHCP) Op() uint8 { return b[dhcpOp] }

// XID is the transaction's number, chosen by the client.
func (b DHCP) XID() uint32 { return binary.BigEndian.Uint32(b[dhcpXID:]) }

// Broadcast reports whether the client asks for replies by broadcast, since it
// cannot receive unicast before it is configured.
func (b DHCP) Broadcast() bool { return binary.BigEndian.Uint16(b[dhcpFlags:])&dhcpBroadcast != 0 }

// ClientIP is the address that the client has (ciaddr).
func (b DHCP) ClientIP() uint32 { return binary.BigEndian.Uint32(b[dhcpCIAddr:]) }

// YourIP is the address that the client gets (yiaddr).
func (b DHCP) YourIP() uint32 { return binary.BigEndian.Uint32(b[dhcpYIAddr:]) }

// ServerIP is the next server in bootstrap (siaddr), not the server's
// identifier.
func (b DHCP) ServerIP() uint32 { return binary.BigEndian.Uint32(b[dhcpSIAddr:]) }

// RelayIP is the relay agent's address (giaddr).
func (b DHCP) RelayIP() uint32 { return binary.BigEndian.Uint32(b[dhcpGIAddr:]) }

// ClientMAC is the client's hardware address (chaddr).
func (b DHCP) ClientMAC() MAC { return MAC(b[dhcpCHAddr : dhcpCHAddr+6]) }

// DHCPOption is one option. Off is where its code stands in the message; it is
// ignored when a message is built.
type DHCPOption struct {
	Code uint8
	Data []byte
	Off  int
}

// Options calls yield for every complete option up to the end option until it
// returns false; it is a range function. Data is a part of the message.
// Not modelled: options in the sname and file fields (overload), and long
// options split over several.
func (b DHCP) Options(yield func(DHCPOption) bool) {
	for at := DHCPFixedLen; at < len(b); {
		code := b[at]
		if code == DHCPOptEnd {
			return
		}
		if code == DHCPOptPad {
			at++
			continue
		}
		if at+2 > len(b) || at+2+int(b[at+1]) > len(b) {
			return
		}
		end := at + 2 + int(b[at+1])
		if !yield(DHCPOption{Code: code, Data: b[at+2 : end : end], Off: at}) {
			return
		}
		at = end
	}
}

// Option is the data of the first option with the code, or nil.
func (b DHCP) Option(code uint8) []byte {
	for o := range b.Options {
		if o.Code == code {
			return o.Data
		}
	}
	return nil
}

// Type is the message type, DHCPDiscover to DHCPInform, or 0 for BOOTP.
func (b DHCP) Type() uint8 {
	if o := b.Option(DHCPOptMessageType); len(o) == 1 {
		return o[0]
	}
	return 0
}

// OptionIP is the first address in an option; ok is false if there is none.
func (b DHCP) OptionIP(code uint8) (addr uint32, ok bool) {
	if o := b.Option(code); len(o) >= 4 {
		return binary.BigEndian.Uint32(o), true
	}
	return 0, false
}

// LeaseSec is the lease time in seconds.
func (b DHCP) LeaseSec() (sec uint32, ok bool) { return b.OptionIP(DHCPOptLeaseTime) }
