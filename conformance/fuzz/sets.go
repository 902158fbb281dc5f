package fuzz

import (
	"fmt"
	"strings"
)

// Policies that not every build takes come in steps of their own: a build that
// refuses them still has the network and the endpoint.

// setNames are the IP sets that networks may have; the last is made of the others.
var setNames = []string{"pods", "ports", "both"}

// set makes or changes an IP set of a network; rules that name it follow.
func (g *generator) set(n *network) {
	name := pick(g, setNames)
	kindOf, values := "IPSET", ""
	switch name {
	case "both":
		kindOf, values = "NESTEDIPSET", strings.Join(n.knownSets(), ",")
	default:
		var members []string
		for range g.rng.IntN(4) {
			m := g.v4()
			if name == "ports" && g.chance(80) {
				m += "," + pick(g, []string{"tcp:80", "tcp:8080", "udp:53", "17:40000", "6:443"})
			}
			members = append(members, m)
		}
		values = strings.Join(members, ",")
	}
	verb := "add"
	if n.sets[name] && g.chance(85) {
		verb = "update"
	}
	n.sets[name] = true
	g.networkPolicy(verb, n, fmt.Sprintf(`{"Type":"SetPolicy","Settings":{"Id":%q,"Name":%q,"PolicyType":%q,"Values":%q}}`, name, name, kindOf, values))
}

// knownSets are the sets of a network that hold addresses.
func (n *network) knownSets() []string {
	var out []string
	for _, s := range setNames[:2] {
		if n.sets[s] {
			out = append(out, s)
		}
	}
	return out
}

// oneOf is a set for a rule: mostly one that the network has, which gets one if
// it has none.
func (g *generator) oneOf(n *network) string {
	if g.chance(5) {
		return pick(g, setNames)
	}
	for len(n.knownSets()) == 0 {
		g.set(n)
	}
	known := n.knownSets()
	if n.sets["both"] {
		known = append(known, "both")
	}
	return pick(g, known)
}

// networkPolicy changes a policy of a network.
func (g *generator) networkPolicy(verb string, n *network, policy string) {
	name, files := g.file(policy)
	g.step(files, fmt.Sprintf("? policy %s network %s %s", verb, n.name, name))
}

// extra adds what ws2022 or ws2025 brought to a network.
func (g *generator) extra(n *network) {
	switch g.rng.IntN(4) {
	case 0:
		g.networkPolicy(pick(g, []string{"add", "add", "remove"}), n, strings.Replace(g.acl(), `"ACL"`, `"NetworkACL"`, 1))
	default:
		g.set(n)
	}
}

// newer is a policy of an endpoint that a build may not know: tiers, rules that
// name sets, proxies.
func (g *generator) newer(e *endpoint) string {
	switch n := g.rng.IntN(10); {
	case n < 4:
		return g.tier(e.net)
	case n < 8:
		return g.setRule(e.net)
	case n < 9:
		return fmt.Sprintf(`{"Type":"L4Proxy","Settings":{"IP":%q,"Port":"15001","Protocol":%d,"Exceptions":["203.0.113.0/24"]}}`, pick(g, e.net.eps).addr, pick(g, []int{6, 6, 17}))
	}
	return fmt.Sprintf(`{"Type":"L4WFPPROXY","Settings":{"OutboundProxyPort":"15001","UserSID":"S-1-5-32-556","FilterTuple":{"Protocols":"6","RemotePorts":%q}}}`,
		pick(g, []string{"80", "1-1000", "443"}))
}

// setRule is an ACL whose addresses are those of a set.
func (g *generator) setRule(n *network) string {
	return fmt.Sprintf(`{"Type":"ACL","Settings":{"Action":%q,"Direction":%q,"Priority":%d,"RuleType":"Switch",%q:%q}}`,
		pick(g, []string{"Allow", "Block"}), pick(g, []string{"In", "Out"}), pick(g, []int{50, 100, 150}),
		pick(g, []string{"LocalAddresses", "RemoteAddresses"}), g.oneOf(n))
}

// tier is a list of rules before the endpoint's own.
func (g *generator) tier(n *network) string {
	var rules []string
	for range 1 + g.rng.IntN(3) {
		fields := []string{fmt.Sprintf(`"TierAclRuleAction":%q`, pick(g, []string{"Allow", "Block", "Pass", "Pass"})), fmt.Sprintf(`"Priority":%d`, 1+g.rng.IntN(3))}
		if g.chance(50) {
			fields = append(fields, fmt.Sprintf(`"RemoteAddresses":%q`, pick(g, []string{"10.127.130.0/24", "203.0.113.80", "10.100.0.0/14", g.oneOf(n)})))
		}
		if g.chance(40) {
			fields = append(fields, fmt.Sprintf(`"Protocols":%q`, pick(g, []string{"6", "17", "1"})))
		}
		rules = append(rules, "{"+strings.Join(fields, ",")+"}")
	}
	return fmt.Sprintf(`{"Type":"TierAcl","Settings":{"Name":"t%d","Direction":%q,"Order":%d,"TierAclRules":[%s]}}`,
		g.rng.IntN(3), pick(g, []string{"In", "Out"}), 1+g.rng.IntN(3), strings.Join(rules, ","))
}

// addNewer gives such a policy to an endpoint.
func (g *generator) addNewer(e *endpoint) {
	p := g.newer(e)
	name, files := g.file("[" + p + "]")
	g.step(files, fmt.Sprintf("? policy %s endpoint %s %s", pick(g, []string{"add", "add", "add", "remove"}), e.name, name))
}
