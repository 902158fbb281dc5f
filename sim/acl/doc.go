// Package acl turns the access control lists of an endpoint into VFP layers
// (rules ACL-01 to ACL-15 and ACL-30 to ACL-34): its own list, its tiers and
// the list of its network.
//
// It knows rules as values: priorities, prefixes, port ranges, the isolation
// type and the knobs. It must not know documents, policies as drivers write
// them, object ids or build profiles: the control plane reads those, resolves
// IP sets to prefixes, and hands over Lists and Options. It never looks at a
// packet; what it returns is data that vfp evaluates.
//
//	layer              priority  what it holds
//	ACL_HOST_LAYER          140  Host rules, process isolation only (ACL-08)
//	ACL_ENDPOINT_LAYER      200  Switch rules: network, tiers, endpoint; then the default posture
//	ACL_TUNNEL_LAYER        450  rules for VXLAN traffic, protocol 252 (ACL-34)
//
// Each list is a group per direction and address family: VFP lets one rule of a
// group act and ends a layer at a terminating one, so that Allow and Block
// decide, and Pass and no match go on to the next list (ACL-31). ARP and other
// frames without an IP header meet no group at all (ACL-12). Because OUT walks
// layers in ascending order and IN in descending order, the endpoint layer
// sees pod addresses both ways: behind the load balancer's DNAT and in front
// of SNAT (ACL-09).
//
// Not modelled: the host firewall's own rules (profiles, services, app
// containers); Host rules are evaluated at the port like Switch rules, only
// earlier. Metering.
package acl
