// Package overlay is the VXLAN overlay of an HNS network as VFP policy: who
// answers ARP, where a packet for a customer address (CA) goes, and what a
// host accepts from its underlay (rules OV-01 to OV-30).
//
// It knows addresses, VSIDs, provider addresses (PA) and VFP; it knows
// neither documents nor the objects of the control plane, which hands it a
// Config and puts the layers it returns into the ports' programs:
//
//	endpoint port   EndpointLayer   ARP/ND proxy, route by CA, encapsulate
//	external port   WireLayer       decapsulate, distributed router, demultiplex
//	host port       HostLayer       host to local pods, with HostRoute only
//
// Remote knowledge is programmed, never learned from traffic (rule OV-04).
package overlay
