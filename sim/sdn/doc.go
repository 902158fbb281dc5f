// Package sdn is the network controller of tenant virtual networks: it keeps
// the REST documents that Microsoft's Network Controller takes below
// /networking/v1, and makes of them the programs of physical hosts and of the
// load balancer's multiplexers (contract section 13).
//
//	PUT document ─► read (JSON path in every error) ─► store ─► model (references
//	resolved, conflicts found) ─► compile ─► fabric.HostProgram per host and MUX,
//	routes of the virtual addresses
//
// It knows documents and stages, as hns does for container networks, and the
// inventory that it is given: which hosts there are, which virtual machines run
// where. It changes nothing itself: whoever owns the fabric carries out its
// Plan. A document that does not fit leaves everything as it was.
//
// Not modelled: gateways and virtualGateways, which the contract does not list
// (README.md), QoS of logical networks, nested credentials and certificates, the
// controller's own replicas. Members of documents that it does not use are kept
// and shown.
package sdn
