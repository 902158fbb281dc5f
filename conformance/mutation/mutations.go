package main

// mutations are the ways in which the model is broken, by area. Each must be
// noticed by at least one scenario.
var mutations = []Mutation{
	// WinNAT and host routing.
	{"nat/ttl-kept", "NAT-17", "sim/fabric/ipstack/input.go", "wire.DecTTL(p.Bytes(), &p.Meta, 1)\n", "\n"},
	{"nat/l4-checksum-forgotten", "NAT-18", "sim/wire/rewrite.go", "func (m *Meta) mendL4(frame []byte, d Delta) {\n", "func (m *Meta) mendL4(frame []byte, d Delta) {\n	return\n"},
	{"nat/udp-timer-doubled", "3.3", "sim/winnat/flow.go", "life = int64(n.cfg.Timers.UDP)", "life = 2 * int64(n.cfg.Timers.UDP)"},
	{"nat/tcp-timer-doubled", "3.3", "sim/winnat/tcp.go", "return int64(n.cfg.Timers.TCPEstablished) // both", "return 2 * int64(n.cfg.Timers.TCPEstablished) // both"},
	{"nat/inbound-refreshes", "3.3", "sim/winnat/session.go", "return d == forward || s.kind != dynamic ||", "return true || d == forward || s.kind != dynamic ||"},
	{"nat/filtering-ignored", "NAT-14", "sim/winnat/flow.go", "return n.peers.get(peerKey(mi, remote)) != 0", "return true"},
	{"nat/hairpin-on-old-builds", "NAT-37", "sim/winnat/flow.go", "case n.cfg.Hairpin == HairpinDrop:", "case false:"},
	{"nat/host-always-uses-published", "NAT-36", "sim/winnat/flow.go", "if st == nil || !n.hostMay(st) ||", "if st == nil ||"},
	{"nat/ipv6-forwarded", "NAT-07", "sim/fabric/hostnat.go", "if inside && p.Meta.IsIPv6 {", "if false && inside && p.Meta.IsIPv6 {"},
	{"nat/reserved-ports-free-for-sockets", "NAT-12", "sim/fabric/hostnat.go", "	return ipstack.ErrAccess\n", "	return nil\n"},

	// Virtual switch.
	{"vswitch/spoofing-allowed", "VS-20", "sim/vswitch/security.go", "if !c.MACSpoofing && wire", "if false && !c.MACSpoofing && wire"},
	{"vswitch/dhcp-guard-off", "VS-21", "sim/vswitch/security.go", "if c.DHCPGuard && from", "if false && c.DHCPGuard && from"},
	{"vswitch/router-guard-off", "VS-22", "sim/vswitch/security.go", "if c.RouterGuard && from", "if false && c.RouterGuard && from"},
	{"vswitch/zones-leak", "OV-01", "sim/vswitch/forward.go", "!d.any && q.cfg.Zone == d.zone", "!d.any"},
	{"vswitch/tunnelled-ports-hear-the-wire", "OV-01", "sim/vswitch/forward.go", "d.any && !q.cfg.Tunnelled", "d.any"},
	{"vswitch/unknown-unicast-flooded", "VS-11", "sim/vswitch/forward.go", "	if s.flood {\n", "	if true {\n"},
	{"vswitch/blocked-ports-open", "CMP-08", "sim/hns/compile_external.go", "Blocked: !e.Attached(),", "Blocked: false,"},

	// l2bridge and outbound NAT.
	{"l2bridge/mac-kept-on-the-wire", "L2B-01", "sim/l2bridge/l2bridge.go", "Action: vfp.SetHeaders{EthSrc: &b.cfg.HostMAC}", "Action: vfp.Allow{}"},
	{"l2bridge/arp-sender-kept", "L2B-02", "sim/l2bridge/actions.go", "	wire.ARP(frame[w.Meta.L3:]).SetSenderMAC(a.b.cfg.HostMAC)\n", ""},
	{"l2bridge/destination-mac-kept", "L2B-03", "sim/l2bridge/actions.go", "w.H.EthDst, w.Zone = e.MAC, e.Zone", "w.Zone = e.Zone"},
	{"l2bridge/nd-option-kept", "L2B-02", "sim/l2bridge/actions.go", "	wire.SetNDLinkAddr(frame, w.Meta, a.b.cfg.HostMAC)\n", ""},
	{"snat/exceptions-ignored", "L2B-22", "sim/snat/snat.go", "if !o.Everywhere || contains(o.Exceptions, dst) {", "if !o.Everywhere {"},
	{"snat/destinations-ignored", "L2B-21", "sim/snat/snat.go", "|| contains(o.Destinations, dst) {", "{"},
	{"snat/any-remote-may-answer", "L2B-25", "sim/snat/snat.go", "Action:      vfp.Block{Reason: vfp.DropNoMapping},", "Action:      vfp.Allow{},"},
	{"snat/replies-translated", "VFP-07", "sim/snat/snat.go", "in.Rules = append(in.Rules, out.refuse(), out.replies())", "in.Rules = append(in.Rules, out.refuse())"},
	{"snat/icmp-translated", "L2B-26", "sim/hns/compile_pools.go", "icmp: profile.Knobs.VFPICMPNAT,", "icmp: true,"},
	{"snat/idle-timer-longer", "L2B-24", "sim/hns/compile_pools.go", "idle: int64(profile.Knobs.VFPNATIdle),", "idle: 2 * int64(profile.Knobs.VFPNATIdle),"},
	{"l2bridge/container-macs-known-outside", "L2B-06", "sim/l2bridge/l2bridge.go", "if macs := b.hidden(); len(macs) > 0 {", "if macs := b.hidden(); len(macs) < 0 {"},
	{"l2bridge/dhcp-answers-delivered", "L2B-14", "sim/l2bridge/l2bridge.go", "Action: vfp.Block{}, Terminating: true, Cite: \"L2B-14\"", "Action: vfp.Allow{}, Terminating: true, Cite: \"L2B-14\""},
	{"l2bridge/blocks-of-a-host-routed-outside", "L2B-16", "sim/l2bridge/l2bridge.go", "return from != nil && to != nil && to != from &&", "return false && from != nil && to != nil && to != from &&"},
	{"l2bridge/routes-go-with-the-nic", "VS-04", "sim/fabric/host.go", "	h.restoreRoutes()\n", ""},
	{"snat/free-ports-cached", "VFP-12", "sim/hns/compile.go", "PoolMayTake: c.pools.mayTake(),", "PoolMayTake: nil,"},
	{"snat/virtual-ip-not-found", "L2B-21", "sim/l2bridge/l2bridge.go", "return addr.IsValid() && !addr.IsMulticast() }", "return false }"},
	{"snat/flag-of-host-ports-ignored", "L2B-30", "sim/hns/compile_pools.go", "if set.Flags&hcn.NatLocalRoutedVip != 0 {", "if true {"},
	{"l2tunnel/foreign-addresses-pass", "L2T-05", "sim/fabric/outer.go", "{ID: \"CA_FOREIGN\", Priority: 200, Action: vfp.Block{}", "{ID: \"CA_FOREIGN\", Priority: 200, Action: vfp.Allow{}"},
	{"l2tunnel/siblings-bridged", "L2T-01", "sim/l2bridge/actions.go", "w.Fwd = vfp.Forward{Kind: vfp.ToWire}", "w.Fwd = vfp.Forward{Kind: vfp.ByMAC}"},

	// Overlay.
	{"overlay/wrong-vni", "OV-08", "sim/overlay/endpoint.go", "Kind: vfp.VXLAN, Src: n.cfg.PA, Dst: pa, VNI: vni,", "Kind: vfp.VXLAN, Src: n.cfg.PA, Dst: pa, VNI: vni + 1,"},
	{"overlay/dr-mac-not-written", "OV-08", "sim/overlay/endpoint.go", "w.H.EthDst, w.H.EthSrc = r.subnet.DRMAC, a.n.cfg.DRMAC", "w.H.EthSrc = a.n.cfg.DRMAC"},
	{"overlay/remote-endpoint-mac-not-written", "OV-07", "sim/overlay/endpoint.go", "		w.H.EthDst = r.remote.MAC\n", ""},
	{"overlay/flags-not-checked", "OV-12", "sim/overlay/wire.go", "if vx.Flags()&wire.VXLANFlagI == 0 {", "if false {"},
	{"overlay/inner-tag-accepted", "OV-12", "sim/vswitch/egress.go", "	if p.Meta.HasVLAN {\n		s.drop(f, dst, p, vfp.DropInnerVlanTag)", "	if false {\n		s.drop(f, dst, p, vfp.DropInnerVlanTag)"},
	{"overlay/unknown-inner-mac-routed", "OV-12", "sim/overlay/wire.go", "if w.H.EthDst != n.cfg.DRMAC {", "if false {"},
	{"overlay/shortest-prefix-wins", "OV-05", "sim/overlay/config.go", "return cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits())", "return cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits())"},
	{"overlay/constant-source-port", "OV-14", "sim/overlay/endpoint.go", "return wire.EntropyPort(k.Hash())", "return wire.EntropyPort(k.Hash() * 0)"},
	{"overlay/oversize-sent", "OV-19", "sim/overlay/endpoint.go", "if len(w.Frame) > longest {", "if false {"},
	{"overlay/arp-of-strangers-answered", "OV-10", "sim/overlay/proxy.go", "	return wire.MAC{}, false\n", "	return n.cfg.DRMAC, true\n"},
	{"overlay/cluster-traffic-translated", "OV-05", "sim/snat/snat.go", "return o.Routed == nil || !o.Routed(dst)", "return true"},
	{"overlay/host-always-reaches-pods", "OV-22", "sim/hns/compile_external.go", "hcn.PolicyHostRoute)\n	return ok\n", "hcn.PolicyHostRoute)\n	return ok || true\n"},
	{"overlay/no-replication", "OV-11", "sim/vswitch/process.go", "	copies += s.replicate(f, p, w, q)\n", ""},
	{"overlay/outbound-knob-ignored", "D-22", "sim/hns/compile_pools.go", "if n.Type == hcn.Overlay && !p.overlay {", "if false {"},
	{"overlay/mtu-knob-ignored", "D-18", "sim/hns/compile_external.go", "c.Profile.Knobs.OverlayMTU == \"always\"", "false"},
	{"snat/block-size-ignored", "L2B-23", "sim/hns/compile_pools.go", "block: profile.Knobs.VFPPortBlock,", "block: 64,"},
	{"overlay/low-vsid-accepted", "OV-02", "sim/hcn/validate_policy.go", "	minVSID = 4096\n", "	minVSID = 1\n"},

	// ACLs and the engine.
	{"acl/block-ignored", "ACL-05", "sim/hns/compile_acl.go", "		r.Action = acl.Block\n", "		r.Action = acl.Allow\n"},
	{"acl/direction-ignored", "ACL-02", "sim/hns/compile_acl.go", "		r.Dir = vfp.In\n", "		r.Dir = vfp.Out\n"},
	{"acl/any-acl-means-deny-lost", "D-11", "sim/hns/compile_acl.go", "AnyMeansDeny:   k.ACLAnyMeansDeny,", "AnyMeansDeny:   false,"},
	{"vfp/generation-ignored", "VFP-08", "sim/vfp/layerflow.go", "if l.Reconcile == Reevaluate && !p.stillMade(w, l, id, side) {", "if false {"},
}
