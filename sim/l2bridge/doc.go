// Package l2bridge is the MAC rewriting of l2bridge and l2tunnel networks as
// VFP policy of the external port and the endpoint ports (rules L2B-01 to
// L2B-08, L2T-01 to L2T-04, L2B-29).
//
// All containers of a host appear on the wire with the host's MAC: frames to
// the wire leave with it, inside ARP and neighbour discovery too, and frames
// from the wire are told apart by their IP address. It knows addresses, ports
// and VFP, and nothing of documents or NAT pools, except that a port of the
// host address may belong to an endpoint, which the caller says through
// Config.PoolOwner.
package l2bridge
