// Package ipstack is a small IP stack that never surprises: one Stack is one
// network compartment (rule CMP-01) of a container, a Windows host, a router or
// an external machine.
//
// It knows interfaces with addresses and MTU, ARP and neighbour discovery,
// routes, forwarding with TTL and MTU, ICMP, fragments, UDP, a plain TCP, DHCP
// and router advertisements. It has no goroutine, no clock and no lock: time
// is an argument (nanoseconds of virtual time), waiting is done by the caller's
// Timers, and randomness comes from a seed. The same calls in the same order
// give the same frames.
//
// A packet's way through a stack:
//
//	Interface.Receive            input.go     MAC filter, ARP, sanity, LandLike
//	  Hooks.PreRouting           hooks.go     a NAT may change the destination
//	  ours: deliver              deliver.go   reassembly, then ICMP, UDP, TCP, DHCP
//	  else: forward              forward.go   TTL, route, MTU
//	    Hooks.PostRouting                     a NAT may change the source
//	      send                   output.go    fragments, next hop
//	        Interface.Transmit   neigh.go     as soon as the neighbour is known
//	own packets: output          output.go    Hooks.Output, then as above
//
// What the stack does not model: strong host checks (an address is served on
// every interface, as on a Windows host that forwards), duplicate address
// detection, neighbour unreachability detection (an entry lives until another
// station claims the address), redirects, source routes, IGMP and MLD
// (multicast of every group is accepted), TCP's SACK, timestamps, window
// scaling and delayed acknowledgements.
//
// The package must not know switches, policies or worlds: of sim it imports
// wire for bytes and vfp for the packet and the drop reasons.
package ipstack
