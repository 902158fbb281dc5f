// Package slb is the load balancer of VFP: virtual addresses whose flows go to
// one of several backends (contract section 8, rules LB-01 to LB-17).
//
// It knows frontends, backends, port pools and VFP; it knows no documents, no
// networks and nothing of how a packet gets to a backend, except where it is
// the last to decide. It compiles the same frontends for three kinds of ports:
//
//	client's port    OUT: destination := backend at LayerPriority, in front of
//	                 the ACLs, which see the backend (ACL-09); without DSR also
//	                 source := SourceVIP and a pool port, at NATPriority, behind
//	                 everything that must see the pod's address (LB-02, LB-03)
//	external port    OUT, behind decapsulation: both at once, and the frame is
//	                 steered to its backend (LB-12, LB-16)
//	host port        OUT: the node's own connections (LB-13, LB-14)
//
// A flow's backend is chosen by a hash and remembered by the layer flow that
// the choice makes, with its reverse: so a flow stays where it is whatever
// happens to the set of backends (LB-06), and lives as long as its backend is
// listed, in use or draining (LB-08).
//
// Tenant networks have the same idea in two places (rules SDN-13 to SDN-18): a
// multiplexer (MuxLayers) picks the machine for a flow and tunnels the packet to
// its host as it is; the machine's port (TenantLayers) translates it, and the
// answer on its direct way back.
//
// Not modelled: a way to tell apart the replies of two flows of one client that
// have source port and backend in common. To two virtual addresses the second
// flow is refused (NatPoolExhausted); to the backend itself its answers bear the
// virtual address, as the client's port knows no better.
package slb
