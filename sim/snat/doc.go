// Package snat is VFP NAT: the OutBoundNAT and PortMapping policies of
// l2bridge, l2tunnel and overlay endpoints, compiled to the SLB_NAT_LAYER of
// the endpoint's port (rules L2B-20 to L2B-30, OV-20).
//
// It knows addresses, pools and VFP; it knows no documents and nothing of
// WinNAT, whose mapping and filtering differ (rule L2B-25). The layer is
// stateful: a flow's translation is recorded with its reverse, and what
// arrives for a pool port without one is dropped as NoMapping.
package snat
