package winnat

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// Config describes a translator. The zero value translates nothing. NAT.Apply
// copies what it needs: the caller may change its Config afterwards.
type Config struct {
	Internal []InternalNet
	Static   []StaticMapping
	Timers   Timers

	FilteringTCP Filtering // rule NAT-14
	FilteringUDP Filtering
	Mapping      MappingBehavior // rule NAT-13
	Hairpin      HairpinMode     // rule NAT-37
	// LoopbackPublish lets the host itself use its published ports (rule
	// NAT-36). A mapping with LocalRoutedVIP does not need it.
	LoopbackPublish bool
	// RewriteIPID gives outgoing packets that may be fragmented an
	// identification from one counter, so that those of different containers
	// cannot collide (rule NAT-19).
	RewriteIPID bool
	// TCPSeqCheck drops TCP segments outside of the window (contract 3.3).
	TCPSeqCheck bool
	// BlockSize is how many external ports are reserved at a time, for each
	// protocol (rule NAT-12); zero means 100. Blocks that are held stay.
	BlockSize int

	Limits Limits
}

// InternalNet is an internal prefix and the host's address in it, which host
// connections to a container come from (rule NAT-09). A prefix may be part of
// another one, as on builds with one prefix per host (rule NAT-05); an address
// belongs to the longest.
type InternalNet struct {
	Prefix  netip.Prefix
	Gateway netip.Addr // may be invalid: then 127.0.0.1 has no way to a published port
}

// StaticMapping publishes a port of a container (rule NAT-30). Whether the
// external port is free is the control plane's business (rule NAT-33), and so
// is reserving it.
type StaticMapping struct {
	Proto        uint8 // wire.ProtoTCP or wire.ProtoUDP (rule NAT-31)
	ExternalPort uint16
	VIP          netip.Addr // the one host address that is mapped; invalid: all of them
	Internal     netip.AddrPort
	// LocalRoutedVIP asks for access from the host itself, whatever
	// Config.LoopbackPublish says (rule NAT-36).
	LocalRoutedVIP bool
	// Closed says that the host's firewall has no rule for the port any more:
	// nobody outside opens a connection to it, those that are open go on (rule
	// NAT-32).
	Closed bool
}

func (s StaticMapping) String() string {
	ext := fmt.Sprintf("*:%d", s.ExternalPort)
	if s.VIP.IsValid() {
		ext = netip.AddrPortFrom(s.VIP, s.ExternalPort).String()
	}
	return fmt.Sprintf("%s %s -> %s", protoName(s.Proto), ext, s.Internal)
}

// Filtering says which outside packets a mapping lets in (RFC 4787 section 5).
type Filtering uint8

const (
	FilterAddress             Filtering = iota // from addresses the inside has sent to; WinNAT's observed default
	FilterEndpointIndependent                  // from everywhere
	FilterAddressAndPort                       // only of sessions that the inside has opened
)

var filteringNames = [...]string{"AddressDependent", "EndpointIndependent", "AddressAndPortDependent"}

// String is the name that Get-NetNat prints.
func (f Filtering) String() string { return nameOf(filteringNames[:], int(f)) }

// MappingBehavior says how far the external port depends on the destination
// (RFC 4787 section 4.1).
type MappingBehavior uint8

const (
	MapEndpointIndependent MappingBehavior = iota // one port per internal (protocol, address, port)
	MapAddress                                    // one for each remote address
	MapAddressAndPort                             // one for each remote address and port
)

var mappingNames = [...]string{"EIM", "ADM", "APDM"}

// String is the value of the knob natMapping.
func (b MappingBehavior) String() string { return nameOf(mappingNames[:], int(b)) }

// HairpinMode says what becomes of a container's packet for a published port
// of its own host.
type HairpinMode uint8

const (
	// HairpinStrict translates both ends; the receiver sees the external
	// address and port of the sender (RFC 4787 REQ-9).
	HairpinStrict HairpinMode = iota
	HairpinDrop               // older builds
)

var hairpinNames = [...]string{"strict", "drop"}

func (h HairpinMode) String() string { return nameOf(hairpinNames[:], int(h)) }

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// Timers are the lifetimes without traffic (contract 3.3). Zero means the
// observed default. A change counts from the next packet of a session on.
type Timers struct {
	ICMPQuery      time.Duration
	TCPEstablished time.Duration
	TCPTransient   time.Duration // half open, closing, and after a reset
	UDP            time.Duration
	// UDPInboundRefresh lets packets from outside keep a UDP session alive.
	UDPInboundRefresh bool
}

// ObservedTimers are WinNAT's own defaults (deviation D-04).
func ObservedTimers() Timers {
	return Timers{ICMPQuery: 30 * time.Second, TCPEstablished: 1800 * time.Second, TCPTransient: 120 * time.Second, UDP: 120 * time.Second}
}

// StrictTimers are the least that RFC 4787, 5382 and 5508 allow.
func StrictTimers() Timers {
	return Timers{ICMPQuery: 60 * time.Second, TCPEstablished: 7440 * time.Second, TCPTransient: 240 * time.Second, UDP: 120 * time.Second}
}

// Limits bound the translator's memory. Zero means the default; values above
// a default's maximum are errors.
type Limits struct {
	Sessions             int // DefaultSessions, at most MaxSessions
	FragmentDatagrams    int // datagrams remembered at a time
	FragmentsPerDatagram int // fragments that wait for the first one of their datagram (rule NAT-50)
	FragmentsHeld        int // fragments that wait in all
	FragmentHold         time.Duration
}

// Defaults of Limits.
const (
	DefaultSessions             = 1 << 18
	MaxSessions                 = 1 << 24
	DefaultFragmentDatagrams    = 4096
	MaxFragmentDatagrams        = 1 << 16
	DefaultFragmentsPerDatagram = 64
	DefaultFragmentsHeld        = 1024
	MaxFragmentsHeld            = 1 << 16
	DefaultFragmentHold         = 30 * time.Second
)

// maxExternal bounds the external addresses with mappings at one time.
const maxExternal = 256

func (c *Config) withDefaults() Config {
	d := *c
	obs := ObservedTimers()
	orElse(&d.BlockSize, BlockSize)
	orElse(&d.Timers.ICMPQuery, obs.ICMPQuery)
	orElse(&d.Timers.TCPEstablished, obs.TCPEstablished)
	orElse(&d.Timers.TCPTransient, obs.TCPTransient)
	orElse(&d.Timers.UDP, obs.UDP)
	orElse(&d.Limits.Sessions, DefaultSessions)
	orElse(&d.Limits.FragmentDatagrams, DefaultFragmentDatagrams)
	orElse(&d.Limits.FragmentsPerDatagram, DefaultFragmentsPerDatagram)
	orElse(&d.Limits.FragmentsHeld, DefaultFragmentsHeld)
	orElse(&d.Limits.FragmentHold, DefaultFragmentHold)
	return d
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c *Config) validate() error {
	for i, n := range c.Internal {
		if !n.Prefix.IsValid() || !n.Prefix.Addr().Is4() || n.Prefix.Bits() == 0 {
			return fmt.Errorf("winnat: internal prefix %v is not an IPv4 prefix", n.Prefix)
		}
		if n.Gateway.IsValid() && !n.Prefix.Contains(n.Gateway) {
			return fmt.Errorf("winnat: gateway %v is outside of its prefix %v", n.Gateway, n.Prefix)
		}
		for _, o := range c.Internal[:i] {
			if o.Prefix.Masked() == n.Prefix.Masked() {
				return fmt.Errorf("winnat: internal prefix %v is given twice", n.Prefix)
			}
		}
	}
	for _, s := range c.Static {
		if err := c.validateStatic(s); err != nil {
			return err
		}
	}
	if c.FilteringTCP > FilterAddressAndPort || c.FilteringUDP > FilterAddressAndPort || c.Mapping > MapAddressAndPort || c.Hairpin > HairpinDrop {
		return fmt.Errorf("winnat: unknown filtering, mapping or hairpin behaviour")
	}
	if !between(c.BlockSize, 1, 1<<16) {
		return fmt.Errorf("winnat: %d ports in a block", c.BlockSize)
	}
	t, l := c.Timers, c.Limits
	if t.ICMPQuery <= 0 || t.TCPEstablished <= 0 || t.TCPTransient <= 0 || t.UDP <= 0 || l.FragmentHold <= 0 {
		return fmt.Errorf("winnat: negative timer")
	}
	if !between(l.Sessions, 1, MaxSessions) || !between(l.FragmentDatagrams, 1, MaxFragmentDatagrams) ||
		!between(l.FragmentsHeld, 1, MaxFragmentsHeld) || !between(l.FragmentsPerDatagram, 1, MaxFragmentsHeld) {
		return fmt.Errorf("winnat: limit out of range")
	}
	return nil
}

func (c *Config) validateStatic(s StaticMapping) error {
	switch {
	case s.Proto != wire.ProtoTCP && s.Proto != wire.ProtoUDP:
		return fmt.Errorf("winnat: static mapping %v: only TCP and UDP have ports to map", s)
	case s.ExternalPort == 0 || s.Internal.Port() == 0:
		return fmt.Errorf("winnat: static mapping %v: port 0", s)
	case s.VIP.IsValid() && !s.VIP.Is4():
		return fmt.Errorf("winnat: static mapping %v: external address is not IPv4", s)
	}
	for _, n := range c.Internal {
		if n.Prefix.Contains(s.Internal.Addr()) {
			return nil
		}
	}
	return fmt.Errorf("winnat: static mapping %v: internal address is in no internal prefix", s)
}

func between(v, lo, hi int) bool { return lo <= v && v <= hi }

func protoName(p uint8) string {
	switch p {
	case wire.ProtoTCP:
		return "tcp"
	case wire.ProtoUDP:
		return "udp"
	case wire.ProtoICMP:
		return "icmp"
	}
	return fmt.Sprintf("proto%d", p)
}
