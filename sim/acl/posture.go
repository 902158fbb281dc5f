package acl

import "github.com/hnsim/hnsim/sim/vfp"

// posture is what happens to packets that no rule decided (contract 9.2): all
// is allowed, except that AnyMeansDeny denies a direction with rules, and that
// process isolation admits only the usual protocols unsolicited
// (rule ACL-15). What the posture lets pass is stateful like any Allow, so
// that a Block in the other direction does not cut its replies (rule ACL-10).
func (c *compiler) posture(dir vfp.Dir, family vfp.Family) vfp.Group {
	g := vfp.Group{
		Name:     groupName("ACL_ENDPOINT_DEFAULT", dir, family),
		Dir:      dir,
		Family:   family,
		Priority: postureGroup,
	}
	block := vfp.Rule{
		ID:          "ACL_DEFAULT_BLOCK_" + dir.String(),
		Priority:    basePriority + 1,
		Action:      vfp.Block{},
		Terminating: true,
	}
	switch {
	case c.opt.AnyMeansDeny && c.count[dir&1] > 0:
		block.Cite = "D-11"
		g.Rules = []vfp.Rule{block}
	case dir == vfp.In && c.opt.Isolation == Process:
		block.Cite = "ACL-15"
		g.Rules = []vfp.Rule{c.allow("ACL_DEFAULT_ALLOW_IN", inboundProtocols(family), "ACL-15"), block}
	default:
		g.Rules = []vfp.Rule{c.allow("ACL_DEFAULT_ALLOW_"+dir.String(), nil, "9.2")}
	}
	return g
}

// basePriority puts the posture where base rules are in the field (rule
// ACL-07): Allow at 65499, Block one behind it.
const basePriority = 65499

// allow is a stateful posture rule for protos, nil for all.
func (c *compiler) allow(id string, protos []uint8, cite string) vfp.Rule {
	return vfp.Rule{
		ID:          id,
		Priority:    basePriority,
		Match:       vfp.Match{Protos: protos},
		Action:      vfp.Allow{},
		Terminating: true,
		Stateful:    true,
		Idle:        c.opt.Idle,
		Cite:        cite,
	}
}

// inboundProtocols is the set that process isolation admits (rule ACL-15).
// For IPv6, ICMPv6 stands for ICMP; MLD, which stands for IGMP, is part of it.
func inboundProtocols(family vfp.Family) []uint8 {
	if family == vfp.IPv6 {
		return []uint8{protoTCP, protoUDP, protoICMPv6}
	}
	return []uint8{protoTCP, protoUDP, protoICMP, protoIGMP}
}
