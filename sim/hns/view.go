package hns

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// view renders objects of one state. Both shapes show one store: v1 has more
// members, which the service computes and no document holds.
type view struct {
	s        *Service
	cur      *State
	detailed bool
}

// fileTimeEpoch is 2024-01-01 00:00 UTC as a FILETIME, the moment at which
// virtual time starts: 100 ns units since 1601.
const fileTimeEpoch = 133485408000000000

func fileTime(d time.Duration) uint64 { return fileTimeEpoch + uint64(d/100) }

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("hns: a value that cannot be JSON: " + err.Error())
	}
	return b
}

type healthData struct {
	LastErrorCode  uint32
	LastUpdateTime uint64
}

func health(at time.Duration) json.RawMessage {
	return mustJSON(healthData{LastUpdateTime: fileTime(at)})
}

// sharedAccessHealth is what the health of a network has beside on builds whose
// NAT is that of Internet Connection Sharing (F.1, sample 03).
type sharedAccessHealth struct {
	healthData
	AddressNotificationMissedCount, AddressNotificationSequenceNumber     uint64
	InterfaceNotificationMissedCount, InterfaceNotificationSequenceNumber uint64
	RouteNotificationMissedCount, RouteNotificationSequenceNumber         uint64
}

func (v *view) networkHealth(n *Network) json.RawMessage {
	if v.natName(n) == "" || v.s.cfg.Profile.OSBuild >= buildNATVLAN || v.s.cfg.Profile.OSBuild < buildNATGone {
		return health(n.createdAt)
	}
	return mustJSON(sharedAccessHealth{healthData: healthData{LastUpdateTime: fileTime(n.createdAt)}})
}

func (v *view) version() hcn.HNSVersion { return v.s.cfg.Profile.Version }

// schema is the version that a document shows: in v1 none, or a client that
// sends it back would have it read as v2.
func (v *view) schema(shape hcn.Shape, given hcn.SchemaVersion) hcn.SchemaVersion {
	if shape == hcn.V1 {
		return hcn.SchemaVersion{}
	}
	if given.Major < 2 {
		return hcn.SchemaVersion{Major: 2}
	}
	return given
}

// readOnlyMembers are shown in v1 documents and computed every time: a
// creator who sends back what he read gets the current values.
var readOnlyMembers = []string{"ActivityId", "CurrentEndpointCount", "TotalEndpoints", "MaxConcurrentEndpoints", "Extensions",
	"NatName", "IPv6", "SwitchName", "VirtualNetworkName", "CreateProcessingStartTime", "Type", "IsApplied", "Layer"}

func upper(id string) string { return strings.ToUpper(id) }

// endpointCase writes an endpoint's id as the build does in the v1 shape:
// lower case from HNS 11 on, upper case before (F.2).
func (v *view) endpointCase(id string) string {
	if v.version().Major >= hnsIPSubnets {
		return strings.ToLower(id)
	}
	return upper(id)
}

// network renders a network.
func (v *view) network(n *Network, shape hcn.Shape) []byte {
	doc := *n.Doc
	doc.SchemaVersion = v.schema(shape, doc.SchemaVersion)
	doc.Extras = doc.Extras.Without(readOnlyMembers...)
	doc.Health = hcn.Health{Data: v.networkHealth(n), Extra: hcn.ExtraParams{LayeredOn: n.LayerGUID}}
	if v.version().Major >= hnsSwitchGUID || v.version().Major <= 1 {
		doc.Health.Extra.SwitchGuid = v.switchOwner(n).Doc.ID
	}
	if v.detailed || shape == hcn.V1 {
		doc.Health.Extra.Resources = v.networkResources(n)
	}
	if n.Uplink != "" && v.s.cfg.Now() < n.createdAt+v.s.cfg.Profile.Knobs.ProviderAddressDelay {
		doc.Policies = slices.DeleteFunc(slices.Clone(doc.Policies), func(p hcn.Policy) bool { return p.Type == hcn.PolicyProviderAddress })
	}
	if v.detailed {
		doc.Extras = doc.Extras.With("Layer", v.layer(n))
	}
	if shape == hcn.V2 {
		return doc.Encode(hcn.V2)
	}
	doc.ID = upper(doc.ID)
	doc.Health.Extra.LayeredOn = upper(doc.Health.Extra.LayeredOn)
	doc.Health.Extra.SwitchGuid = upper(doc.Health.Extra.SwitchGuid)
	doc.Ipams = cloneIpams(doc.Ipams)
	for _, s := range doc.Subnets() {
		s.ID = upper(s.ID)
		s.Extras = s.Extras.With("ObjectType", mustJSON(5))
		for k := range s.IpSubnets {
			s.IpSubnets[k].ID = upper(s.IpSubnets[k].ID)
			s.IpSubnets[k].Extras = s.IpSubnets[k].Extras.With("ObjectType", mustJSON(6))
		}
	}
	doc.Extras = v.networkExtras(n, doc.Extras)
	return doc.Encode(hcn.V1)
}

// switchOwner is the network that owns the switch: the first on its layer.
func (v *view) switchOwner(n *Network) *Network {
	for _, other := range v.cur.Networks {
		if other.Layer == n.Layer {
			return other
		}
	}
	return n
}

func (v *view) networkExtras(n *Network, x hcn.Extras) hcn.Extras {
	ipv6 := false
	for _, s := range n.Subnets {
		ipv6 = ipv6 || s.Prefix.Addr().Is6()
	}
	x = x.With("ActivityId", mustJSON(upper(n.ids.activity)))
	x = x.With("CurrentEndpointCount", mustJSON(len(v.cur.EndpointsOf(n.Num))))
	x = x.With("Extensions", mustJSON(extensions(n, v.s.cfg.Profile.OSBuild)))
	x = x.With("IPv6", mustJSON(ipv6))
	x = x.With("MaxConcurrentEndpoints", mustJSON(n.MaxEndpoints))
	x = x.With("TotalEndpoints", mustJSON(n.Created))
	if name := v.natName(n); name != "" {
		x = x.With("NatName", mustJSON(name))
	}
	if n.Type == hcn.ICS {
		x = x.With("GatewayMac", mustJSON(hcn.FormatMAC(n.HostMAC)))
	}
	if n.Type == hcn.Overlay {
		x = x.With("DNSServerCompartment", mustJSON(3))
	}
	if v.version().Major >= hnsSwitchGUID {
		x = x.With("SwitchName", mustJSON(v.switchOwner(n).Doc.Name))
	}
	return x
}

// natName is ICS or NAT with the GUID of the private interface (F.1).
func (v *view) natName(n *Network) string {
	if n.Type != hcn.NAT && n.Type != hcn.ICS {
		return ""
	}
	return v.natTag(n) + upper(n.ids.iface)
}

func (v *view) natTag(n *Network) string {
	if n.Type == hcn.NAT && v.s.cfg.Profile.OSBuild >= buildNATVLAN {
		return "NAT"
	}
	return "ICS"
}

// extension is a switch extension as v1 documents show it.
type extension struct {
	ID        string `json:"Id"`
	IsEnabled bool
	Name      string
}

func (t *tx) extensionsOf(n *Network) []extension { return extensions(n, t.profile().OSBuild) }

// extensions are the three that every switch has; VFP's and the capture
// driver's GUIDs changed with Server 2022, VFP's name with HNS 15 (sample note
// 11, sample 04).
func extensions(n *Network, build int) []extension {
	vfp, capture := "e9b59cfa-2be1-4b21-828f-b6fbdbddc017", "ea24cd6c-d17a-4348-9190-09f0d5be83dd"
	if build >= buildNATVLAN {
		vfp, capture = "f74f241b-440f-4433-bb28-00f89ead20d8", "430bdadd-bab0-41ab-a369-94b67fa5be0a"
	}
	vfpName := "Microsoft Azure VFP Switch Extension"
	if build >= buildVFPFilter {
		vfpName = "Microsoft Azure VFP Switch Filter Extension"
	}
	list := []extension{
		{"e7c3b2f0-f3c5-48df-af2b-10fed6d72e7a", false, "Microsoft Windows Filtering Platform"},
		{vfp, n.Type.UsesVFP(), vfpName},
		{capture, true, "Microsoft NDIS Capture"},
	}
	for i := range list {
		if on, set := n.extensions[list[i].ID]; set {
			list[i].IsEnabled = on
		}
		list[i].ID = upper(list[i].ID)
	}
	return list
}

// endpoint renders an endpoint.
func (v *view) endpoint(e *Endpoint, shape hcn.Shape) []byte {
	n := v.cur.NetworkByNum(e.Network)
	doc := *e.Doc
	doc.SchemaVersion = v.schema(shape, doc.SchemaVersion)
	doc.Extras = doc.Extras.Without(readOnlyMembers...)
	doc.HostComputeNamespace = e.Namespace
	vm := doc.Health.Extra.VirtualMachine
	doc.Health = hcn.Health{Data: health(e.createdAt), Extra: hcn.ExtraParams{VirtualMachine: vm}}
	shared := e.Containers
	if shared == nil {
		shared = []string{}
	}
	doc.Health.Extra.SharedContainers = mustJSON(shared)
	if v.detailed || shape == hcn.V1 || e.AttachedTo == ToVirtualMachine {
		doc.Health.Extra.Resources = v.endpointResources(n, e)
	}
	if shape == hcn.V2 {
		return doc.Encode(hcn.V2)
	}
	doc.ID = v.endpointCase(doc.ID)
	doc.HostComputeNetwork = v.endpointCase(doc.HostComputeNetwork)
	doc.IpConfigurations = slices.Clone(doc.IpConfigurations)
	for i := range doc.IpConfigurations {
		if id := doc.IpConfigurations[i].IpSubnetId; id != "" {
			doc.IpConfigurations[i].IpSubnetId = v.endpointCase(id)
		}
	}
	x := doc.Extras.With("ActivityId", mustJSON(upper(e.ids.activity)))
	x = x.With("VirtualNetworkName", mustJSON(n.Doc.Name))
	if v.version().Major < hnsIPSubnets {
		spelled := n.Doc.V1Type
		if spelled == "" {
			spelled = string(n.Type)
		}
		x = x.With("Type", mustJSON(spelled))
		x = x.With("CreateProcessingStartTime", mustJSON(fileTime(e.createdAt)))
	}
	if _, given := hcn.FindPolicy(doc.Policies, hcn.PolicyEncapOverhead); !given && e.EncapOverhead != 0 {
		x = x.With("EncapOverhead", mustJSON(e.EncapOverhead))
	}
	doc.Extras = x
	return doc.Encode(hcn.V1)
}

// namespace renders a namespace.
func (v *view) namespace(n *Namespace, shape hcn.Shape) []byte {
	doc := *n.Doc
	doc.SchemaVersion = v.schema(shape, doc.SchemaVersion)
	doc.Extras = doc.Extras.Without(readOnlyMembers...)
	doc.Health = hcn.Health{Data: health(n.createdAt)}
	doc.Resources = nil
	for _, id := range n.Endpoints {
		if shape == hcn.V1 {
			id = v.endpointCase(id)
		}
		doc.Resources = append(doc.Resources, hcn.NamespaceResource{Type: hcn.EndpointResource, Data: hcn.NamespaceResourceData{ID: id}})
	}
	if doc.NamespaceID == 0 {
		doc.NamespaceID = n.Compartment // F.4
	}
	if shape == hcn.V2 {
		for _, c := range n.Containers {
			doc.Resources = append(doc.Resources, hcn.NamespaceResource{Type: hcn.ContainerResource, Data: hcn.NamespaceResourceData{ID: c.ID}})
		}
		if doc.NamespaceGUID == "" {
			doc.NamespaceGUID = doc.ID
		}
		return doc.Encode(hcn.V2)
	}
	doc.NamespaceID = n.Compartment
	doc.ID = upper(doc.ID)
	containers := []string{}
	for _, c := range n.Containers {
		containers = append(containers, c.ID)
	}
	x := doc.Extras.With("ActivityId", mustJSON(upper(n.activity)))
	if n.CompartmentGUID != "" {
		x = x.With("CompartmentGuid", mustJSON(upper(n.CompartmentGUID)))
	}
	x = x.With("Containers", mustJSON(containers))
	doc.Extras = x.With("Policies", json.RawMessage("[]"))
	return doc.Encode(hcn.V1)
}

// balancer renders a load balancer; a policy list in v1 (F.5).
func (v *view) balancer(l *LoadBalancer, shape hcn.Shape) []byte {
	doc := *l.Doc
	if l.restored && v.s.cfg.Now() < l.RestoredAt+v.s.cfg.Profile.Knobs.LBRestoreDelay {
		doc.PortMappings = nil // G.5: the restore is not complete
	}
	doc.SchemaVersion = v.schema(shape, doc.SchemaVersion)
	doc.Extras = doc.Extras.Without(readOnlyMembers...)
	if shape == hcn.V1 {
		doc.Extras = v.listExtras(doc.Extras, l.activity, doc.HostComputeNetwork)
	}
	return doc.Encode(shape)
}

// route renders a route object; a policy list in v1.
func (v *view) route(r *Route, shape hcn.Shape) []byte {
	doc := *r.Doc
	doc.SchemaVersion = v.schema(shape, doc.SchemaVersion)
	doc.Extras = doc.Extras.Without(readOnlyMembers...)
	if shape == hcn.V1 {
		doc.Extras = v.listExtras(doc.Extras, r.activity, doc.HostComputeNetwork)
	}
	return doc.Encode(shape)
}

func (v *view) listExtras(x hcn.Extras, activity, network string) hcn.Extras {
	x = x.With("ActivityId", mustJSON(upper(activity)))
	x = x.With("Flags", mustJSON(0))
	x = x.With("HostComputeNetwork", mustJSON(network))
	return x.With("IsApplied", mustJSON(false))
}
