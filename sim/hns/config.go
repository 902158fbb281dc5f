package hns

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Uplink is a network adapter of the host.
type Uplink struct {
	Name  string // "Ethernet"
	GUID  string // interface GUID; empty: derived from the seed
	MAC   [6]byte
	Addrs []netip.Prefix
	// Virtual adapters cannot carry an external switch (D.3 #16).
	Virtual bool
	// Bound adapters carry an external switch that was made with Hyper-V's
	// tools; HNS cannot have them (D.3 #16).
	Bound bool
	// NoVFP: the forwarding extension cannot be used on it, so that l2bridge,
	// l2tunnel and overlay networks are refused (D.3 #19).
	NoVFP bool
}

// Ports is what the control plane asks about TCP and UDP ports of the host.
// Implementations answer for sockets and administered exclusions only; the
// service keeps account of its own port mappings.
type Ports interface {
	// Busy reports whether something else than HNS holds the port.
	Busy(proto uint8, port uint16) bool
}

// Config describes a host. The zero value of every optional field works.
type Config struct {
	HostName string
	Profile  hcn.Profile // with its Knobs
	Seed     uint64
	Uplinks  []Uplink // in the order of the host's adapters
	// DNSServers are the host's own. Endpoints of NAT and ICS networks get them,
	// and those of networks with an AutomaticDNS policy (F.1).
	DNSServers []netip.Addr
	// ICSDisabled: the SharedAccess service cannot be started, so that there are
	// no ICS networks (0x803b002a).
	ICSDisabled bool
	// HostPrefixes are further prefixes that the host has addresses in: a NAT
	// network must not overlap them (rule NAT-03).
	HostPrefixes []netip.Prefix
	// Apply programs the data plane for the next state. It is called with the
	// service's lock held, once per change, and must not call the service. An
	// *hcn.Error from it is the operation's answer and undoes the operation.
	Apply func(next *State) error
	// TenantAddresses are those that a network controller gave the host for its
	// containers, in order; ok is false if the host is no tenant's virtual
	// machine. May be nil (rule SDN-01).
	TenantAddresses func() (addrs []netip.Addr, ok bool)
	// Now is the virtual time, for timestamps in documents.
	Now   func() time.Duration
	Ports Ports
	// Stats returns the counters of an endpoint's port; nil counts nothing.
	Stats func(endpointID string) EndpointStats
	// Notify receives service notifications after the change that they tell
	// of. It may call the service.
	Notify func(Notification)
}

// EndpointStats are the counters of an endpoint's port, seen from the endpoint.
type EndpointStats struct {
	BytesReceived, BytesSent                       uint64
	PacketsReceived, PacketsSent                   uint64
	DroppedPacketsIncoming, DroppedPacketsOutgoing uint64
}

// Notification is what service callbacks receive (section A.3).
type Notification struct {
	Type NotificationType
	ID   string // of the object
	Data []byte // NotificationBase as JSON
}

// NotificationType is HCN_NOTIFICATIONS.
type NotificationType uint32

// Notifications. The published values are not consecutive.
const (
	NetworkPreCreate        NotificationType = 0x01
	NetworkCreate           NotificationType = 0x02
	NetworkPreDelete        NotificationType = 0x03
	NetworkDelete           NotificationType = 0x04
	NamespaceCreate         NotificationType = 0x05
	NamespaceDelete         NotificationType = 0x06
	GuestServiceCreate      NotificationType = 0x07
	GuestServiceDelete      NotificationType = 0x08
	NetworkEndpointAttached NotificationType = 0x09
	NetworkEndpointDetached NotificationType = 0x10
	GuestServiceChanged     NotificationType = 0x11 // state
	ServiceDisconnect       NotificationType = 0x01000000
)

var notificationNames = map[NotificationType]string{
	NetworkPreCreate: "NetworkPreCreate", NetworkCreate: "NetworkCreate", NetworkPreDelete: "NetworkPreDelete",
	NetworkDelete: "NetworkDelete", NamespaceCreate: "NamespaceCreate", NamespaceDelete: "NamespaceDelete",
	NetworkEndpointAttached: "NetworkEndpointAttached", NetworkEndpointDetached: "NetworkEndpointDetached",
	GuestServiceCreate: "GuestNetworkServiceCreate", GuestServiceDelete: "GuestNetworkServiceDelete",
	GuestServiceChanged: "GuestNetworkServiceStateChanged", ServiceDisconnect: "ServiceDisconnect",
}

// String is the published name without its prefix.
func (n NotificationType) String() string {
	if s, ok := notificationNames[n]; ok {
		return s
	}
	return fmt.Sprintf("Notification(%#x)", uint32(n))
}
