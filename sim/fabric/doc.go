// Package fabric is the physical world around Windows hosts: virtual time,
// wires, segments, routers and external machines.
//
// It knows when things happen and in which order. Everything that takes time
// goes through the Loop: frames on their way and timers. There is no
// goroutine, no clock and no randomness but that of each link's own seeded
// source, so that a world can be run twice, and a day of it costs no more than
// what happens in it.
//
// Frames belong to whoever posts them; receivers and observers see them for
// the duration of a call. A frame keeps its identity over hops; copies share
// it, answers get their own.
//
// The package must not know documents (HCN, HNS) or how policies are made. A
// Windows host in it joins a NIC, virtual switches, an IP stack and WinNAT.
package fabric
