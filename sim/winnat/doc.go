// Package winnat is WinNAT in software: the translator on the routed path of
// a Windows host, between the internal prefixes of its nat networks and the
// interfaces that lead out (contract section 3).
//
// It knows IPv4 packets, ports, timers and the settings that Set-NetNat and
// Add-NetNatStaticMapping make. It does not route, answer ARP, decrement TTLs,
// send ICMP or look at MTUs: its caller, the host's IP stack, does, and asks
// at four places:
//
//	container ──► host route ──► Outbound ──► external interface
//	external interface ──► Inbound ──► host route ──► container
//	container ──► an address of the host ──► Hairpin ──► container, or host stack
//	host socket ──► an address of the host ──► HostOutbound ──► container
//
// Two kinds of record hold its memory. A mapping says which external port an
// internal (protocol, address, port) has; it exists while a session uses it. A
// session is one flow, stored under the key of each of its two directions, so
// that a packet of a known flow takes one lookup. Both are found through tables
// that grow a few slots at a time. A host that carries packets in batches has a
// third, of shortcuts: what a flow's next packet needs in all of the host, in one
// cache line. Everything that may create
// or refuse state is behind that lookup, and begins by removing what has
// expired: what a packet experiences never depends on when Tick ran.
//
// Only IPv4 is translated (rule NAT-07). Not modelled: application gateways
// (FTP and the like), port parity (rule NAT-15), more than one translator on a
// host, NAT of multicast.
//
// A NAT belongs to one worker; it has no locks. Time is virtual, in
// nanoseconds, an argument of every call, and must not run backwards.
package winnat
