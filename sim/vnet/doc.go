// Package vnet is the tenant virtual network of a network controller as VFP
// policy on the switch of a physical host (rules SDN-02, SDN-04 to SDN-12): who
// answers ARP, which addresses a virtual machine may use, where a packet for a
// customer address (CA) goes, and what a host accepts from its provider network.
//
//	VM's port, OUT      MIRROR, METER, ARP and ND responder, source check, [ACLs, SLB],
//	                    CA routing with the distributed router, encapsulation
//	VM's port, IN       [SLB, ACLs], METER, MIRROR
//	external port OUT   decapsulation, demultiplexing by VSID and inner MAC
//
// It knows addresses, VSIDs, provider addresses (PA), routes and VFP. It knows
// no documents, no machines, and nothing of the ACLs and load balancers between
// its layers. A Network is immutable; all ports of a host share it. What changes
// without a new program is Directs: flows between virtual addresses whose other
// end a multiplexer has told the host of (rule SDN-14).
//
// Not modelled: ICMP errors for packets that do not fit the provider network
// (they are dropped, rule OV-19), TTL below the distributed router's hop,
// gateways between routing domains other than appliances in the network.
package vnet
