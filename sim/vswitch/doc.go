// Package vswitch is the Hyper-V virtual switch: it takes frames from ports
// and decides, in the order of contract section 1, which ports get them.
//
// It knows ports, MAC addresses, isolation domains, VLANs, port security and
// the switch's built-in ACLs (rules VS-01 to VS-40), and it walks the vfp
// programs of ports where the pipeline says so. It must not know why a port
// is configured as it is: networks, endpoints and documents are the control
// plane's, VFP rules are compiled elsewhere, and what stands behind a port is
// the Sink's business.
//
//	config.go    the description: Config, PortConfig, NextHop, Sink
//	snapshot.go  its compiled form, and the state that outlives it
//	validate.go  what Apply refuses
//	process.go   the pipeline, in the order in which a frame meets it
//	security.go  step 2: spoofing, guards, storm limit
//	vlan.go      steps 3 and 8: VLAN in and out
//	portacl.go   steps 4 and 8: basic and extended ACLs; aclstate.go their flows
//	forward.go   step 6: the forwarding decision
//	mactable.go  addresses learned on ports with MAC spoofing
//	egress.go    step 8: what a frame meets at its destination
//	cache.go     the unified flow cache over steps 5 to 7
//	burst.go     batches, and packets whose eight steps one cached entry knows
//
// # Time and concurrency
//
// Time is an argument, ns of virtual time, and never runs backwards. A Switch
// belongs to one worker: Apply, Process and everything else run one after the
// other, and a Sink or NextHop must not call back into the switch that calls
// it. Apply between two batches is atomic for packets: a batch sees one Config.
//
// # Not modelled
//
// IGMP and MLD snooping (rule VS-15), DynamicIPAddressLimit, queueing and
// bandwidth (package qos), checksum and segmentation offload: frames on the
// switch are complete and a segment is a frame. Hyper-V's promiscuous private
// VLAN ports take a list of secondary VLANs; here they take all of their
// primary.
package vswitch
