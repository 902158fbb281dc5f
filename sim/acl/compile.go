package acl

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
)

// LayerPriority is the place of the ACLs of network, tiers and endpoint among
// the layers of a port: load balancing 100, ACLs 200, NAT 300, routes and encapsulation 400. OUT walks upwards, so Out rules
// see the packet after the service DNAT and before SNAT; IN walks downwards,
// so In rules see it after the reverse translation (rule ACL-09).
const LayerPriority = 200

// HostLayerPriority is the place of Host rules: nearer to the container than
// any ACL of the switch (rule ACL-08), yet behind load balancing (rule ACL-09).
const HostLayerPriority = 140

// TunnelLayerPriority is the place of rules for VXLAN traffic: behind the
// encapsulation, where it is known that the packet is tunnelled (rule ACL-34).
const TunnelLayerPriority = 450

// TieBreak orders rules of equal priority (rule ACL-06, knob aclTie).
type TieBreak uint8

const (
	BlockWins TieBreak = iota // Block, then Pass, then Allow
	FirstWins                 // list order
)

// SetAddressing is the meaning of Local and Remote in address fields that name
// IP sets (rule ACL-03, knob aclSetAddressing).
type SetAddressing uint8

const (
	SourceDest       SetAddressing = iota // Local is the source, Remote the destination, in both directions
	EndpointRelative                      // as for plain addresses (rule ACL-02)
)

// Isolation is the container's isolation type (contract 9.2).
type Isolation uint8

const (
	Process Isolation = iota
	HyperV
)

// Options are the knobs of a compilation. The zero value is a
// process-isolated endpoint with the defaults of the contract.
type Options struct {
	Isolation Isolation
	Tie       TieBreak
	Sets      SetAddressing
	// NeverReconcile keeps live flows over a change of rules (rule ACL-11,
	// knob aclReconcile=never); otherwise they are evaluated again.
	NeverReconcile bool
	// AnyMeansDeny denies what no rule allows in a direction that has at
	// least one rule (D-11, knob aclAnyMeansDeny).
	AnyMeansDeny bool
	// Precedence orders network and tier lists (knob aclPrecedence).
	Precedence Precedence
	// TiersDescending runs the tier with the greatest Order first (rule
	// ACL-30, knob aclTierOrder=descending).
	TiersDescending bool
	// FilterNeighbors makes IPv6 neighbour discovery traffic like any other
	// (rule ACL-12, knob aclNeighborDiscovery=filtered).
	FilterNeighbors bool
	// Idle is the lifetime of a flow without traffic, ns; 0 is VFP's default.
	Idle int64
}

func (o *Options) reconcile() vfp.Reconcile {
	if o.NeverReconcile {
		return vfp.KeepAlways
	}
	return vfp.Reevaluate
}

// Layers compiles the rules of an endpoint that has no other lists; see
// Lists.Layers.
func Layers(rules []Rule, opt Options) ([]vfp.Layer, error) {
	return Lists{Endpoint: rules}.Layers(opt)
}

// Layers compiles everything the lists ask for, in order of priority: the
// layer of Host rules where there are some and the container is
// process-isolated, the endpoint layer always, and the layer for VXLAN traffic
// where a rule speaks of it. The result does not alias the lists.
func (l Lists) Layers(opt Options) ([]vfp.Layer, error) {
	lists, err := l.ordered(opt)
	if err != nil {
		return nil, err
	}
	var layers []vfp.Layer
	if opt.Isolation == Process && haveType(lists, Host) {
		host, err := compileHost(lists, opt)
		if err != nil {
			return nil, err
		}
		layers = append(layers, host)
	}
	main, err := compileMain(lists, opt)
	if err != nil {
		return nil, err
	}
	layers = append(layers, main)
	tunnel, err := compileTunnel(lists, opt)
	if err != nil {
		return nil, err
	}
	if len(tunnel.Groups) > 0 {
		layers = append(layers, tunnel)
	}
	return layers, nil
}

// Compile builds the endpoint layer of one list: the Switch rules and behind
// them the default posture. Host rules are left out. The result does not alias
// rules.
func Compile(rules []Rule, opt Options) (vfp.Layer, error) {
	lists, err := Lists{Endpoint: rules}.ordered(opt)
	if err != nil {
		return vfp.Layer{}, err
	}
	return compileMain(lists, opt)
}

// compileMain builds the endpoint layer: a group for each list, in the order
// of evaluation, and the default posture. VFP stops a layer at a terminating
// rule and lets one rule of a group act, which is what tiers do: Allow and
// Block decide, Pass and no match go on to the next group (rules ACL-30 to
// ACL-32).
func compileMain(lists []list, opt Options) (vfp.Layer, error) {
	l := vfp.Layer{Name: "ACL_ENDPOINT_LAYER", Priority: LayerPriority, Reconcile: opt.reconcile()}
	c := compiler{opt: opt, kind: Switch}
	if err := c.addGroups(&l, lists); err != nil {
		return vfp.Layer{}, err
	}
	l.Groups = append(l.Groups, c.neighborGroups("ACL_NEIGHBOR_GROUP")...)
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		for _, family := range [2]vfp.Family{vfp.IPv4, vfp.IPv6} {
			l.Groups = append(l.Groups, c.posture(dir, family))
		}
	}
	slices.SortStableFunc(l.Groups, func(a, b vfp.Group) int { return cmp.Compare(a.Priority, b.Priority) })
	return l, nil
}

// compileHost builds the layer of Host rules (rule ACL-08). What no Host rule
// mentions passes: the posture of the endpoint is the endpoint layer's. The
// caller leaves the layer out under Hyper-V isolation.
func compileHost(lists []list, opt Options) (vfp.Layer, error) {
	l := vfp.Layer{Name: "ACL_HOST_LAYER", Priority: HostLayerPriority, Reconcile: opt.reconcile()}
	c := compiler{opt: opt, kind: Host}
	if err := c.addGroups(&l, lists); err != nil {
		return vfp.Layer{}, err
	}
	l.Groups = append(l.Groups, c.neighborGroups("ACL_HOST_NEIGHBOR_GROUP")...)
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		for _, family := range [2]vfp.Family{vfp.IPv4, vfp.IPv6} {
			// Without a state for what the list does not mention, a Block in
			// one direction would cut the replies of the other.
			l.Groups = append(l.Groups, vfp.Group{
				Name: groupName("ACL_HOST_DEFAULT", dir, family), Dir: dir, Family: family, Priority: postureGroup,
				Rules: []vfp.Rule{c.allow("ACL_HOST_DEFAULT_ALLOW_"+dir.String(), nil, "9.2")},
			})
		}
	}
	slices.SortStableFunc(l.Groups, func(a, b vfp.Group) int { return cmp.Compare(a.Priority, b.Priority) })
	return l, nil
}

// compileTunnel builds the layer for Switch rules with protocol 252
// (rule ACL-34). It has no group when no rule has it. Addresses are those of
// the inner packet; the default is to let pass.
func compileTunnel(lists []list, opt Options) (vfp.Layer, error) {
	l := vfp.Layer{Name: "ACL_TUNNEL_LAYER", Priority: TunnelLayerPriority, Reconcile: opt.reconcile()}
	c := compiler{opt: opt, kind: Switch, tunnel: true}
	if err := c.addGroups(&l, lists); err != nil {
		return vfp.Layer{}, err
	}
	return l, nil
}

// addGroups compiles the lists' rules of the compiler's kind to groups.
func (c *compiler) addGroups(l *vfp.Layer, lists []list) error {
	prefix := "ACL_"
	switch {
	case c.kind == Host:
		prefix = "ACL_HOST_"
	case c.tunnel:
		prefix = "ACL_TUNNEL_"
	}
	for i, list := range lists {
		if err := c.load(list); err != nil {
			return err
		}
		for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
			for _, family := range [2]vfp.Family{vfp.IPv4, vfp.IPv6} {
				g := c.group(groupName(prefix+list.name+"_GROUP", dir, family), dir, family)
				if g.Priority = uint16(rulesGroup + i); len(g.Rules) > 0 {
					l.Groups = append(l.Groups, g)
				}
			}
		}
	}
	return nil
}

// Groups of a layer: the lists in their order, then the posture. An Allow or
// Block ends the layer; Pass, which does not, leaves the packet to the next
// list.
const (
	neighborGroup = 0
	rulesGroup    = 100
	postureGroup  = rulesGroup + maxLists
)

func groupName(prefix string, dir vfp.Dir, f vfp.Family) string {
	if f == vfp.IPv4 {
		return prefix + "_IPv4_" + dir.String()
	}
	return prefix + "_IPv6_" + dir.String()
}

// compiler holds one list at a time on its way to groups.
type compiler struct {
	opt    Options
	kind   RuleType
	tunnel bool
	list   list
	rules  []entry // of kind, in the order of evaluation
	count  [2]int  // rules of all lists per direction, for the posture
}

// entry is a checked rule.
type entry struct {
	*Rule
	protos []uint8
}

// load checks all rules and keeps those of the compiler's kind, sorted.
func (c *compiler) load(l list) error {
	c.list, c.rules = l, make([]entry, 0, len(l.rules))
	for i := range l.rules {
		r := &l.rules[i]
		protos, tunnel, err := r.protocols()
		if err == nil {
			err = r.check()
		}
		if err != nil {
			return fmt.Errorf("acl %s: %w", r.id(), err)
		}
		if r.RuleType != c.kind {
			continue
		}
		c.count[r.Dir&1]++
		if c.tunnel && tunnel {
			c.rules = append(c.rules, entry{r, nil})
		} else if !c.tunnel && r.inMain() {
			c.rules = append(c.rules, entry{r, protos})
		}
	}
	// Stable: equal keys stay in list order, which decides FirstWins and keeps
	// BlockWins deterministic (rule ACL-06).
	slices.SortStableFunc(c.rules, func(a, b entry) int {
		if n := cmp.Compare(a.Priority, b.Priority); n != 0 || c.opt.Tie == FirstWins {
			return n
		}
		return cmp.Compare(rank(a.Action), rank(b.Action))
	})
	return nil
}

// rank orders actions at equal priority under BlockWins.
func rank(a Action) int {
	return [...]int{Block: 0, Pass: 1, Allow: 2}[a]
}

// group compiles the list's rules of one direction and family.
func (c *compiler) group(name string, dir vfp.Dir, family vfp.Family) vfp.Group {
	g := vfp.Group{Name: name, Dir: dir, Family: family}
	for i := range c.rules {
		e := &c.rules[i]
		if e.Dir != dir {
			continue
		}
		m, ok := c.match(e, family)
		if !ok {
			continue
		}
		g.Rules = append(g.Rules, c.rule(e, m))
	}
	return g
}

// rule is the compiled form of e with condition m.
func (c *compiler) rule(e *entry, m vfp.Match) vfp.Rule {
	cite := e.Cite
	if cite == "" {
		cite = c.list.cite
	}
	r := vfp.Rule{ID: e.id(), Priority: e.Priority, Match: m, Idle: c.opt.Idle, Cite: cite}
	switch e.Action {
	case Allow:
		// A tunnel is not a connection; its rules keep no state.
		r.Action, r.Terminating, r.Stateful = vfp.Allow{}, true, !c.tunnel
	case Block:
		r.Action, r.Terminating = vfp.Block{Reason: c.reason()}, true
	case Pass:
		r.Action = vfp.Allow{}
	}
	return r
}

// reason is the drop reason of the compiler's Block rules.
func (c *compiler) reason() vfp.Drop {
	if c.kind == Host {
		return vfp.DropHostFirewall
	}
	return vfp.DropVfpBlock
}

// match orients the rule's condition for its direction (rules ACL-02, ACL-03)
// and narrows it to a family. ok is false when the rule names only addresses
// of the other family.
func (c *compiler) match(e *entry, family vfp.Family) (m vfp.Match, ok bool) {
	local, lok, lnone := narrow(e.LocalAddrs, family)
	remote, rok, rnone := narrow(e.RemoteAddrs, family)
	if !lok || !rok {
		return m, false
	}
	m.Protos = e.protos
	m.Never = lnone || rnone
	m.Src, m.Dst = local, remote
	m.SrcPorts, m.DstPorts = slices.Clone(e.LocalPorts), slices.Clone(e.RemotePorts)
	swapped := false
	if e.Dir == vfp.In {
		m.SrcPorts, m.DstPorts = m.DstPorts, m.SrcPorts
		// Set names speak of source and destination, whatever the direction;
		// the ports next to them keep their meaning.
		sets := len(e.LocalAddrs.Sets) > 0 || len(e.RemoteAddrs.Sets) > 0
		if swapped = !sets || c.opt.Sets == EndpointRelative; swapped {
			m.Src, m.Dst = remote, local
		}
	}
	src, dst := &e.LocalAddrs, &e.RemoteAddrs
	if swapped {
		src, dst = dst, src
	}
	m.Func, m.Note = portedFunc(src, dst)
	if c.tunnel {
		m.Func, m.Note = both(m.Func, tunnelled), "VXLAN"
	}
	return m, true
}

// tunnelled reports whether the packet is carried in VXLAN: about to be on its
// way out, and until here on its way in.
func tunnelled(w *vfp.Walk) bool {
	if w.Dir == vfp.Out {
		return w.Encap.Kind == vfp.VXLAN
	}
	return w.VNI != 0
}

// narrow keeps the prefixes of one family, those of members with a port among
// them. ok is false when the field names
// addresses, but none of the family; never is true for an empty set.
func narrow(a AddressSet, family vfp.Family) (list []netip.Prefix, ok, never bool) {
	if a.any() {
		return nil, true, false
	}
	if len(a.Prefixes) == 0 && len(a.Ported) == 0 {
		return nil, true, true
	}
	add := func(p netip.Prefix) {
		p = unmap(p)
		if p.Addr().Is4() == (family == vfp.IPv4) {
			list = append(list, p.Masked())
		}
	}
	for _, p := range a.Prefixes {
		add(p)
	}
	for _, m := range a.Ported {
		add(m.Prefix)
	}
	return list, len(list) > 0, false
}

// unmap turns an IPv4-mapped IPv6 prefix into the IPv4 prefix it means.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
