package fuzz

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/tools/txtar"
)

// Bounds of a world. Small ones are run often, and fail in few steps.
const (
	maxHosts     = 3
	maxNetworks  = 2 // of each host
	maxEndpoints = 3 // of each network
	minTraffic   = 12
	maxTraffic   = 48
)

// kind of network, as documents write it.
type kind string

const (
	nat         kind = "NAT"
	overlay     kind = "Overlay"
	l2bridge    kind = "L2Bridge"
	l2tunnel    kind = "L2Tunnel"
	transparent kind = "Transparent"
	internal    kind = "Internal"
	private     kind = "Private"
	ics         kind = "ICS"
)

var kinds = []kind{nat, nat, overlay, overlay, overlay, l2bridge, l2bridge, l2bridge, transparent, l2tunnel, internal, private, ics}

type host struct {
	number int // 1, 2, 3
	name   string
	addr   string
	nets   []*network
	dual   bool
}

type network struct {
	host   *host
	name   string
	kind   kind
	prefix string // "10.244.1": all are /24
	vsid   int
	vlan   int
	dual   bool
	routed bool // l2bridge with a subnet of its own, behind a host endpoint
	eps    []*endpoint
	sets   map[string]bool // IP sets that were added
}

type endpoint struct {
	net      *network
	name     string
	addr     string
	addr6    string // "" without IPv6
	policies []string
}

// generator makes one case. Everything that it decides comes from rng.
type generator struct {
	rng   *rand.Rand
	c     *Case
	hosts []*host
	eps   []*endpoint
	vips  []string
	files int
	count int
	flows []flow // what was sent lately
	// main is the kind that most networks have, so that hosts have something in
	// common; vsid that of most overlays.
	main kind
	vsid int
	// serving are the ports that roles listen on, as "tcp :80".
	serving map[string][]string
	// machines are those of tenant networks, if the world has such.
	machines []*machine
}

// Generate makes the case of a seed.
func Generate(seed uint64) *Case {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x6675_7a7a)), c: &Case{Seed: seed}, serving: map[string][]string{}}
	g.main, g.vsid = pick(g, kinds), pick(g, []int{4096, 5000})
	g.knobs()
	g.topology()
	for _, h := range g.hosts {
		for range 1 + g.rng.IntN(maxNetworks) {
			g.network(h)
		}
	}
	for range g.rng.IntN(4) {
		g.balancer()
	}
	if g.chance(30) {
		g.tenantWorld()
	}
	for range g.rng.IntN(3) {
		g.extra(pick(g, pick(g, g.hosts).nets))
	}
	for _, e := range g.eps {
		if g.chance(20) {
			g.addNewer(e)
		}
		if g.chance(70) {
			g.listenOn(e.name, pick(g, []string{"tcp :80", "tcp :8080", "udp :53", "tcp :53"}))
		}
	}
	for range 1 + g.rng.IntN(3) {
		g.listenOn(pick(g, []string{"x", "x", "y", pick(g, g.hosts).name}), pick(g, []string{"tcp :80", "tcp :443", "udp :53"}))
	}
	for range minTraffic + g.rng.IntN(maxTraffic-minTraffic) {
		g.act()
	}
	return g.c
}

// step adds a step.
func (g *generator) step(files []txtar.File, lines ...string) {
	g.c.Steps = append(g.c.Steps, Step{Lines: lines, Files: files})
}

// file makes a file with a name of its own.
func (g *generator) file(text string) (string, []txtar.File) {
	g.files++
	name := fmt.Sprintf("f%d.json", g.files)
	return name, []txtar.File{{Name: name, Data: []byte(text + "\n")}}
}

func pick[T any](g *generator, of []T) T { return of[g.rng.IntN(len(of))] }

// chance is true n times in 100.
func (g *generator) chance(n int) bool { return g.rng.IntN(100) < n }

// knobs turns one or two, in one world of three.
func (g *generator) knobs() {
	if !g.chance(33) {
		return
	}
	for _, k := range []string{
		pick(g, []string{"unknownUnicast=flood", "arpMode.l2bridge=rewrite", "natMapping=APDM", "natMapping=ADM", "vfpIcmpNat=true", "drDecrementsTtl=true"}),
		pick(g, []string{"ovBroadcast=replicate", "encapOversize=icmp", "aclTie=first-wins", "uftFull=drop", "lbUpdate=in-place", "aclAnyMeansDeny=true", "natFilteringUdp=EIF"}),
	} {
		if g.chance(60) {
			g.c.Knobs = append(g.c.Knobs, k)
		}
	}
}

// topology is a router between lan and wan, a machine on each, and hosts.
func (g *generator) topology() {
	lines := []string{
		"router r lan=10.127.130.1/24 lan=fd00:127::1/64 wan=203.0.113.1/24 wan=2001:db8::1/64 pa=10.10.0.1/24 mac.lan=00-00-5E-00-01-01",
		"external x ip=203.0.113.80/24 ip=2001:db8::80/64 segment=wan",
		"external y ip=10.127.130.77/24 ip=fd00:127::77/64",
	}
	n := 1 + g.rng.IntN(maxHosts)
	for i := 1; i <= n; i++ {
		h := &host{number: i, name: fmt.Sprintf("h%d", i), addr: fmt.Sprintf("10.127.130.%d", 34+i), dual: g.chance(50)}
		line := fmt.Sprintf("host %s ip=%s/24 mac=00-15-5D-82-00-%02X", h.name, h.addr, 0x22+i)
		if h.dual {
			line += fmt.Sprintf(" ip=fd00:127::%d/64 route=::/0,fd00:127::1", 34+i)
		}
		for j := 1; j <= n; j++ {
			if j != i {
				line += fmt.Sprintf(" route=10.%d.0.0/16,10.127.130.%d", 200+j, 34+j)
			}
		}
		if g.chance(10) {
			line += " outer.spoofing=" + pick(g, []string{"on", "off"})
		}
		lines = append(lines, line)
		g.hosts = append(g.hosts, h)
	}
	g.step(nil, lines...)
	g.c.Steps[len(g.c.Steps)-1].Fixed = true
	if g.chance(25) {
		g.link()
	}
}

// network makes a network with its endpoints.
func (g *generator) network(h *host) {
	g.count++
	n := &network{host: h, name: fmt.Sprintf("n%d", g.count), kind: g.main, sets: map[string]bool{}}
	if g.chance(40) {
		n.kind = pick(g, kinds)
	}
	octet := len(h.nets) + 1
	switch n.kind {
	case nat, ics:
		n.prefix = fmt.Sprintf("172.%d.%d", 16+h.number, octet)
	case overlay:
		n.vsid = g.vsid
		if g.chance(25) {
			n.vsid = pick(g, []int{4096, 5000})
		}
		n.prefix = fmt.Sprintf("10.%d.%d", 100+n.vsid/1000, h.number)
	case l2bridge:
		n.routed, n.dual = g.chance(50), g.chance(50)
		n.prefix = "10.127.130"
		if n.routed {
			n.prefix, n.dual = fmt.Sprintf("10.%d.%d", 200+h.number, octet), false
		} else if g.chance(20) {
			n.vlan, n.prefix = pick(g, []int{7, 8}), "10.127.140"
		}
	case l2tunnel, transparent:
		n.prefix, n.dual = "10.127.130", g.chance(30)
	default:
		n.prefix = fmt.Sprintf("192.168.%d", 10*h.number+octet)
	}
	h.nets = append(h.nets, n)
	name, files := g.file(n.document(g))
	g.step(files, fmt.Sprintf("? network %s %s %s", h.name, n.name, name))
	if n.routed {
		g.hostEndpoint(n)
	}
	for range 1 + g.rng.IntN(maxEndpoints) {
		g.endpoint(n)
	}
	if n.kind == overlay && g.chance(50) {
		g.remote(n)
	}
}

// hostEndpoint is the gateway of a routed l2bridge network.
func (g *generator) hostEndpoint(n *network) {
	name, files := g.file(fmt.Sprintf(`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"%s_ep","IpConfigurations":[{"IpAddress":"%s.2","PrefixLength":24}]}`, n.name, n.prefix))
	attach, more := g.file(`{"SystemType":"Host","CompartmentId":1}`)
	g.step(append(files, more...),
		fmt.Sprintf("? endpoint %sgw %s %s norole", n.name, n.name, name),
		fmt.Sprintf("? hnscall %s POST /endpoints/${id:%sgw}/attach %s", n.host.name, n.name, attach))
}

// endpoint makes one with a container.
func (g *generator) endpoint(n *network) *endpoint {
	g.count++
	last := 100 + 20*n.host.number + len(n.eps)
	if n.kind == overlay || n.routed || n.prefix[:3] == "172" || n.prefix[:3] == "192" {
		last = 10 + len(n.eps)
	} else if n.host.nets[0] != n {
		last += 10
	}
	e := &endpoint{net: n, name: fmt.Sprintf("c%d", g.count), addr: fmt.Sprintf("%s.%d", n.prefix, last)}
	if n.dual {
		e.addr6 = fmt.Sprintf("fd00:127::%d", last)
	}
	e.policies = g.policies(e)
	n.eps = append(n.eps, e)
	g.eps = append(g.eps, e)
	name, files := g.file(e.document(n))
	line := fmt.Sprintf("? endpoint %s %s %s", e.name, n.name, name)
	if g.chance(15) {
		line += " isolation=hyperv"
	}
	if g.chance(4) {
		line += " noattach"
	}
	g.step(files, line)
	return e
}

// remote makes an endpoint of another host known to an overlay.
func (g *generator) remote(n *network) {
	for _, h := range g.hosts {
		if h == n.host {
			continue
		}
		g.count++
		doc := fmt.Sprintf(`{"SchemaVersion":{"Major":2,"Minor":0},"Flags":1,"MacAddress":"02-11-0A-F4-%02X-%02X","IpConfigurations":[{"IpAddress":"%s.%d","PrefixLength":24}],
 "Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"%s"}}]}`, h.number, g.count, fmt.Sprintf("10.%d.%d", 100+n.vsid/1000, h.number), 10+g.rng.IntN(3), h.addr)
		name, files := g.file(doc)
		g.step(files, fmt.Sprintf("? endpoint rem%d %s %s norole", g.count, n.name, name))
	}
}

// balancer makes a service on one host, with backends there.
func (g *generator) balancer() {
	h := pick(g, g.hosts)
	var backends []string
	for _, e := range g.eps {
		if e.net.host == h && e.net == h.nets[0] {
			backends = append(backends, fmt.Sprintf("%q", "${id:"+e.name+"}"))
		}
	}
	if len(backends) == 0 {
		return
	}
	backends = backends[:1+g.rng.IntN(len(backends))]
	g.count++
	vip := fmt.Sprintf("10.96.%d.%d", h.number, 10+g.rng.IntN(4))
	if h.nets[0].dual && g.chance(40) {
		vip = fmt.Sprintf("fd00:96::%d", 10+g.rng.IntN(4))
	}
	g.vips = append(g.vips, vip)
	name, files := g.file(balancerDocument(g, vip, h, strings.Join(backends, ",")))
	g.step(files, fmt.Sprintf("? loadbalancer %s lb%d %s", h.name, g.count, name))
}
