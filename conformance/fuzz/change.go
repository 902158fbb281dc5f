package fuzz

import (
	"fmt"
	"strings"
)

// change adds something that alters the world under its traffic.
func (g *generator) change() {
	n := g.rng.IntN(100)
	if len(g.machines) > 0 && g.chance(40) {
		g.tenantChange()
		return
	}
	switch {
	case len(g.eps) == 0 || n < 8:
		g.link()
	case n < 12:
		g.extra(pick(g, g.eps).net)
	case n < 17:
		g.addNewer(pick(g, g.eps))
	case n < 45:
		g.policyChange()
	case n < 58:
		g.balancer()
	case n < 66:
		g.step(nil, fmt.Sprintf("? delete loadbalancer lb%d", 1+g.rng.IntN(max(g.count, 1))))
		g.dropUnknownBalancer()
	case n < 74:
		g.portSetting()
	case n < 85:
		g.pause(pick(g, g.eps).name)
	case n < 88:
		g.remove(g.rng.IntN(len(g.eps)))
	case n < 93:
		g.endpoint(pick(g, g.eps).net)
	case n < 95:
		g.adapter(pick(g, g.hosts).name)
	case n < 96:
		g.step(nil, fmt.Sprintf("? set %s host.reboot", pick(g, g.hosts).name))
	default:
		g.step(nil, fmt.Sprintf("? set %s %s", pick(g, g.hosts).name,
			pick(g, []string{"hns.restart", "nat.filtering udp=EndpointIndependent", "nat.timers udp=10s", "ports.exclude tcp:8000-8002"})))
	}
}

// pause takes a container out for a while, with traffic meanwhile.
func (g *generator) pause(name string) {
	out := pick(g, [][2]string{{"detach", "attach"}, {"stop", "start"}})
	g.step(nil, "? "+out[0]+" "+name)
	for range g.rng.IntN(3) {
		g.send()
	}
	g.step(nil, "? "+out[1]+" "+name)
}

// adapter is out for a while.
func (g *generator) adapter(host string) {
	g.step(nil, "? set "+host+" host.adapter out")
	for range g.rng.IntN(3) {
		g.send()
	}
	g.step(nil, "? set "+host+" host.adapter in")
}

// remove deletes an endpoint; others may get its address.
func (g *generator) remove(i int) {
	e := g.eps[i]
	g.step(nil, "? stop "+e.name, "? delete endpoint "+e.name)
	g.eps = append(g.eps[:i:i], g.eps[i+1:]...)
	if g.chance(50) {
		g.revive(e)
	}
}

// revive makes a new endpoint with the address of one that is gone.
func (g *generator) revive(old *endpoint) {
	g.count++
	e := &endpoint{net: old.net, name: fmt.Sprintf("c%d", g.count), addr: old.addr, addr6: old.addr6}
	e.policies = g.policies(e)
	g.eps = append(g.eps, e)
	name, files := g.file(e.document(e.net))
	g.step(files, fmt.Sprintf("? endpoint %s %s %s", e.name, e.net.name, name))
}

// dropUnknownBalancer takes the last step back if it names no load balancer:
// names that nobody declared are errors of the scenario, not of the world.
func (g *generator) dropUnknownBalancer() {
	last := len(g.c.Steps) - 1
	name := g.c.Steps[last].Lines[0][len("? delete loadbalancer "):]
	for _, s := range g.c.Steps[:last] {
		if f := strings.Fields(s.Lines[0]); len(f) > 3 && f[1] == "loadbalancer" && f[3] == name {
			return
		}
	}
	g.c.Steps = g.c.Steps[:last]
}

// policyChange adds, removes or replaces policies of an endpoint.
func (g *generator) policyChange() {
	e := pick(g, g.eps)
	switch n := g.rng.IntN(3); {
	case n == 0 && len(e.policies) > 0:
		i := g.rng.IntN(len(e.policies))
		name, files := g.file("[" + e.policies[i] + "]")
		e.policies = append(e.policies[:i:i], e.policies[i+1:]...)
		g.step(files, fmt.Sprintf("? policy remove endpoint %s %s", e.name, name))
	case n == 1:
		e.policies = g.policies(e)
		name, files := g.file("[" + strings.Join(e.policies, ",\n ") + "]")
		g.step(files, fmt.Sprintf("? policy update endpoint %s %s", e.name, name))
	default:
		p := g.acl()
		e.policies = append(e.policies, p)
		name, files := g.file("[" + p + "]")
		g.step(files, fmt.Sprintf("? policy add endpoint %s %s", e.name, name))
	}
}

// portSetting changes what Hyper-V's tools change.
func (g *generator) portSetting() {
	g.step(nil, fmt.Sprintf("? set %s %s", pick(g, g.eps).name, pick(g, []string{
		"port.spoofing on", "port.spoofing off", "port.dhcpguard on", "port.routerguard on", "port.storm 3",
		"port.vlan access=7", "port.vlan trunk=7,8 native=1", "port.mirror source", "port.mirror destination",
		"port.acl in deny remote=203.0.113.0/24", "port.extacl in deny weight=10 proto=tcp", "port.extacl out allow weight=5 stateful",
	})))
}

// link impairs a wire, or mends it.
func (g *generator) link() {
	node := pick(g, []string{"x", "y", pick(g, g.hosts).name})
	g.step(nil, "link "+node+" "+pick(g, []string{
		"delay=2ms", "loss=0.2", "delay=1ms reorder=0.3", "rate=1000000", "mtu=1400", "delay=0s loss=0 reorder=0", "down", "up",
	}))
}
