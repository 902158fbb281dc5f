package fuzz

import (
	"fmt"
	"strings"
)

// served ports are those that somebody may listen on, or that lead there.
var served = []string{"80", "80", "53", "8080", "443", "8001", "8002", "8003", "30080"}

// servedUDP is the only port that answers datagrams.
const servedUDP = "53"

var ports = []string{"53", "80", "443", "8080", "8001", "30080", "40000", "40001"}

// flow is something that was sent: worth sending again, or answering.
type flow struct {
	role, proto, src, dst string // addresses with ports, as "send" writes them; src may be ""
	peer                  string // role at dst, "" if none is known
	options               string // of its packets, as "send" writes them
}

// act adds one thing that happens: mostly traffic, now and then a change.
func (g *generator) act() {
	switch n := g.rng.IntN(100); {
	case n < 48:
		g.send()
	case n < 60:
		g.connect()
	case n < 66:
		g.step(nil, fmt.Sprintf("? ping %s > %s%s", g.role(), g.address(), pick(g, []string{"", "", " size=1400 df", " size=3000", " ttl=1"})))
	case n < 69:
		g.frame()
	case n < 71:
		g.step(nil, fmt.Sprintf("? arp %s %s timeout=1s", g.role(), g.address()))
	case n < 80:
		g.step(nil, "advance "+pick(g, []string{"1ms", "1s", "5s", "31s", "61s", "121s", "239s", "241s", "300s", "1801s"}))
	default:
		g.change()
	}
}

// role is anybody who can send.
func (g *generator) role() string {
	if len(g.machines) > 0 && g.chance(45) {
		return pick(g, g.machines).name
	}
	if len(g.eps) == 0 || g.chance(20) {
		return pick(g, []string{"x", "y", pick(g, g.hosts).name})
	}
	return pick(g, g.eps).name
}

// roleAt is who has an address.
func (g *generator) roleAt(addr string) string {
	for _, e := range g.eps {
		if e.addr == addr || e.addr6 == addr {
			return e.name
		}
	}
	for _, h := range g.hosts {
		if h.addr == addr {
			return h.name
		}
	}
	switch addr {
	case "203.0.113.80":
		return "x"
	case "10.127.130.77":
		return "y"
	}
	return ""
}

// address is mostly somebody's.
func (g *generator) address() string {
	switch n := g.rng.IntN(100); {
	case n < 50 && len(g.eps) > 0:
		e := pick(g, g.eps)
		if e.addr6 != "" && g.chance(30) {
			return e.addr6
		}
		return e.addr
	case n < 65 && len(g.vips) > 0:
		return pick(g, g.vips)
	case n < 75:
		return pick(g, g.hosts).addr
	case n < 90:
		return pick(g, []string{"203.0.113.80", "10.127.130.77", "203.0.113.80"})
	}
	return pick(g, []string{"2001:db8::80", "fd00:127::77", "10.127.130.1", "198.51.100.9", "10.104.1.99", "10.127.130.255", "255.255.255.255", "224.0.0.251", "127.0.0.1"})
}

// near is an address that the role may reach: half of the time that of a
// container on its kind of network.
func (g *generator) near(role string) string {
	for _, e := range g.eps {
		if e.name != role || g.chance(50) {
			continue
		}
		for range 4 {
			if o := pick(g, g.eps); o != e && o.net.kind == e.net.kind {
				return o.addr
			}
		}
	}
	return g.address()
}

func withPort(addr, port string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]:" + port
	}
	return addr + ":" + port
}

// send sends something new, again, or back.
func (g *generator) send() {
	var f flow
	if n := len(g.flows); n > 0 && g.chance(60) {
		f = g.flows[n-1-g.rng.IntN(min(n, 6))]
		if f.peer != "" && f.src != "" && f.src[0] != ':' && g.chance(40) {
			f = flow{role: f.peer, proto: f.proto, src: f.dst, dst: f.src, peer: f.role}
		}
	} else {
		f = g.flow()
	}
	if f.options == "" || g.chance(30) {
		f.options = f.vary(g)
	}
	g.flows = append(g.flows, f)
	g.step(nil, "? "+f.line(g))
}

func (g *generator) flow() flow {
	f := flow{role: g.role(), proto: pick(g, []string{"udp", "udp", "tcp", "tcp", "tcp", "icmp", "proto=47", "proto=132"})}
	var dst string
	m := g.machineNamed(f.role)
	if m != nil {
		dst, f.peer = g.peerOf(m)
	} else {
		dst = g.near(f.role)
		f.peer = g.roleAt(dst)
	}
	v6 := strings.Contains(dst, ":")
	if f.proto == "icmp" && v6 {
		f.proto = "icmp6"
	}
	if f.proto != "udp" && f.proto != "tcp" {
		f.dst = dst
		return f
	}
	f.dst = withPort(dst, pick(g, ports))
	port := g.source(f.proto)
	f.src = ":" + port
	if m != nil {
		f.src = withPort(m.addr, port)
	}
	for _, e := range g.eps {
		src := e.addr
		if v6 {
			src = e.addr6
		}
		if e.name == f.role && src != "" && g.chance(85) {
			f.src = withPort(src, port)
		}
	}
	return f
}

// source is a port to send from. Nobody sends UDP from a port that is served:
// two servers that answer each other never stop.
func (g *generator) source(proto string) string {
	for {
		if p := pick(g, ports); proto != "udp" || p != servedUDP {
			return p
		}
	}
}

// line is the flow as a word of scenarios.
func (f *flow) line(g *generator) string {
	b := "send " + f.role + " " + f.proto
	if f.src != "" {
		b += " " + f.src
	}
	b += " > " + f.dst
	switch f.proto {
	case "tcp":
		b += " flags=" + pick(g, []string{"S", "S", "S", "SA", "A", "PA", "PA", "FA", "R", "RA"})
	case "icmp", "icmp6":
		b += " " + pick(g, []string{"echo", "echo", "reply"}) + fmt.Sprintf(" id=%d", 1+g.rng.IntN(3))
	}
	return b + strings.TrimRight(f.options, " ")
}

// vary makes the options of a flow's next packets; a blank is none.
func (f *flow) vary(g *generator) string {
	switch n := g.rng.IntN(14); {
	case n == 0:
		return " size=" + pick(g, []string{"1400", "1422", "1460", "1472", "2000"})
	case n == 1:
		return " ttl=" + pick(g, []string{"1", "2", "3", "64"})
	case n == 2:
		return " df size=" + pick(g, []string{"1430", "1472"})
	case n == 3 && f.proto == "udp":
		return " size=2400 frags=800,800,808 order=" + pick(g, []string{"0,1,2", "2,1,0", "1,0,2", "0,2", "2"})
	case n == 4 && (f.proto == "udp" || f.proto == "tcp"):
		return fmt.Sprintf(" count=%d dport=+1", 2+g.rng.IntN(4))
	case n == 5 && f.proto == "udp":
		return " nocsum"
	case n == 6:
		return " tos=" + pick(g, []string{"46", "1", "3"})
	case n == 7:
		return fmt.Sprintf(" count=%d", 2+g.rng.IntN(3))
	}
	return " "
}

// listen lets a role answer.
func (g *generator) listen() {
	where := "tcp :" + pick(g, ports)
	if g.chance(30) {
		where = "udp :" + servedUDP
	}
	g.listenOn(g.role(), where)
}

func (g *generator) listenOn(role, where string) {
	g.serving[role] = append(g.serving[role], where)
	g.step(nil, fmt.Sprintf("? listen %s %s reply='OK'", role, where))
}

// connect is a whole connection, mostly to somebody who serves the port.
func (g *generator) connect() {
	if g.chance(15) {
		g.listen()
	}
	from := ""
	if g.chance(30) {
		from = " from=:" + pick(g, ports)
	}
	role, to := g.role(), withPort(g.address(), pick(g, served))
	if g.chance(75) {
		if r, addr := g.served(); r != "" {
			role, to = r, addr
		}
	}
	if len(g.machines) > 0 && g.chance(50) {
		m := pick(g, g.machines)
		role, to = pick(g, []string{"x", m.name, m.name}), serviceVIP+":80"
		if addr, peer := g.peerOf(m); g.machineNamed(peer) != nil && g.chance(40) {
			role, to = m.name, addr+":8080"
		}
	}
	g.step(nil, fmt.Sprintf("? tcp %s > %s 'GET'%s timeout=2s", role, to, from))
}

// served finds a port that somebody serves, and who may reach it: a container
// of the same kind of network, or anybody for a machine outside.
func (g *generator) served() (role, addr string) {
	places := map[string]string{"x": "203.0.113.80", "y": "10.127.130.77"}
	names := []string{"x", "y"}
	kindOf := map[string]*network{}
	for _, e := range g.eps {
		places[e.name], kindOf[e.name] = e.addr, e.net
		names = append(names, e.name)
	}
	for range 8 {
		name := pick(g, names)
		if len(g.serving[name]) == 0 {
			continue
		}
		port, ok := strings.CutPrefix(pick(g, g.serving[name]), "tcp :")
		if !ok {
			continue
		}
		role = g.role()
		if n := kindOf[name]; n != nil && (kindOf[role] == nil || kindOf[role].kind != n.kind) {
			continue
		}
		return role, withPort(places[name], port)
	}
	return "", ""
}

// frame is what a stack would not send.
func (g *generator) frame() {
	h := pick(g, g.hosts)
	hostMAC := fmt.Sprintf("00-15-5D-82-00-%02X", 0x22+h.number)
	inner := fmt.Sprintf("eth(%s>%s) ip(10.104.2.10>10.104.%d.10) udp(40000>53) 'inner'", drMAC(pick(g, g.hosts)), drMAC(h), h.number)
	switch g.rng.IntN(5) {
	case 0:
		g.step(nil, fmt.Sprintf("? frame -wire %s eth(00-00-5E-00-01-01>%s) ip(10.127.130.%d>%s) udp(50000>4789) vxlan(vni=%d) %s",
			h.name, hostMAC, 34+pick(g, g.hosts).number, h.addr, pick(g, []int{4096, 5000, 6000}), inner))
	case 1:
		g.step(nil, fmt.Sprintf("? frame -wire %s eth(02-00-00-00-00-99>%s) vlan(%d) ip(10.127.140.99>10.127.140.%d) udp(1>2) 'tagged'",
			h.name, pick(g, []string{"FF-FF-FF-FF-FF-FF", hostMAC}), pick(g, []int{7, 8, 9}), 100+g.rng.IntN(60)))
	case 2:
		g.step(nil, fmt.Sprintf("? frame -wire %s eth(00-00-5E-00-01-01>%s) ip(203.0.113.80>%s ttl=%s) udp(5300>%s) 'in'",
			h.name, hostMAC, g.v4(), pick(g, []string{"1", "64", "128"}), pick(g, ports)))
	default:
		if len(g.eps) == 0 {
			return
		}
		e := pick(g, g.eps)
		g.step(nil, fmt.Sprintf("? frame %s eth(02-00-00-00-00-98>FF-FF-FF-FF-FF-FF) %s",
			e.name, pick(g, []string{"arp(who-has 10.127.130.1 tell " + e.addr + ")", "ip(" + e.addr + ">255.255.255.255) udp(68>67) 'x'", "vlan(7) ip(" + e.addr + ">10.127.130.77) udp(1>2) 'x'"})))
	}
}

// v4 is an address of IPv4.
func (g *generator) v4() string {
	for {
		if a := g.address(); !strings.Contains(a, ":") {
			return a
		}
	}
}
