// Package linux carries scenarios out on the networking of the Linux kernel:
// network namespaces for hosts, containers and everything outside, pairs of
// virtual Ethernet interfaces as wires, bridges, routing, VXLAN devices and
// nftables for what the networks of HNS do.
//
// It is the second opinion: it shares no code with the model, only the
// documents (sim/hcn) and the views of frames (sim/wire), and it must never
// look at either scenarios or the model.
package linux
