package hcn

import "time"

// Knobs are the behaviours that sources disagree on or do not state: each has
// a name, a default per profile and a documented meaning (see KnobList). Text
// knobs hold one of the allowed values of their definition.
//
// Knobs is a value; copying it copies every setting.
type Knobs struct {
	// Virtual switch.
	UnknownUnicast string // "uplink" or "flood"

	// WinNAT.
	LoopbackPublish       bool
	NATHairpin            string // "snat" or "drop"
	NATMapping            string // "EIM", "ADM" or "APDM"
	NATFilteringTCP       string // "EIF" or "ADF"
	NATFilteringUDP       string
	NATTimerICMP          time.Duration
	NATTimerUDP           time.Duration
	NATTimerTCPTransient  time.Duration
	NATTimerTCPEstabl     time.Duration
	NATUDPInboundRefresh  bool
	NATPortBlock          int // ports a block
	RewriteIPID           bool
	TCPSeqCheck           bool
	NATDefaultPrefix      string // "auto" or a prefix
	NATSecondNetwork      string // "refuse" or "allow"
	NATClash              Code
	NATDNSProxy           bool
	NATExceptionHostBits  string // "refuse" or "accept"
	PortMappingVIP        string // "accept" or "refuse"
	TransparentCrossRoute string // "gateway" or "host"
	L2TunnelNetworks      string // "accept" or "refuse"
	IPv6L2Bridge          string // "feature", "ws2022" or "ws2019"

	// VFP.
	VFPNATIdle      time.Duration
	VFPICMPNAT      bool
	VFPPortBlock    int
	UFTFull         string // "slow" or "drop"
	ARPModeL2Bridge string // "proxy" or "rewrite"
	L2BridgePorts   string // "any" or "flag"

	// Overlay.
	OVBroadcast      string // "local" or "replicate"
	DRDecrementsTTL  bool
	OVDeliveredMAC   string // "dr" or "sender"
	OuterTTL         int
	OuterDF          bool
	DSCPCopy         bool
	ECNCopy          bool
	EncapOversize    string // "silent" or "icmp"
	OverlayMTU       string // "given" or "always"
	OverlayOutbound  bool
	SwarmCompat      bool
	VSIDOnly4096     bool
	RouteVSIDBits    string // "24" or "16"
	IPv6Overlay      bool
	OverlayMACPrefix string // "off" or two bytes such as "0E-2A"

	// Tenant networks.
	SDNOutboundRules string // "first" or "all"
	SDNInboundRules  string // "last" or "all"

	// ACLs.
	ACLTie           string // "block-wins" or "first-wins"
	ACLAnyMeansDeny  bool
	ACLSetAddressing string // "source-dest" or "endpoint"
	ACLReconcile     string // "lazy" or "never"
	ACLTierOrder     string // "ascending" or "descending"
	ACLPrecedence    string // "network-first" or "tiers-first"
	ACLNeighbors     string // "outside" or "filtered"

	// Load balancers.
	HostToClusterIP bool
	LocalNodePort   bool
	LBUpdate        string // "recreate" or "in-place"
	LBTerminating   string // "drain" or "cut"
	LBSharedPools   bool
	// NodePortNeedsLocal: a node without local backend does not serve.
	NodePortNeedsLocal bool
	LBListenerClash    bool
	LBUseMux           string // "accept" or "refuse"

	// Bandwidth limits.
	QoSBurst time.Duration
	QoSQueue time.Duration

	// Hosts.
	TCPTimeWait    time.Duration
	HostNetworking string // "refuse" or "accept"

	ContainerRestart string // "attach" or "fail"

	// Control plane.
	V1ErrorForm          string // "envelope" or "hresult"
	AddressInUse         Code
	DetachUnattached     string // "success" or "error"
	DeleteUnknown        string // "error" or "success"
	DuplicateMAC         string // "accept" or "refuse"
	VSIDTaken            Code
	AttachedSharing      string // "flow" or "block"
	NamespaceJoin        string // "created" or "attached"
	NamespaceRejoin      string // "refuse" or "accept"
	NamespaceLeave       string // "error" or "success"
	IDConflict           string // "argument" or "document"
	FilterCase           string // "sensitive" or "insensitive"
	PoolExhausted        Code
	SetExists            string // "refuse" or "replace"
	PolicyMissing        string // "error" or "success"
	LBDuplicate          Code
	LBEmptied            string // "keep" or "delete"
	LBUnattached         string // "accept" or "refuse"
	LBRestoreDelay       time.Duration
	V1RouteL2Bridge      string // "accept" or "refuse"
	HNSRestart           string // "restore" or "lose-endpoints"
	RebootExternal       string // "keep" or "drop"
	HostNamespaceID      string // "random" or a GUID
	V2OnOldBuilds        string // "accept" or "refuse"
	UnknownMembers       string // "accept" or "refuse"
	ProviderAddressDelay time.Duration
}

// NATTimers are WinNAT's idle times (contract section 3.3).
type NATTimers struct {
	ICMP, UDP, TCPTransient, TCPEstablished time.Duration
}

// NATTimers collects the four timer knobs.
func (k *Knobs) NATTimers() NATTimers {
	return NATTimers{k.NATTimerICMP, k.NATTimerUDP, k.NATTimerTCPTransient, k.NATTimerTCPEstabl}
}
