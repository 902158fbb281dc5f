package bench

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// Path is something that packets go through.
type Path struct {
	Name  string
	About string // what one packet meets
	// First means that every packet is the first of its flow.
	First bool
	// Limit is the row of the C limit with the same unavoidable work, or "".
	Limit string

	build    func(l *lab)
	from     string
	src, dst netip.AddrPort
	vary     vary
	through  []string
	reversed bool     // frames are the answers to what from sent, on the wire of its host
	onWire   string   // frames are what from sent, on the wire of this host
	to       []string // service: the roles that count; none if the path is for cost only
	check    check
}

// vary says how flows differ from one another: by source ports first, then by
// destinations, or the other way round.
type vary struct {
	ports, dests int
	destsFirst   bool
	destPorts    bool   // destinations differ by their port, not by their address
	stride       int    // of their addresses; 0 is 1
	why          string // what bounds the number of flows
}

func (v vary) flows() int { return v.ports * v.dests }

// of is what flow f adds to the source port and to the destination.
func (v vary) of(f int) (port, dest int) {
	if v.destsFirst {
		return f / v.dests, f % v.dests
	}
	return f % v.ports, f / v.ports
}

// check is what must be true of every frame that comes out; zero fields say
// nothing.
type check struct {
	src, dst netip.Prefix // inner addresses in a tunnel
	vni      uint32
}

// of reports what is wrong with a frame.
func (c check) of(frame []byte) error {
	if frame == nil {
		return fmt.Errorf("no frame")
	}
	if err := wire.VerifyChecksums(frame); err != nil {
		return fmt.Errorf("%w in %s", err, wire.Summary(frame))
	}
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK {
		return fmt.Errorf("not parsed: %s", wire.Summary(frame))
	}
	t, tunnel := wire.ParseVXLAN(frame, &m)
	switch {
	case c.vni != 0 && (!tunnel || t.VNI != c.vni):
		return fmt.Errorf("not in a tunnel of VNI %d: %s", c.vni, wire.Summary(frame))
	case c.vni != 0:
		frame = frame[t.Inner:t.End]
		wire.Parse(frame, &m)
	}
	if c.src.IsValid() && !c.src.Contains(m.Src(frame)) {
		return fmt.Errorf("source is not in %s: %s", c.src, wire.Summary(frame))
	}
	if c.dst.IsValid() && !c.dst.Contains(m.Dst(frame)) {
		return fmt.Errorf("destination is not in %s: %s", c.dst, wire.Summary(frame))
	}
	return nil
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

const (
	podA    = "10.127.130.110"
	outside = "203.0.113.80"
	dynamic = "1024-65535" // ports of a host, for the pools of NAT
)

var (
	byPort  = vary{ports: 60_000, dests: servicePorts, destPorts: true, why: "60,000 ports to 17"}
	byDest  = vary{ports: 7_900, dests: 128, destsFirst: true, destPorts: true, why: "7,900 ports to 128 others"}
	poolNAT = vary{ports: 60_000, dests: 1, why: "a pool of n ports carries n flows (rule L2B-23), and a host has 64 thousand"}
)

// Paths are all there are, in the order of reports.
func Paths() []Path {
	out := []Path{
		{Name: "l2", About: "container to container on one switch, transparent network", Limit: "l2",
			build: transparent, from: "a", src: ap(podA + ":1024"), dst: ap("10.127.130.111:2000"), vary: byPort,
			to: []string{"b"}, check: check{dst: pfx("10.127.130.111/32")}},
		{Name: "l2bridge", About: "container to the wire with the host's MAC, l2bridge network", Limit: "l2",
			build: bridge("", 0), from: "a", src: ap(podA + ":1024"), dst: ap(outside + ":2000"), vary: byDest, to: []string{"x"},
			check: check{src: pfx(podA + "/32"), dst: pfx("203.0.113.0/24")}},
		{Name: "nat", About: "container to the wire: internal switch, host routing, WinNAT with a known session", Limit: "napt",
			build: natNetwork, from: "a", src: ap("172.16.0.10:1024"), dst: ap(outside + ":2000"), vary: byDest, to: []string{"x"}, check: natted},
		{Name: "nat-new", About: "as nat, first packet: WinNAT opens a session, each 128th time with a port", First: true, Limit: "new",
			build: natNetwork, from: "a", src: ap("172.16.0.10:1024"), dst: ap(outside + ":2000"), vary: byDest, check: natted},
		{Name: "nat-in", About: "answers from the wire back through WinNAT to the container", Limit: "napt",
			build: natNetwork, from: "a", src: ap("172.16.0.10:1024"), dst: ap(outside + ":2000"), vary: byDest, reversed: true,
			check: check{src: pfx("203.0.113.0/24"), dst: pfx("172.16.0.10/32")}},
		{Name: "outboundnat", About: "container to the wire with VFP outbound NAT, known flow", Limit: "napt",
			build: bridge(outboundNAT, 0), from: "a", src: ap(podA + ":1024"), dst: ap(outside + ":53"), vary: poolNAT, to: []string{"x"}, check: natted},
		{Name: "outboundnat-new", About: "as outboundnat, first packet: port from the pool, layer flow and unified flow", First: true, Limit: "new",
			build: bridge(outboundNAT, 0), from: "a", src: ap(podA + ":1024"), dst: ap(outside + ":53"), vary: poolNAT, check: natted},
		{Name: "encap", About: "container to a remote container, VXLAN header put on, out by the wire", Limit: "encap",
			build: overlay(false), from: "a", src: ap("10.244.1.10:1024"), dst: ap("10.244.2.20:2000"), vary: byPort,
			check: check{vni: 4096, src: pfx("10.244.1.10/32"), dst: pfx("10.244.2.20/32")}},
		{Name: "decap", About: "from the wire, VXLAN header taken off, to the container",
			build: overlay(false), from: "a", src: ap("10.244.1.10:1024"), dst: ap("10.244.2.20:2000"), vary: byPort, onWire: "h2",
			check: check{dst: pfx("10.244.2.20/32")}},
		{Name: "encap+decap", About: "container to container through both hosts of an overlay", Limit: "encap+decap",
			build: overlay(false), from: "a", src: ap("10.244.1.10:1024"), dst: ap("10.244.2.20:2000"), vary: byPort, through: []string{"h2"},
			to: []string{"c0"}, check: check{dst: pfx("10.244.2.20/32")}},
		{Name: "lb-dsr", About: "container to a virtual address, direct server return, one of four containers on the same host", Limit: "lb",
			build: local, from: "a", src: ap(podA + ":1024"), dst: ap("10.96.10.10:80"), vary: byPort, to: []string{"c0", "c1", "c2", "c3"},
			check: check{src: pfx(podA + "/32"), dst: pfx("10.127.130.120/30")}},
		{Name: "lb-dsr-remote", About: "the same with containers on another l2bridge host: the host routes, out by the wire", Limit: "lb",
			build: service(1), from: "a", src: ap("10.244.1.10:1024"), dst: ap("10.96.10.10:80"), vary: byPort,
			check: check{src: pfx("10.244.1.10/32"), dst: pfx("10.244.2.20/30")}},
		{Name: "lb-snat", About: "container to a virtual address without direct server return: both addresses change", Limit: "napt",
			build: service(0), from: "a", src: ap("10.244.1.10:1024"), dst: ap("10.96.10.10:80"), vary: poolNAT,
			check: check{src: pfx("10.127.130.35/32"), dst: pfx("10.244.2.20/30")}},
	}
	for _, n := range []int{10, 100, 1000, 10_000} {
		limit := ""
		if n < 10_000 {
			limit = fmt.Sprintf("acl-abv-%d", n)
		}
		out = append(out, Path{Name: fmt.Sprintf("acl-%d", n), About: fmt.Sprintf("container to the wire, first packet of a flow against %d ACL rules", n), First: true,
			Limit: limit, build: bridge("", n), from: "a", src: ap(podA + ":1024"), dst: ap(outside + ":2000"), vary: byDest, to: []string{"x"},
			check: check{src: pfx(podA + "/32"), dst: pfx("203.0.113.0/24")}})
	}
	return append(out, Path{Name: "service", About: "pod to service to remote pod: load balancer, VXLAN, both hosts", Limit: "encap+decap",
		build: overlay(true), from: "a", src: ap("10.244.1.10:1024"), dst: ap("10.96.10.10:80"), vary: byPort, through: []string{"h2"}, to: []string{"c0", "c1", "c2", "c3"},
		check: check{src: pfx("10.244.1.10/32"), dst: pfx("10.244.2.20/30")}})
}

var natted = check{src: pfx("10.127.130.35/32"), dst: pfx("203.0.113.0/24")}

// Select finds paths by name or pattern ("nat*"); no words select all.
func Select(words []string) ([]Path, error) {
	all := Paths()
	if len(words) == 0 {
		return all, nil
	}
	var out []Path
	chosen := map[string]bool{}
	for _, w := range words {
		prefix, star := strings.CutSuffix(w, "*")
		found := false
		for _, p := range all {
			if p.Name != w && !(star && strings.HasPrefix(p.Name, prefix)) {
				continue
			}
			found = true
			if !chosen[p.Name] {
				chosen[p.Name] = true
				out = append(out, p)
			}
		}
		if !found {
			return nil, fmt.Errorf("no path is called %q: expected %s, or a beginning with *", w, strings.Join(names(all), ", "))
		}
	}
	return out, nil
}

func names(paths []Path) []string {
	var out []string
	for _, p := range paths {
		out = append(out, p.Name)
	}
	return out
}

// Catalogue describes all paths for lists.
func Catalogue() []reports.BenchPath {
	var out []reports.BenchPath
	for _, p := range Paths() {
		out = append(out, reports.BenchPath{Name: p.Name, About: p.About, Limit: p.Limit, MostFlows: p.vary.flows(), Service: len(p.to) > 0})
	}
	return out
}
